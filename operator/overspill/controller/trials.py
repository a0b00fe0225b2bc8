"""Keeping what sidecars tell of trials: read, add, write by compare-and-swap, and only then answer.

Every replica of the operator keeps, leader or not; only the leader draws conclusions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from overspill.api.errors import InvalidConfig
from overspill.controller import segments
from overspill.controller.errors import Conflict, NotFound, Unavailable
from overspill.controller.gathering import TRIES, Gathering, NoSuchPolicy, Waiter, belonging
from overspill.controller.policies import policy_now
from overspill.trials.record import pack
from overspill.trials.subject import subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overspill.controller.credentials import Bearer
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api
    from overspill.controller.segments import Mark
    from overspill.trials.record import Batch

GATHER_S: Final = 0.3
"""Each write is a whole segment, and nobody is in a hurry; a sidecar asks another replica after
0.7 s."""
MOST_TOLD: Final = 256
"""Batches at once; a sidecar sends 16 at most."""
log = logging.getLogger(__name__)
_Waiter: TypeAlias = "Waiter[Told, int]"


class Told(NamedTuple):
    """What a sidecar says at once."""

    subject: str
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a policy's trials: where the next ones go."""

    owner: str
    """The policy's uid."""
    number: int
    """Of the newest segment; 0 for none."""
    newest: Manifest | None
    batches: tuple[Batch, ...]
    """Of the newest."""
    earlier: frozenset[str]
    """Names of the batches in the one before, and in all that were written with the newest."""

    def unknown(self, told: Sequence[Batch]) -> list[Batch]:
        """Return what is not there yet, each name once."""
        known = self.earlier | {one.name for one in self.batches}
        return list({one.name: one for one in told if one.name not in known}.values())


class Keeper:
    """Keeps the trials of all policies. In one event loop."""

    def __init__(
        self, client: Api, gather_s: float = GATHER_S, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` tells Unix time in seconds."""
        self._api, self._clock = client, clock
        self._gathering: Gathering[Told, int] = Gathering("trials", self._commit, gather_s)
        self._known: dict[PolicyKey, Tail] = {}
        """As last read or written: a stale one costs a conflict and no more."""

    async def keep(
        self, key: PolicyKey, bearer: Bearer, batches: Sequence[Batch], subject: str
    ) -> int:
        """Write batches down, and return how many were new.

        Those of another subject than the policy's are dropped: their sidecar has not seen yet what
        the policy says now. Raises: NoSuchPolicy, Foreign, InvalidConfig, Unavailable, Refused.
        """
        if len(batches) > MOST_TOLD:
            raise InvalidConfig(f"{len(batches)} batches at once; send {MOST_TOLD} at most")
        for batch in batches:
            if segments.too_large(batch):
                raise InvalidConfig(f"batch {batch.name} is too large; send fewer trials in one")
        now_s = self._clock()  # one pod's clock that is fast would make all others' batches old
        dated = (msgspec.structs.replace(one, ended_s=min(one.ended_s, now_s)) for one in batches)
        return await self._gathering.ask(key, bearer, Told(subject, tuple(dated)))

    async def _commit(self, key: PolicyKey, waiters: list[_Waiter]) -> None:
        for _ in range(TRIES):
            try:
                policy, spec = await policy_now(self._api, key)
            except NoSuchPolicy:
                self._known.pop(key, None)
                raise
            if not (subject := subject_of(spec)):
                raise NoSuchPolicy(f"RoutingPolicy {key} has no spec.routing.trials")
            ours = belonging(waiters, key, policy)
            if not ours:
                return
            try:
                tail = await self._tail(key, policy)
                told = [one.said.batches for one in ours if one.said.subject == subject]
                new = tail.unknown([*chain.from_iterable(told)])
                if new:
                    self._known[key] = await self._append(key, policy, subject, tail, new)
            except (Conflict, NotFound):
                self._known.pop(key, None)
                continue
            except Unavailable:  # whether it was written, nobody knows
                self._known.pop(key, None)
                raise
            self._answer(ours, {one.name for one in new})
            return
        raise Unavailable(f"the trials of {key} are being written by too many; try again")

    @staticmethod
    def _answer(waiters: list[_Waiter], new: set[str]) -> None:
        """Say to each how many of its own were new."""
        for one in waiters:
            kept = {batch.name for batch in one.said.batches} & new
            new -= kept
            one.answer(len(kept))

    async def _append(
        self, key: PolicyKey, policy: Manifest, subject: str, tail: Tail, new: list[Batch]
    ) -> Tail:
        """Add to the newest segment, or begin others where that is full or of another subject."""
        newest, joined = tail.newest, (*tail.batches, *new)
        raw = await asyncio.to_thread(pack, joined)
        fits = segments.fits(joined, raw)
        if newest is not None and fits and segments.subject_noted(newest["metadata"]) == subject:
            manifest = segments.segment(policy, tail.number, subject, raw, before=newest)
            path = f"{_folder(key)}/{newest['metadata']['name']}"
            written = await self._api.replace(path, manifest)
            return replace(tail, newest=written, batches=joined)
        earlier = frozenset[str]()
        for raw in await asyncio.to_thread(segments.chunks, new):
            earlier |= {one.name for one in tail.batches}
            manifest = segments.segment(policy, tail.number + 1, subject, raw)
            written = await self._api.create(_folder(key), manifest)
            tail = replace(
                tail,
                number=tail.number + 1,
                newest=written,
                batches=tuple(segments.unpacked(raw)),
                earlier=earlier,
            )
        await self._let_go(key, policy)
        return tail

    async def _tail(self, key: PolicyKey, policy: Manifest) -> Tail:
        known = self._known.get(key)
        if known is None or known.owner != policy["metadata"]["uid"]:
            return await self._read(key, policy)
        return known

    async def _read(self, key: PolicyKey, policy: Manifest) -> Tail:
        marks = await self._marks(key, policy)
        newest, batches = None, []
        for mark in marks[-2:]:
            newest = await self._api.get(f"{_folder(key)}/{mark.name}")
            batches.append(_readable(newest))
        return Tail(
            owner=policy["metadata"]["uid"],
            number=marks[-1].number if marks else 0,
            newest=newest,
            batches=tuple(batches[-1]) if batches else (),
            earlier=frozenset(one.name for earlier in batches[:-1] for one in earlier),
        )

    async def _let_go(self, key: PolicyKey, policy: Manifest) -> None:
        """Delete the oldest segments that are too many."""
        marks = await self._marks(key, policy)
        for mark in marks[: -segments.SEGMENTS]:
            try:
                await self._api.delete(f"{_folder(key)}/{mark.name}", mark.meta)
            except (Conflict, NotFound):
                log.debug("%s has been deleted or changed already", mark.name)

    async def _marks(self, key: PolicyKey, policy: Manifest) -> list[Mark]:
        selector = segments.selector_of(policy)
        found = await self._api.metadata(_folder(key), labelSelector=selector)
        return segments.marks_in(found, policy)


def _readable(manifest: Manifest) -> list[Batch]:
    """Return a segment's batches; none where it is corrupt: what is added then takes its place."""
    try:
        return segments.batches_in(manifest)
    except segments.Corrupt as error:
        log.warning("ConfigMap %s: %s", manifest["metadata"]["name"], error)
        return []


def _folder(key: PolicyKey) -> str:
    return f"/api/v1/namespaces/{key.namespace}/configmaps"
