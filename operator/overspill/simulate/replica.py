"""One small replica at work on single requests. Time is an argument.

It reads prompts one after the other, and while it does it writes nothing; else it writes all
answers at the same pace. Either way it does the policy's work per second, unless so few answers are
being written that each is at its own limit. What finds no slot waits.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from overspill.api.policy import Capacity

STREAM_TOKENS_PER_S: Final = 100.0
"""What one answer gets at most, unless a full replica gives more; an H100 with an 8B model writes
about 120 tokens/s for one client. Source: yobitelcomm.github.io/bench, concurrency sweep, 2026."""
_NOTHING_S: Final = 1e-6
"""Less is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What one replica can do."""

    work_tokens_per_s: float
    prefill_tokens_per_s: float
    """With nothing else to do: input tokens whose weight is a second's work."""
    stream_tokens_per_s: float
    """What one answer gets at most."""
    slots: int


def speed_of(capacity: Capacity) -> Speed:
    """Read a policy's guess: with all slots taken a replica does all the work it can."""
    work_tokens_per_s = float(capacity.output_tokens_per_second)
    weight, slots = float(capacity.input_token_weight), capacity.max_concurrency
    return Speed(
        work_tokens_per_s=work_tokens_per_s,
        prefill_tokens_per_s=work_tokens_per_s / weight if weight else float("inf"),
        stream_tokens_per_s=max(STREAM_TOKENS_PER_S, work_tokens_per_s / slots),
        slots=slots,
    )


class Job:
    """One request at a replica."""

    __slots__ = ("begun", "done_at", "gone", "input_tokens", "number", "output_tokens", "read_at_s")

    def __init__(self, number: int, input_tokens: float, output_tokens: float) -> None:
        self.number, self.input_tokens, self.output_tokens = number, input_tokens, output_tokens
        self.begun = False
        """Whether its first token is out."""
        self.gone = False
        self.read_at_s = float("inf")
        """When its prompt will have been read, had nobody left since; infinity while it waits."""
        self.done_at = 0.0
        """What the replica has written to each answer when this one ends."""


class Replica:
    """Advance it, then ask what has begun and what has ended, then when to look again.

    All answers grow at one pace, so what one that was there all along would have got,
    `_written_tokens`, is the clock of them all: a job ends its own length after where it began.
    """

    __slots__ = (
        "_at_s", "_busy_until_s", "_ending", "_reading", "_running", "_saved_s", "_speed",
        "_waiting", "_written_tokens",
    )  # fmt: skip

    def __init__(self, speed: Speed, now_s: float) -> None:
        self._speed, self._at_s = speed, now_s
        self._busy_until_s = now_s
        """When all prompts will have been read."""
        self._saved_s = 0.0
        """Reading that was spared because somebody left, in all."""
        self._written_tokens = 0.0
        self._running = 0
        self._waiting: deque[Job] = deque()
        self._reading: deque[Job] = deque()
        self._ending: list[tuple[float, int, Job]] = []

    @property
    def idle(self) -> bool:
        """Whether nothing is there."""
        return not self._running

    def submit(self, job: Job, now_s: float) -> None:
        """Take a job, or let it wait for a slot."""
        self.advance(now_s)
        self._waiting.append(job)
        self._admit()

    def advance(self, now_s: float) -> None:
        """Work until then."""
        since_s = max(self._at_s, self._busy_until_s)
        if now_s > since_s and self._running:
            self._written_tokens += (now_s - since_s) * self._pace_tokens_per_s
        self._at_s = now_s

    def begun(self) -> list[Job]:
        """Return those whose first token has come out: reading the prompt yields it."""
        begun = []
        reading, until_s = self._reading, self._at_s + self._saved_s + _NOTHING_S
        while reading and reading[0].read_at_s <= until_s:
            job = reading.popleft()
            job.begun = True
            begun.append(job)
        return begun

    def ended(self) -> list[Job]:
        """Return those whose last token has come out; others take their slots."""
        ended: list[Job] = []
        if self._at_s < self._busy_until_s - _NOTHING_S:
            return ended
        ending, until = self._ending, self._written_tokens + self._pace_tokens_per_s * _NOTHING_S
        while ending and (ending[0][0] <= until or ending[0][2].gone):
            job = heappop(ending)[2]
            if not job.gone:
                ended.append(job)
        self._running -= len(ended)
        self._admit()
        return ended

    def leave(self, job: Job, now_s: float) -> None:
        """Drop the oldest job whose first token is not out; what was left to read is spared."""
        self.advance(now_s)
        job.gone = True
        if self._waiting and self._waiting[0] is job:
            self._waiting.popleft()
            return
        self._reading.remove(job)
        spared_s = max(0.0, job.read_at_s - self._saved_s - now_s)
        self._saved_s += spared_s
        self._busy_until_s -= spared_s
        self._running -= 1
        self._admit()

    def next_s(self) -> float:
        """When something begins or ends next, if nobody comes or leaves; infinity if nothing."""
        next_s = self._reading[0].read_at_s - self._saved_s if self._reading else float("inf")
        if self._ending:
            left_tokens = max(0.0, self._ending[0][0] - self._written_tokens)
            free_s = max(self._at_s, self._busy_until_s)
            next_s = min(next_s, free_s + left_tokens / self._pace_tokens_per_s)
        return max(next_s, self._at_s)

    @property
    def _pace_tokens_per_s(self) -> float:
        speed = self._speed
        return min(speed.work_tokens_per_s / max(1, self._running), speed.stream_tokens_per_s)

    def _admit(self) -> None:
        speed, waiting = self._speed, self._waiting
        while waiting and self._running < speed.slots:
            job = waiting.popleft()
            self._running += 1
            began_s = max(self._at_s, self._busy_until_s)
            self._busy_until_s = began_s + job.input_tokens / speed.prefill_tokens_per_s
            job.read_at_s = self._busy_until_s + self._saved_s
            job.done_at = self._written_tokens + job.output_tokens
            self._reading.append(job)
            heappush(self._ending, (job.done_at, job.number, job))
