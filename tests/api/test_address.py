"""What is taken for an address can be connected to, as far as one can tell without trying."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from overspill.api.address import Endpoint, HttpURL

ENDPOINT: TypeAdapter[str] = TypeAdapter(Endpoint)
URL: TypeAdapter[str] = TypeAdapter(HttpURL)


@pytest.mark.parametrize(
    "value",
    ["10.0.0.1:8000", "localhost:1", "a_b.c-d.svc.:65535", "[::1]:80", "[fe80::1%eth0]:80"],
)
def test_an_endpoint_is_a_host_and_a_port(value: str) -> None:
    assert ENDPOINT.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        *(
            "a",
            "a:",
            ":1",
            "a:0",
            "a:99999",
            "a:8_0",
            "a:+80",
            "a:80/",
            "a:80\n",
            "a b:80",
            "x@a:80",
        ),
        *("[::1:80", "::1:80", "[zz]:80", "[::1%\u00e9]:80"),
        *("a..b:80", f"{'a' * 64}:80", "\u00fc:80"),
    ],
)
def test_what_is_no_endpoint_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        ENDPOINT.validate_python(value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://api.example/", "https://api.example"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_url_loses_nothing_but_a_slash_at_its_end(value: str, kept: str) -> None:
    assert URL.validate_python(value) == kept


@given(st.text(max_size=80))
@example(".")
@example("a" * 64)
@example("a." * 127 + "a")
def test_every_host_that_is_taken_can_be_looked_up(host: str) -> None:
    try:
        URL.validate_python(f"https://{host}")
    except ValidationError:
        return
    host.partition("/")[0].encode("idna")
