"""What a sidecar counts of its trials, and how the operator hears of it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from base64 import b64encode
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from overspill.api.trials import PATH, TrialReport
from overspill.routing.features import VERSION
from overspill.sidecar.link import Link, NotAnswered
from overspill.trials.record import Batch, Trial, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.sidecar_config import LenderConfig
    from overspill.sidecar.runtime import Runtime
    from overspill.trials.lot import Plan

REPORT_S: Final = 10.0
"""From one report to the next, where there is a trial to tell of."""
COUNTS_S: Final = 300.0
"""And where there are only counts: of many sidecars they would crowd the trials out."""
REPORT_TRIALS: Final = 48
"""So many are told at once, without waiting. A batch has no more: the operator keeps it whole."""
BATCHES_KEPT: Final = 16
"""While the operator does not listen; older ones are forgotten."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Count:
    """What happened since the last report."""

    alone: int = 0
    at_frontier: int = 0
    unseen: int = 0
    lost: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    """By whether the trial was paid for."""
    missed: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})
    """Requests that these were to stand for."""
    spent_usd_micros: int = 0
    trials: list[Trial] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing did."""
        return self == Count()


class Teller:
    """Tells the operator of trials, batch by batch, until it has heard. In one event loop."""

    def __init__(self, new_name: Callable[[], str]) -> None:
        self._new_name = new_name
        self._now_s = asyncio.get_running_loop().time
        self._link: Link | None = None
        self._made_of: tuple[LenderConfig, Path] | None = None
        self._policy = self.subject = ""
        self._plan: Plan | None = None
        self.count = Count()
        self.full = asyncio.Event()
        """There is enough to tell without waiting."""
        self._untold: deque[Batch] = deque(maxlen=BATCHES_KEPT)
        self._trouble = ""

    @property
    def listens(self) -> bool:
        """Whether there is an operator that wants to hear of trials."""
        return self._link is not None

    def configure(self, runtime: Runtime, folder: Path) -> bool:
        """Go on under this configuration; say whether what came before still counts.

        Trials of other models say nothing of these. Raises: ValueError where a certificate is none.
        """
        config, plan, subject = runtime.config, runtime.plan, runtime.subject
        told = config.trials.operator if config.trials and plan else None
        made_of = (told, folder) if told else None
        if made_of != self._made_of:
            link = Link(*made_of) if made_of else None
            self._hang_up()
            self._link, self._made_of = link, made_of
        self._policy = config.policy
        goes_on = subject == self.subject
        if not goes_on:
            self.subject, self.count = subject, Count()
            self._untold.clear()
        if plan != self._plan:
            self._seal()
            self._plan = plan
        return goes_on

    def graded(self, trial: Trial) -> None:
        """Take in a trial."""
        self.count.trials.append(trial)
        if len(self.count.trials) >= REPORT_TRIALS:
            self.full.set()

    async def tell_for_ever(self) -> None:
        """Tell now and then."""
        told_s = self._now_s()
        while True:
            self.full.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_S):
                    await self.full.wait()
            late = self._now_s() - told_s >= COUNTS_S
            if self.count.trials or self._untold or late:
                told_s = self._now_s()
                await self.report()

    async def report(self) -> bool:
        """Tell the operator what it does not know yet; say whether it has been told."""
        self._seal()
        link, subject, told = self._link, self.subject, list(self._untold)
        if not told or link is None:
            return not told
        packed = await asyncio.to_thread(pack, told)  # tens of milliseconds where there are many
        report = TrialReport(policy=self._policy, subject=subject, batches=b64encode(packed))
        try:
            await link.post(PATH, report.model_dump_json(by_alias=True).encode())
        except NotAnswered as error:
            self._failed(str(error))
            return False
        except Exception as error:  # a fault of ours, and no reason never to tell again
            self._failed(repr(error))
            return False
        self._trouble = ""
        for batch in told:
            with suppress(ValueError):
                self._untold.remove(batch)
        return True

    def _failed(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning(json.dumps({"event": "trials were not reported", "problem": trouble}))
        self._trouble = trouble

    def _seal(self) -> None:
        """Close the account of what happened so far."""
        count, plan = self.count, self._plan
        if plan is None or count.empty:
            return
        self.count = Count()
        first, *others = _parted(count.trials)
        self._untold.append(self._batch(count, plan, first))
        self._untold += [self._batch(Count(), plan, trials) for trials in others]

    def _batch(self, count: Count, plan: Plan, trials: list[Trial]) -> Batch:
        return Batch(
            name=self._new_name(),
            features=VERSION,
            ended_s=time.time(),
            alone=count.alone,
            at_frontier=count.at_frontier,
            unseen=count.unseen,
            lost_free=count.lost[False],
            lost_paid=count.lost[True],
            trial_rate=plan.trial_rate,
            variance=plan.variance,
            spent_usd_micros=count.spent_usd_micros,
            trials=trials,
            missed_free=count.missed[False],
            missed_paid=count.missed[True],
        )

    async def close(self) -> None:
        """Tell the last of it."""
        await self.report()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _parted(trials: list[Trial]) -> list[list[Trial]]:
    """Part them into what fits a batch; one at least."""
    starts = range(0, max(1, len(trials)), REPORT_TRIALS)
    return [trials[start : start + REPORT_TRIALS] for start in starts]
