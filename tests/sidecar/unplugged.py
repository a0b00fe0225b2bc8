"""A sidecar whose upstreams are scripts in memory: its own parts, and neither sockets nor silence.

For `tests.virtual_time`: pauses cost nothing there, and times can be told to the millisecond.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec

from overspill.api.sidecar_config import SidecarConfig
from overspill.routing.decide import SMALL_FITS, TOO_COMPLEX
from overspill.sidecar.ladder import Ladder
from overspill.sidecar.proxy import Proxy
from overspill.sidecar.request import Request
from overspill.sidecar.tally import Tally
from overspill.sidecar.upstream import FOREVER, Origin, Pool, Response, UpstreamError
from overspill.telemetry import names
from overspill.wire.ingress import INGRESSES
from tests.sidecar import replies
from tests.sidecar.replies import Wire
from tests.sidecar.scene import asking, frontier

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.routing.decide import Route
    from overspill.sidecar.attempt import Opened
    from overspill.wire.ask import Ask

CHAT = INGRESSES["/v1/chat/completions"]
STAYS = msgspec.structs.replace(SMALL_FITS, may_overflow=False)
TOO_LONG = msgspec.structs.replace(TOO_COMPLEX, fits_small=False)
SMALL = ("small-1:8000", "small-2:8000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """What an upstream does with one request: so much silence, a head, and the pieces of a body."""

    pieces: tuple[bytes | float | UpstreamError, ...] = ()
    """Bytes, seconds of silence, and how it breaks."""
    status: int = 200
    headers: dict[bytes, bytes] = field(default_factory=dict)
    after_s: float = 0.0
    fails: str = ""
    """Then nothing comes but this, where it is not empty."""


def whole(text: str = "Paris", wire: Wire = Wire.OPENAI) -> Says:
    """A good answer."""
    return Says(pieces=(replies.whole(wire, text),))


def stream(text: str = "Paris", wire: Wire = Wire.OPENAI) -> Says:
    """A good stream."""
    return Says(pieces=tuple(replies.events(wire, (text,))))


def refusal(status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Says:
    """An error of the upstream's own."""
    told = {name.encode(): text.encode() for name, text in (headers or {}).items()}
    return Says(status=status, pieces=(body,), headers=told)


def broken(kind: str) -> UpstreamError:
    """No connection, or one that broke."""
    return UpstreamError(kind, kind)


Script = list[Says | UpstreamError]
"""One for each request."""
GOOD, FAULT, WRONG = whole(), refusal(500, b"fault"), refusal(400, b"wrong")
RESET, GONE, LATE = broken("reset"), broken("connect"), Says(after_s=60.0)


def now_s() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


