"""Where somebody is reached: `host:port`, and the URL of a provider."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

_NAME: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PATH: Final = re.compile(r"[!-~]*")
LAST_PORT: Final = 65535


def _check(host: str, port: int | None) -> None:
    """Raises: ValueError where no connection to it could even be tried."""
    if ":" in host and host.isascii():
        IPv6Address(host)
    elif not _NAME.fullmatch(host):
        raise ValueError(
            f"{host!r} is no host name; write labels of 1 to 63 letters, digits or - between dots, "
            "an international name as xn--…"
        )
    if port is not None and not 1 <= port <= LAST_PORT:
        raise ValueError(f"port {port} is none; write 1 to {LAST_PORT}")


def _http_url(value: str) -> str:
    remedy = "must be an http(s) URL such as https://api.anthropic.com"
    if not _PATH.fullmatch(value):
        raise ValueError(f"{remedy}: ASCII without spaces, an international name as xn--…")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{remedy}: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(remedy)
    if "@" in parts.netloc or "?" in value or "#" in value:
        raise ValueError("must hold no credentials, query or fragment; keys belong in a Secret")
    _check(host, port)
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    remedy = "must be host:port such as 10.0.0.1:8000"
    try:
        parts = urlsplit(f"//{value}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{remedy}: {error}") from None
    if not host or port is None or parts.netloc != value or "@" in value:
        raise ValueError(remedy)
    _check(host, port)
    return value


HttpURL = Annotated[str, Field(max_length=2048), AfterValidator(_http_url)]
"""Of a provider: no credentials, query or fragment, and no slash at its end."""

Endpoint = Annotated[str, Field(max_length=300), AfterValidator(_endpoint)]
"""host:port of one replica; an IPv6 address stands in brackets."""

Port = Annotated[int, Field(ge=1, le=LAST_PORT)]
