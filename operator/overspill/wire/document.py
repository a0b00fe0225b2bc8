"""A JSON object whose fields can be replaced without touching a byte of the others.

Request bodies are read for the few fields we need; everything else goes on as the client wrote
it: number formats, escapes, spaces inside values. Only the object itself is written anew, so that a
key which stood twice reaches the upstream once, with the value that we read too.
"""

from __future__ import annotations

from typing import Any, Final, Self

import msgspec

from overspill.wire.errors import BadRequest

_read_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_string: Final = msgspec.json.Decoder(str).decode
_read: Final = msgspec.json.Decoder().decode
_write: Final = msgspec.json.Encoder().encode


def read_json(raw: bytes | str) -> Any:  # noqa: ANN401 - any JSON value
    """Parse JSON. Raises: ValueError."""
    try:
        return _read(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def compact(value: object) -> bytes:
    """Return JSON without spaces."""
    return _write(value)


class Document:
    """The fields of a JSON object, each still as it was written."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, msgspec.Raw]) -> None:
        self.fields = fields

    @classmethod
    def read(cls, raw: bytes | bytearray) -> Self:
        """Parse a body. Raises: BadRequest where it is not one JSON object."""
        try:
            return cls(_read_fields(raw))
        except msgspec.ValidationError:
            raise BadRequest("the body must be a JSON object") from None
        except msgspec.DecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        except RecursionError:
            raise BadRequest("the body is not usable: it is nested too deeply") from None

    def get(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value of a field, None where it is missing or null. Raises: BadRequest."""
        raw = self.fields.get(name)
        if raw is None:
            return None
        try:
            return read_json(raw)
        except ValueError as error:
            raise BadRequest(f"{name}: not usable: {error}", name) from None

    def text(self, name: str) -> str | None:
        """Return the value of a field that is a string, else None."""
        raw = self.fields.get(name)
        if raw is None:
            return None
        try:
            return _read_string(raw)
        except (msgspec.DecodeError, ValueError):
            return None

    def head(self, name: str, size: int) -> bytes:
        """Return the first bytes of a field as written, empty where it is missing."""
        raw = self.fields.get(name)
        return b"" if raw is None else bytes(memoryview(raw)[:size])

    def lists(self, name: str) -> bool:
        """Whether a field is a list with something in it."""
        head = self.head(name, 16)
        return head.startswith(b"[") and not head[1:].lstrip().startswith(b"]")

    def values(self) -> dict[str, Any]:
        """Return the whole object, parsed. Raises: BadRequest."""
        return {name: self.get(name) for name in self.fields}

    def with_fields(self, changes: dict[str, Any]) -> bytes:
        """Return the object's bytes with these fields set; one that is None is left out."""
        fields: dict[str, Any] = {**self.fields, **changes}
        if None in changes.values():
            for name, value in changes.items():
                if value is None:
                    del fields[name]
        return _write(fields)
