"""Single requests played against single replicas: the sidecar's own choice of one, event by event.

One sidecar sees all requests, all of them streams: a replica of the least in flight with a free
slot, else waiting for at most `queue.maxWait`, else the next rung; there too whose first token is
not out by its deadline. Replicas that are no longer asked for finish what they have.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

from overspill.routing.capacity import SmallCapacity
from overspill.routing.limit import LATE_SHARE
from overspill.simulate.latency import Stopwatch
from overspill.simulate.replica import Job, Replica

if TYPE_CHECKING:
    from overspill.routing.capacity import Slot
    from overspill.simulate.engine import Progress
    from overspill.simulate.load import FloatArray, Load
    from overspill.simulate.requests import Traffic
    from overspill.simulate.tier import Tier

_FOREVER = float("inf")
_Event = tuple[float, int, Callable[[Any, float], None], Any]
"""When, in which order, what happens, to whom."""


def _numbers(values: FloatArray) -> array[float]:
    """Copy: one element of a numpy array takes three times as long to read."""
    return array("d", values.tobytes())


class _Server:
    """A replica in its place."""

    __slots__ = ("address", "answered_s", "due_s", "left_s", "replica", "slots")

    def __init__(self, address: str, replica: Replica) -> None:
        self.address, self.replica = address, replica
        self.slots: dict[int, Slot] = {}
        """The sidecar's, by the number of the request."""
        self.due_s = _FOREVER
        """Of the one event that counts; others of this server are stale."""
        self.left_s: float | None = None
        """Since when it is no longer asked for."""
        self.answered_s = 0.0
        """When something last ended there."""


