"""What the sidecar asks of a protocol at its door."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from overspill.wire import sse
from overspill.wire.bound import bound
from overspill.wire.errors import Wire, worded
from overspill.wire.usage import NO_USAGE, Usage, estimate_tokens, is_whole

if TYPE_CHECKING:
    from overspill.wire.ask import Ask, Call, Target
    from overspill.wire.stream import EventStream


class Answered(NamedTuple):
    """A whole answer for the client, and what it used."""

    body: bytes
    usage: Usage | None
    estimated: bool
    """The answer did not tell all that it used; what `usage` has is a guess where it has any."""


def guessed(ask: Ask, raw: bytes) -> Usage:
    """Return an estimate of what an answer used, from its size: no answer goes unmetered."""
    return Usage(input_tokens=ask.input_tokens, output_tokens=estimate_tokens(len(raw)))


def metered(body: bytes, told: Usage | None, guess: Usage) -> Answered:
    """Return an answer with its usage, or the guess where it told none."""
    if told is None or told is guess:
        return Answered(body, guess, estimated=True)
    return Answered(body, told, estimated=not is_whole(told))


class Ingress(ABC):
    """One protocol: reads a request, words it for an upstream, and words the answer back.

    `now_s` is Unix time, for the `created` field that one wire has and the other has not.
    """

    operation: ClassVar[str]
    """OpenTelemetry's `gen_ai.operation.name`."""
    wire: ClassVar[Wire] = Wire.OPENAI
    """Whose words errors are in."""
    pinned: ClassVar[bool] = False
    """Whether the model asked for decides the tier: answers of two models do not mix."""
    metered: ClassVar[bool] = True
    """Whether providers charge for it."""
    tried: ClassVar[bool] = False
    """Whether two models' answers can be compared, as trials do."""
    generates: ClassVar[bool] = True
    """Whether there is output to charge for."""

    @abstractmethod
    def read(self, raw: bytes | bytearray) -> Ask:
        """Read a request body. Raises: BadRequest naming the field."""

    @abstractmethod
    def call(self, ask: Ask, target: Target) -> Call:
        """Word it for an upstream. Raises: Untranslatable, BadRequest naming the field."""

    def bound(self, ask: Ask, target: Target, call: Call) -> Usage:
        """Return the most that this call can be billed for."""
        return bound(ask, target, call.body, generates=self.generates) if self.metered else NO_USAGE

    @abstractmethod
    def stream(self, ask: Ask, target: Target, now_s: float) -> EventStream:
        """Return what turns the upstream's stream into the client's."""

    @abstractmethod
    def answer(self, ask: Ask, target: Target, raw: bytes, now_s: float) -> Answered:
        """Word a whole answer. Raises: ValueError, KeyError, TypeError where it is garbled."""

    def guess(self, ask: Ask) -> bytes | None:
        """Return what can be said where no upstream speaks this protocol; None for nothing."""
        return None

    def error(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> bytes:
        """Return an error body."""
        return worded(self.wire, status, message, param=param, code=code)

    def error_event(self, body: bytes) -> bytes:
        """Return the event that breaks off a stream."""
        return sse.event(body, "error" if self.wire is Wire.ANTHROPIC else "")
