"""Bodies and headers, read or refused with a remedy."""

from __future__ import annotations

import pytest

from overspill.explain.question import CannotExplain, read_headers, read_question
from overspill.sidecar.request import Limits
from overspill.wire.ingress import INGRESSES
from tests.explain.questions import BODIES, CHAT, MESSAGES, body


@pytest.mark.parametrize("path", INGRESSES)
def test_each_protocol_of_the_sidecar_is_read(path: str) -> None:
    asked = read_question(body(path), "request.json", path)
    assert asked.ask.model == BODIES[path]["model"]
    assert asked.headers == {}


@pytest.mark.parametrize(
    ("raw", "path", "said"),
    [
        pytest.param(b"{", CHAT, "the body is not JSON", id="no JSON"),
        pytest.param(b"[]", CHAT, "must be a JSON object", id="a list"),
        pytest.param(b'{"model":"m"}', CHAT, "messages: a list", id="no messages"),
        pytest.param(b'{"messages":[1]}', CHAT, "model: a string", id="no model"),
        pytest.param(body(CHAT), MESSAGES, "max_tokens: a positive", id="another protocol's"),
    ],
)
def test_what_the_sidecar_would_refuse_is_refused(raw: bytes, path: str, said: str) -> None:
    with pytest.raises(CannotExplain) as caught:
        read_question(raw, "request.json", path)
    message = str(caught.value)
    assert message.startswith("request.json: ")
    assert said in message
    assert f"at {path}, where the sidecar would answer 400; correct it" in message
    assert "--path" in message


def test_a_body_larger_than_the_sidecar_takes_is_refused() -> None:
    with pytest.raises(CannotExplain, match="answers 413 above 33554432; shorten it"):
        read_question(b" " * (Limits().body_bytes + 1), "request.json", CHAT)


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        pytest.param((), {}, id="none"),
        pytest.param(("X-Priority:high",), {b"x-priority": b"high"}, id="names in lower case"),
        pytest.param(("a:  b: c ",), {b"a": b"b: c"}, id="a value with a colon, trimmed"),
        pytest.param(("a: 1", "A: 2"), {b"a": b"1, 2"}, id="twice: joined"),
        pytest.param(("a: ü",), {b"a": "ü".encode()}, id="more than ASCII"),
        pytest.param(("a:",), {b"a": b""}, id="empty"),
    ],
)
def test_headers_are_read(lines: tuple[str, ...], read: dict[bytes, bytes]) -> None:
    assert read_headers(lines) == read


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param("x-priority", "write NAME: VALUE", id="no colon"),
        pytest.param(": high", "write NAME: VALUE", id="no name"),
        pytest.param("x priority: high", "write NAME: VALUE", id="a space in the name"),
        pytest.param("a: b\nc: d", "no line breaks", id="two lines"),
    ],
)
def test_what_is_no_header_is_refused_with_a_remedy(line: str, said: str) -> None:
    with pytest.raises(CannotExplain) as caught:
        read_headers([line])
    assert f"--header {line!r}: " in str(caught.value)
    assert said in str(caught.value)
