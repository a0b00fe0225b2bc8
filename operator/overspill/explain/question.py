"""The request that is asked about, read as the sidecar reads it at its door."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from overspill.api.errors import OverspillError
from overspill.sidecar.choose import fitted
from overspill.sidecar.request import Limits
from overspill.wire.errors import BadRequest
from overspill.wire.ingress import INGRESSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from overspill.sidecar.runtime import Runtime
    from overspill.wire.ask import Ask
    from overspill.wire.ingress import Ingress
    from overspill.wire.trim import Cut

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class CannotExplain(OverspillError):
    """What the command line asks about cannot be read; says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request as it comes to the sidecar."""

    path: str
    ingress: Ingress
    ask: Ask
    headers: Mapping[bytes, bytes]
    """Names in lower case."""
    cut: Cut | None = None
    """What the policy leaves out of a conversation that is too long."""

    def under(self, runtime: Runtime) -> Question:
        """Return it as a policy has it sent."""
        ask, cut = fitted(self.ingress, self.ask, runtime)
        return replace(self, ask=ask, cut=cut)


def read_question(
    raw: bytes, source: str, path: str, headers: Mapping[bytes, bytes] | None = None
) -> Question:
    """Read a body from `source`, sent to `path`. Raises: CannotExplain."""
    ingress, most = INGRESSES[path], Limits().body_bytes
    if len(raw) > most:
        raise CannotExplain(
            f"{source}: has {len(raw)} bytes, and the sidecar answers 413 above {most}; shorten it"
        )
    try:
        ask = ingress.read(raw)
    except BadRequest as error:
        raise CannotExplain(
            f"{source}: {error.message} at {path}, where the sidecar would answer 400; "
            f"correct it, or say with --path where it is sent: {', '.join(INGRESSES)}"
        ) from None
    return Question(path=path, ingress=ingress, ask=ask, headers=headers or {})


def read_headers(lines: Sequence[str]) -> dict[bytes, bytes]:
    """Read `NAME: VALUE` lines; several of one name are joined. Raises: CannotExplain."""
    found: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise CannotExplain(f"--header {line!r}: write NAME: VALUE, such as 'x-priority: high'")
        if _UNSENDABLE.search(value):
            raise CannotExplain(
                f"--header {line!r}: a header has no line breaks or other control characters; "
                "leave them out"
            )
        key, said = name.lower().encode(), value.strip().encode("utf-8", "surrogateescape")
        found[key] = found[key] + b", " + said if key in found else said
    return found
