"""A JSON object of which some fields are replaced and no other byte of a value is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.wire.document import Document
from overspill.wire.errors import BadRequest

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.text(), values, max_size=6)


def dumped(value: Any, spaced: bool) -> bytes:  # noqa: ANN401 - any JSON value
    separators = (" , ", " : ") if spaced else (",", ":")
    return json.dumps(value, separators=separators).encode()


@given(objects, st.booleans())
def test_an_object_is_read_and_written_without_a_difference(
    found: dict[str, Any], spaced: bool
) -> None:
    try:
        document = Document.read(dumped(found, spaced))
        assert document.values() == found
        assert json.loads(document.with_fields({})) == found
    except BadRequest:  # half a surrogate pair is not text, and refused
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in json.dumps(found, ensure_ascii=False))


@given(objects, st.sampled_from(["model", "a"]), values)
def test_a_field_is_set_or_left_out_and_the_others_stay(
    found: dict[str, Any],
    name: str,
    value: Any,  # noqa: ANN401 - any JSON value
) -> None:
    clean = {key: item for key, item in found.items() if json.dumps(item).isascii()}
    raw = json.dumps(clean, ensure_ascii=True).encode()
    try:
        made = json.loads(Document.read(raw).with_fields({name: value}))
    except (BadRequest, UnicodeEncodeError):
        return
    expected = {key: item for key, item in clean.items() if key != name}
    assert made == (expected if value is None else {**expected, name: value})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "a JSON object"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":01}', "not JSON"),
        (b'{"a":1} {}', "not JSON"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
    ],
)
def test_what_is_no_object_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        Document.read(raw)


def test_the_last_of_two_equal_keys_counts_and_only_it_goes_on() -> None:
    document = Document.read(b'{"a":1,"\\u0061":2}')
    assert document.get("a") == 2
    assert document.with_fields({}) == b'{"a":2}'
