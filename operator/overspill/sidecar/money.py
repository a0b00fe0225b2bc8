"""Whose money a sidecar spends: who lends it, and one purse for each purpose it is lent for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overspill.api.policy import Mode
from overspill.budget.purposes import TRIALS
from overspill.budget.wallet import Wallet
from overspill.sidecar.lender import LocalLender, RemoteLender, lease_names
from overspill.sidecar.purse import LEAVE_S, Purse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from overspill.api.sidecar_config import SidecarConfig

    Lender = LocalLender | RemoteLender


@dataclass(frozen=True, slots=True)
class Purses:
    """What is to be used from now on, and who fills it."""

    main: Purse | None
    """None where nobody lends, or where nothing is to be changed."""
    trials: Purse | None
    """None where trials are paid like all else."""
    lender: Lender | None

    def each(self) -> tuple[Purse, ...]:
        """Return those there are."""
        return tuple(one for one in (self.main, self.trials) if one is not None)


class Money:
    """All purses of one sidecar. In one event loop."""

    def __init__(self, now_s: Callable[[], float], offered_usd_micros: Callable[[], float]) -> None:
        """`offered_usd_micros` says what all traffic so far would have cost."""
        self._now_s, self._offered_usd_micros = now_s, offered_usd_micros
        self._used = Purses(None, None, None)
        self._retiring: dict[asyncio.Task[None], Purse] = {}
        self.local_lender: LocalLender | None = None
        """Lends where no operator does."""

    @property
    def purse(self) -> Purse | None:
        """Of all that is no trial."""
        return self._used.main

    def prepare(self, config: SidecarConfig, folder: Path) -> Purses:
        """Return the purses of a configuration: present ones go on, and so do their leases.

        Raises: ValueError where the lender's certificate cannot be read.
        """
        lender = self._lender_of(config, folder)
        if lender is None:
            return Purses(None, None, None)
        limited = bool(config.trials and config.trials.limited and config.trials.operator)
        offered = self._offered_usd_micros
        main = self._used.main or self._purse(lender, offered_usd_micros=offered)
        trials = (self._used.trials or self._purse(lender, TRIALS)) if limited else None
        return Purses(main, trials, lender)

    def use(self, purses: Purses) -> None:
        """Spend from these from now on; what is used no more gives back what it holds."""
        before, self._used = self._used, purses
        for purse in before.each():
            if purse not in purses.each():
                task = asyncio.get_running_loop().create_task(purse.retire())
                self._retiring[task] = purse
                task.add_done_callback(self._retiring.pop)
        if purses.lender is None:  # those that retire go on with who lent before
            return
        if before.lender is not None and before.lender is not purses.lender:
            before.lender.close()
        for purse in (*purses.each(), *self._retiring.values()):
            purse.ask_lender = purses.lender
        for purse in purses.each():
            purse.start()

    def _lender_of(self, config: SidecarConfig, folder: Path) -> Lender | None:
        told, known = config.budget.lender, self._used.lender
        if config.mode is Mode.OBSERVE:
            return None
        if told is None:
            return self.local_lender
        made_of = (told, config.policy, folder)
        if isinstance(known, RemoteLender) and known.made_of == made_of:
            return known
        return RemoteLender(*made_of)

    def _purse(
        self, lender: Lender, purpose: str = "", offered_usd_micros: Callable[[], float] = float
    ) -> Purse:
        wallet = Wallet("", lease_names(), self._now_s(), purpose)
        return Purse(wallet, lender, offered_usd_micros=offered_usd_micros, start=False)

    async def close(self) -> None:
        """Give back all there is."""
        used, self._used = self._used, Purses(None, None, None)
        await asyncio.gather(*(purse.close() for purse in used.each()))
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=LEAVE_S)
        if used.lender is not None:
            used.lender.close()