class Reading:
    """A response as its reader knows it."""

    def __init__(self, says: Says, deadline_s: float, first_byte_s: float) -> None:
        self.status, self.headers = says.status, says.headers
        self._left = list(says.pieces)
        self._deadline_s = deadline_s
        self.first_byte_s = first_byte_s
        self.ends: list[str] = []
        """How it was let go of; once, where all is well."""

    async def silence(self, pause_s: float, within_s: float = FOREVER) -> None:
        """Raises: UpstreamError where a limit comes first."""
        at_s = now_s()
        limits = (
            (self.first_byte_s - at_s, "first_token"),
            (self._deadline_s - at_s, "deadline"),
            (within_s, "timeout"),
        )
        limit_s, kind = min(limits)
        await asyncio.sleep(min(pause_s, limit_s))
        if limit_s < pause_s:
            raise broken(kind)

    async def read(self, within_s: float = FOREVER) -> bytes:
        while self._left:
            piece = self._left.pop(0)
            if isinstance(piece, UpstreamError):
                raise piece
            if isinstance(piece, bytes):
                return piece
            await self.silence(piece, within_s)
        return b""

    async def read_all(self) -> bytes:
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)

    async def read_some(self, size: int, within_s: float) -> bytes:
        parts, end_s = b"", now_s() + within_s
        try:
            while len(parts) < size:
                part = await self.read(end_s - now_s())
                if not part:
                    break
                parts += part
        except UpstreamError:
            pass
        return parts[:size]

    def close(self) -> None:
        self.ends.append("closed")

    def finish(self) -> None:
        self.ends.append("finished")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, as it went out."""

    host: str
    head: bytes
    body: dict[str, Any]
    at_s: float
    deadline_s: float
    first_byte_s: float


@dataclass
class Upstreams:
    """Stands in for the pool: each host says its scripts one by one, the last again and again."""

    scripts: dict[str, Script]
    sent: list[Sent] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    async def post(
        self,
        origin: Origin,
        head: bytes,
        body: bytes,
        *,
        deadline_s: float = FOREVER,
        first_byte_s: float = FOREVER,
    ) -> Response:
        at_s = now_s()
        told = json.loads(body)
        self.sent.append(Sent(origin.host, head, told, at_s, deadline_s, first_byte_s))
        scripts = self.scripts[origin.host]
        says = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        if isinstance(says, UpstreamError):
            raise says
        reading = Reading(says, deadline_s, first_byte_s)
        await reading.silence(says.after_s)
        if says.fails:
            raise broken(says.fails)
        self.readings.append(reading)
        return cast("Response", reading)

    @property
    def pool(self) -> Pool:
        """As those who ask know it."""
        return cast("Pool", self)

    def keep_only(self, _: object) -> None:
        """Keeps nothing."""


@dataclass
class Unplugged:
    """A sidecar, what its upstreams say, and how it is asked."""

    proxy: Proxy
    upstreams: Upstreams
    base: dict[str, Any]
    folder: Path

    @property
    def hosts(self) -> str:
        """Who was asked, in order."""
        return " ".join(one.host for one in self.upstreams.sent)

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Tiers and reasons that were counted as decided."""
        cells = self.proxy.metrics._cells[names.DECISIONS]
        told = [dict(labels) for labels, cell in cells.items() for _ in range(int(cell.value))]
        return [(one["tier"], one["reason"]) for one in told]

    def configure(self, **changes: Any) -> None:  # noqa: ANN401 - any JSON value
        """Let the sidecar use its configuration with these fields changed."""
        self.base |= changes
        self.proxy.configure(SidecarConfig.model_validate(self.base), self.folder)

    def ladder(self, within_s: float = 3600.0, path: str = "/v1/chat/completions") -> Ladder:
        """One request that has so long."""
        runtime, at_s = self.proxy.runtime, self.proxy.now_s()
        assert runtime
        ladder = Ladder(self.proxy, runtime, INGRESSES[path], Request(), at_s + within_s)
        ladder.tally = Tally(self.proxy.meters, runtime, route=SMALL_FITS, ask=ask(), now_s=at_s)
        return ladder

    async def open(
        self,
        ladder: Ladder,
        route: Route,
        *,
        streamed: bool = False,
        **more: Any,  # noqa: ANN401
    ) -> Opened | None:
        """Ask, and say what came of it."""
        return await ladder.open(ask(streamed=streamed, **more), route)


def ask(*, streamed: bool = False, **more: Any) -> Ask:  # noqa: ANN401
    """A chat request."""
    return CHAT.read(asking(stream=streamed, **more))


def unplugged(
    folder: Path,
    scripts: dict[str, Script],
    *,
    small: int = 1,
    anthropic: tuple[str, ...] = (),
    **changes: Any,  # noqa: ANN401
) -> Unplugged:
    """Every host that is not a small endpoint is a frontier, in this order."""
    (folder / "credentials").mkdir(exist_ok=True)
    (folder / "credentials" / "opus").write_text("sk-provider\n")
    hosts = [host for host in scripts if not host.startswith(("small", "host"))]
    wires = {host: Wire.ANTHROPIC if host in anthropic else Wire.OPENAI for host in hosts}
    base: dict[str, Any] = {
        "policy": "test/chat",
        "generation": 1,
        "mode": "Enforce",
        "small": {
            "model": "glm",
            "contextWindow": 32768,
            "endpoints": list(SMALL[:small]),
            "slotsPerEndpoint": 4,
            "inputTokenWeight": "0.1",
            "firstTokenDeadlineS": 5.0,
        },
        "frontier": [frontier(host, wires[host], host) for host in hosts],
        "hosted": [frontier(host, Wire.OPENAI, host) for host in scripts if host == "host"],
    }
    made = Unplugged(Proxy(), Upstreams(scripts), base, folder)
    made.proxy.pool = made.upstreams.pool
    made.configure(**changes)
    return made
