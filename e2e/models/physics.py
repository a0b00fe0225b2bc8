"""How fast a GPU server answers: slots, a queue, prefill, shared decoding. Time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Rates of one replica, in tokens per second."""

    slots: int
    output_tokens_per_s: float
    max_stream_tokens_per_s: float
    prefill_tokens_per_s: float


@dataclass(slots=True)
class Job:
    """One request on its way through the server."""

    input_tokens: int
    output_tokens: int
    prefill_left: float
    decoded: float = 0.0

    @property
    def tokens_out(self) -> int:
        """Whole tokens decoded so far."""
        return min(self.output_tokens, int(self.decoded + 1e-6))

    @property
    def done(self) -> bool:
        """Whether the last token is out."""
        return self.prefill_left <= 0 and self.tokens_out >= self.output_tokens


class Engine:
    """Continuous batching, in fluid form: advance it, then look at the jobs."""

    def __init__(self, speed: Speed, now_s: float) -> None:
        self.speed = speed
        self._at_s = now_s
        self.waiting: OrderedDict[int, Job] = OrderedDict()
        self.running: OrderedDict[int, Job] = OrderedDict()
        self._next = 0

    def submit(self, input_tokens: int, output_tokens: int) -> tuple[int, Job]:
        """Queue a request."""
        job = Job(input_tokens, output_tokens, prefill_left=float(input_tokens))
        self._next += 1
        self.waiting[self._next] = job
        self._admit()
        return self._next, job

    def leave(self, number: int) -> None:
        """The request has ended or its client has gone; its slot is free at once."""
        self.waiting.pop(number, None)
        self.running.pop(number, None)
        self._admit()

    def advance(self, now_s: float) -> None:
        """Work until `now_s`."""
        elapsed_s = max(0.0, now_s - self._at_s)
        self._at_s = now_s
        budget = elapsed_s * self.speed.prefill_tokens_per_s
        decoding = []
        for job in self.running.values():
            if job.prefill_left > 0:
                used = min(budget, job.prefill_left)
                job.prefill_left -= used
                budget -= used
            elif not job.done:
                decoding.append(job)
        if decoding:
            share = self.speed.output_tokens_per_s / len(decoding)
            rate = min(share, self.speed.max_stream_tokens_per_s)
            for job in decoding:
                job.decoded = min(job.output_tokens, job.decoded + rate * elapsed_s)

    def _admit(self) -> None:
        while self.waiting and len(self.running) < self.speed.slots:
            number, job = self.waiting.popitem(last=False)
            self.running[number] = job
