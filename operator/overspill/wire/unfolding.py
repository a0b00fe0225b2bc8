"""How often a JSON schema would be read at one place of a value: references may double it.

A chain of 40 definitions, each naming the next one twice, is read 2^40 times, and a schema is a
stranger's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from overspill.wire.document import compact

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_READS: Final = 10_000
"""Of a schema at one place: 30 ms."""
FEW_REFERENCES: Final = 24
"""So many, three to a step, come to 3^8 at most: such schemas are not counted out."""
_HERE: Final = ("not", "if", "then", "else")
_HERE_IN_LISTS: Final = ("allOf", "anyOf", "oneOf")
_HERE_BY_NAME: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")


class _Endless(Exception):
    """More reads than may be, or than can be counted."""


def is_endless(schema: dict[str, Any]) -> bool:
    """Whether nobody should wait for a check against this schema.

    Also where a reference leads in a circle without a step into the value, or goes by a name and
    not by a path. Raises: RecursionError where it is nested too deeply.
    """
    if compact(schema).count(b'ef":') <= FEW_REFERENCES:
        return False
    counting = _Counting(schema)
    try:
        for node in _nodes(schema):
            counting.reads(node)
    except _Endless:
        return True
    return False


class _Counting:
    """Counts, each node once."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._known: dict[int, int] = {}
        """By the node's id; 0 while it is being counted."""
        self._names = ("$id", "id") if "draft-04" in str(root.get("$schema")) else ("$id",)

    def reads(self, node: dict[str, Any]) -> int:
        """Return how often anything is read where this is read once. Raises: _Endless."""
        known = self._known.get(id(node))
        if known == 0 or (node is not self._root and self._is_named(node)):
            raise _Endless
        if known is None:
            self._known[id(node)] = 0
            known = 1 + sum(self.reads(one) for one in self._read_here(node))
            if known > MOST_READS:
                raise _Endless
            self._known[id(node)] = known
        return known

    def _is_named(self, node: dict[str, Any]) -> bool:
        """Whether references below it would be read from there."""
        return any(isinstance(node.get(name), str) for name in self._names)

    def _read_here(self, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the schemas that are read at the same place of a value."""
        found: list[Any] = [node.get(name) for name in _HERE]
        for name in _HERE_IN_LISTS:
            listed = node.get(name)
            found += listed if isinstance(listed, list) else ()
        for name in _HERE_BY_NAME:
            named = node.get(name)
            found += named.values() if isinstance(named, dict) else ()
        found += [self._meant(node[name]) for name in _REFERENCES if name in node]
        return (one for one in found if isinstance(one, dict))

    def _meant(self, reference: object) -> object:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _Endless
        found: Any = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(key)] if isinstance(found, list) else found[key]
            except (KeyError, IndexError, TypeError, ValueError):
                raise _Endless from None
        if reference[1:2] not in ("", "/"):
            raise _Endless
        return found


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    left: list[Any] = [schema]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node