class Replay:
    """Serves the steps of a load, for `engine.run`."""

    def __init__(
        self, load: Load, traffic: Traffic, tier: Tier, progress: Progress | None = None
    ) -> None:
        self._load, self._tier, self._progress = load, tier, progress
        requests = traffic.requests
        self._arrival_s = _numbers(requests.arrival_s)
        self._arrival_s.append(_FOREVER)
        self._input_tokens = _numbers(requests.input_tokens)
        self._output_tokens = _numbers(requests.output_tokens)
        self._work_tokens = _numbers(traffic.work_tokens)
        self.watch = Stopwatch(len(requests))
        self.spilled = bytearray(len(requests))
        """1 where a provider was paid for the request."""
        self.drained_s = 0.0
        """Time of replicas that were no longer asked for and still at work, summed."""
        self._capacity = SmallCapacity()
        self._servers: list[_Server] = []
        """Oldest first."""
        self._by_address: dict[str, _Server] = {}
        self._made = 0
        self._queue: deque[int] = deque()
        self._events: list[_Event] = []
        self._order = count()
        self._next = 0
        self._taken_tokens = 0.0

    def serve(self, step: int, ready: int) -> float:
        """Play a step with so many replicas ready; the last goes on until all is answered.

        Returns the work that they took, in tokens per second.
        """
        if self._progress is not None:
            self._progress(step)
        step_s = self._load.step_s
        self._resize(ready, step * step_s)
        self._taken_tokens = 0.0
        last = step == self._load.steps - 1
        self._play(_FOREVER if last else (step + 1) * step_s)
        if last:  # nothing is asked for beyond it
            end_s = self._load.steps * step_s
            self.drained_s += sum(max(0.0, one.answered_s - end_s) for one in self._servers)
        return min(self._taken_tokens, ready * self._load.replica_tokens) / step_s

    # -- time
    def _play(self, until_s: float) -> None:
        arrival_s, events, number = self._arrival_s, self._events, self._next
        while True:
            arrives_s = arrival_s[number]
            if events and events[0][0] <= min(arrives_s, until_s):
                at_s, _, happen, subject = heappop(events)
                happen(subject, at_s)
            elif arrives_s < until_s:
                self._arrive(number, arrives_s)
                number += 1
            else:
                self._next = number
                return

    def _at(self, at_s: float, happen: Callable[[Any, float], None], subject: object) -> None:
        heappush(self._events, (at_s, next(self._order), happen, subject))

    # -- replicas come and go
    def _resize(self, ready: int, now_s: float) -> None:
        if ready == len(self._servers):
            return
        while len(self._servers) < ready:
            self._made += 1
            server = _Server(str(self._made), Replica(self._tier.speed, now_s))
            self._servers.append(server)
            self._by_address[server.address] = server
        leaving, self._servers = self._servers[ready:], self._servers[:ready]
        self._capacity.configure([one.address for one in self._servers], self._tier.speed.slots)
        for server in leaving:
            server.left_s = now_s
            self._forget(server, now_s)
        self._call_next(now_s)

    def _forget(self, server: _Server, now_s: float) -> None:
        """Let a replica go that is no longer asked for and has nothing left to do."""
        if server.left_s is not None and not server.slots:
            self.drained_s += now_s - server.left_s
            self._by_address.pop(server.address)

    # -- requests
    def _arrive(self, number: int, now_s: float) -> None:
        slot = None if self._queue else self._capacity.acquire(now_s)
        if slot is not None:
            self._submit(number, slot, now_s)
        elif self._tier.max_wait_s > 0 and self._servers:
            self._queue.append(number)
            self._at(now_s + self._tier.max_wait_s, self._give_up, number)
        else:
            self._spill(number, now_s)

    def _give_up(self, number: int, now_s: float) -> None:
        """Waiting is over; who came first is first in line, as all wait equally long."""
        if self._queue and self._queue[0] == number:
            self._queue.popleft()
            self._waited(number, now_s)
            self._spill(number, now_s)

    def _call_next(self, now_s: float) -> None:
        """There may be room: hand it out. With no replica left nobody waits."""
        queue = self._queue
        while queue:
            slot = self._capacity.acquire(now_s)
            if slot is None and self._servers:
                return
            number = queue.popleft()
            self._waited(number, now_s)
            if slot is None:
                self._spill(number, now_s)
            else:
                self._submit(number, slot, now_s)

    def _submit(self, number: int, slot: Slot, now_s: float) -> None:
        server = self._by_address[slot.address]
        server.slots[number] = slot
        job = Job(number, self._input_tokens[number], self._output_tokens[number])
        server.replica.submit(job, now_s)
        self._taken_tokens += self._work_tokens[number]
        self._at(now_s + self._tier.first_token_s, self._late, (server, job))
        self._expect(server)

    def _spill(self, number: int, now_s: float) -> None:
        self.spilled[number] = 1
        asked_after_s = now_s - self._arrival_s[number]
        self.watch.external(number, asked_after_s, self._output_tokens[number])

    def _waited(self, number: int, now_s: float) -> None:
        self.watch.queue_wait_s[number] = now_s - self._arrival_s[number]

    # -- replicas at work
    def _expect(self, server: _Server) -> None:
        """Look at the server when something begins or ends there next."""
        next_s = server.replica.next_s()
        if next_s != server.due_s:
            server.due_s = next_s
            if next_s < _FOREVER:
                self._at(next_s, self._look, server)

    def _look(self, server: _Server, now_s: float) -> None:
        if now_s != server.due_s:
            return
        server.due_s = _FOREVER
        replica = server.replica
        replica.advance(now_s)
        for job in replica.begun():
            self._begun(server, job, now_s)
        for job in replica.ended():
            self.watch.duration_s[job.number] = now_s - self._arrival_s[job.number]
            self._release(server, job, now_s)
        self._call_next(now_s)
        self._expect(server)

    def _begun(self, server: _Server, job: Job, now_s: float) -> None:
        slot = server.slots[job.number]
        in_time = now_s - slot.taken_s <= LATE_SHARE * self._tier.first_token_s
        self._capacity.answered(slot, in_time=in_time, now_s=now_s)
        self.watch.ttft_s[job.number] = now_s - self._arrival_s[job.number]

    def _late(self, late: tuple[_Server, Job], now_s: float) -> None:
        """The first token is due; where it is not out, the request goes to the next rung."""
        server, job = late
        if job.begun:
            return
        self._capacity.overloaded(server.slots[job.number], now_s)
        server.replica.leave(job, now_s)
        self._taken_tokens -= self._work_tokens[job.number]
        self._spill(job.number, now_s)
        self._release(server, job, now_s)
        self._call_next(now_s)
        self._expect(server)

    def _release(self, server: _Server, job: Job, now_s: float) -> None:
        self._capacity.release(server.slots.pop(job.number), now_s)
        server.answered_s = now_s
        self._forget(server, now_s)
