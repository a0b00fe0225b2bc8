"""Values read out of a request, or refused by name.

`where` is the path down to what is read, such as `tool_choice.`; errors name the field at its top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from overspill.wire.errors import BadRequest, Untranslatable

if TYPE_CHECKING:
    from collections.abc import Collection

NOTHING: Final[tuple[object, ...]] = (None, "", [])
"""What says no more than a field left out, wherever it stands below the top."""


def number(source: dict[str, Any], name: str) -> float | None:
    """Return a number, None where it is missing or null. Raises: BadRequest."""
    value = source.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{name}: a number is required", name)
    return value


def flag(source: dict[str, Any], name: str, where: str = "") -> bool | None:
    """Return true or false, None where it is missing or null. Raises: BadRequest."""
    value = source.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{where}{name}: true or false is required", field_of(where or name))
    return value


def text(source: dict[str, Any], name: str, where: str = "") -> str | None:
    """Return a text, None where it is missing or null. Raises: BadRequest."""
    value = source.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"{where}{name}: a text is required", field_of(where or name))
    return value


def mapping(source: dict[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """Return an object, empty where it is missing or null. Raises: BadRequest."""
    value = source.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{where}{name}: an object is required", field_of(where or name))
    return value


def items(source: dict[str, Any], name: str) -> list[Any]:
    """Return a list, empty where it is missing or null. Raises: BadRequest."""
    value = source.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{name}: a list is required", name)
    return value


def required(value: object, where: str) -> str:
    """Return a text that must be there. Raises: BadRequest."""
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{where}: a text is required", field_of(where))
    return value


def only(value: dict[str, Any], known: Collection[str], where: str) -> None:
    """Refuse what else an object says. Raises: Untranslatable, naming it."""
    for name, said in value.items():
        if name not in known and said not in NOTHING:
            raise Untranslatable(f"{where}.{name}: is not translated", field_of(where))


def field_of(where: str) -> str:
    """Return the field at the top, such as `messages` of `messages[3].content`."""
    return where.partition(".")[0].partition("[")[0]
