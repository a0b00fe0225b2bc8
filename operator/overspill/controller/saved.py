"""What scaling remembers, as `status.scalingState` keeps it: whole numbers, no more than needed.

Each memory is saved as the use of replicas, a list that ends with the last one that was used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from overspill.api.status import ScalingState
from overspill.scaling import State
from overspill.scaling.axis import edges, slopes, widths
from overspill.scaling.breakeven import Price
from overspill.scaling.hindsight import PRICES, Hindsight, held
from overspill.scaling.outlook import PRIOR, SPANS, Outlook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overspill.scaling.axis import FloatArray

VERSION: Final = 3
_READ: Final = (1, 2, VERSION)
WORTH_WRITING: Final = 0.02
"""A memory of a start-up or more, or trust, that moved by this much is written down."""
_LASTING: Final = int(np.searchsorted(SPANS, 1.0))
"""Shorter memories are full again before a restart is over."""
REGRET_WORTH_WRITING: Final = 1.0
"""Rents of a start-up by which what another price would have cost has moved."""
_TENTHS: Final = 10
_MILLI: Final = 1000
_MICROS: Final = 1_000_000
_USE: Final = 100_000
_LARGEST: Final = 2**53
"""What is more is no longer exact, and at last no number that a float can be."""
_MOST: Final = 10_000
"""Replicas; what claims to reach further was not written by any operator."""


def dump_state(state: State, updated_at: str) -> dict[str, Any]:
    """Write scaling's memory down."""
    saved = ScalingState(
        version=VERSION,
        updated_at=updated_at,
        replicas_on=state.on,
        usd_micros_per_m_tok=round(state.price.usd_per_token * _MICROS * _MICROS),
        **(_dump_hindsight(state.hindsight) if state.hindsight else {}),
        **(_dump_outlook(state.outlook) if state.outlook else {}),
    )
    return saved.to_json()


def load_state(saved: object) -> State:
    """Read it back. Raises: ValueError for what no version of the operator wrote."""
    try:
        found = ScalingState.model_validate(saved)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} fields of it cannot be read") from None
    if found.version not in _READ:
        raise ValueError(f"it has version {found.version}; this operator reads 1 to {VERSION}")
    if min(found.replicas_on, found.usd_micros_per_m_tok, found.milli_tokens_per_replica) < 0:
        raise ValueError("it holds a negative amount")
    if max(_amounts(found)) > _LARGEST:
        raise ValueError("it holds an amount that is too large")
    usd_per_token = found.usd_micros_per_m_tok / _MICROS / _MICROS
    # As of very little work: it gives way to what is seen first.
    price = Price(work_tokens_per_s=1.0, usd_per_s=usd_per_token) if usd_per_token else Price()
    outlook = _load_outlook(found)
    hindsight = None if outlook is None else _load_hindsight(found)
    return State(on=found.replicas_on, price=price, outlook=outlook, hindsight=hindsight)


def _amounts(found: ScalingState) -> Iterator[int]:
    """All numbers that are reckoned with."""
    yield from (found.replicas_on, found.usd_micros_per_m_tok, found.milli_tokens_per_replica)
    yield from found.held
    for row in (found.known_micros, found.trust_micros, *found.use_per100k, *found.regret_tenths):
        yield from row


def worth_writing(written: State | None, now: State) -> bool:
    """Whether a restart would lose something that matters."""
    if written is None or written.on != now.on:
        return True
    before, after = written.outlook, now.outlook
    if before is None or after is None or before.filled.shape != after.filled.shape:
        return before is not after
    moved = np.abs(_use(after) - _use(before))[_LASTING:].max(initial=0.0)
    trust = np.abs(after.trust - before.trust).max()
    return bool(max(moved, trust) >= WORTH_WRITING) or _regrets(written, now)


def _regrets(written: State, now: State) -> bool:
    """Whether what other prices would have cost has moved."""
    if written.hindsight is None or now.hindsight is None:
        return written.hindsight is not now.hindsight
    moved = np.abs(now.hindsight.regret - written.hindsight.regret).max(initial=0.0)
    return bool(moved >= REGRET_WORTH_WRITING)


def _use(outlook: Outlook) -> FloatArray:
    """Use of replicas in each memory, cell by cell."""
    return slopes(outlook.filled / outlook.known[:, None], outlook.reach)


def _dump_outlook(outlook: Outlook) -> dict[str, Any]:
    return {
        "milli_tokens_per_replica": round(outlook.capacity_tokens_per_s * _MILLI),
        "reach": outlook.reach,
        "use_per100k": tuple(_trimmed(row) for row in _use(outlook) * _USE),
        # A look of some milliseconds knows something, too: 0 could not be read back.
        "known_micros": tuple(np.rint(outlook.known * _MICROS).clip(1).astype(int).tolist()),
        "trust_micros": tuple(np.rint(outlook.trust * _MICROS).astype(int).tolist()),
    }


def _trimmed(amounts: FloatArray) -> tuple[int, ...]:
    """Whole numbers, up to the last that is not 0."""
    return tuple(np.trim_zeros(np.rint(amounts).astype(int), "b").tolist())


def _whole(trimmed: tuple[int, ...], cells: int) -> FloatArray:
    """Undo `_trimmed`."""
    return np.array(trimmed + (0,) * (cells - len(trimmed)), dtype=np.float64)


def _dump_hindsight(hindsight: Hindsight) -> dict[str, Any]:
    return {
        "regret_tenths": tuple(_trimmed(row) for row in hindsight.regret * _TENTHS),
        "held": tuple(hindsight.on),
    }


def _load_hindsight(found: ScalingState) -> Hindsight | None:
    """Read costs by each price; replicas on their way then are taken as ready."""
    if not found.regret_tenths and not found.held:
        return None
    cells = len(widths(found.reach))
    fits = max(map(len, found.regret_tenths), default=0) <= cells
    if not fits or {len(found.regret_tenths), len(found.held)} != {len(PRICES)}:
        raise ValueError("its regrets are not those of this version")
    regret = np.array([_whole(row, cells) for row in found.regret_tenths]) / _TENTHS
    if min(regret.min(), *found.held) < 0:
        raise ValueError("its regrets are below nothing")
    return held(regret, list(found.held))


def _load_outlook(found: ScalingState) -> Outlook | None:
    if not found.milli_tokens_per_replica:
        return None
    if not 0 < found.reach <= _MOST:
        raise ValueError(f"its reach of {found.reach} replicas is no policy's")
    known, trust = np.array(found.known_micros) / _MICROS, np.array(found.trust_micros) / _MICROS
    cells = len(widths(found.reach))
    fits = max(map(len, found.use_per100k), default=0) <= cells
    if not fits or (len(found.use_per100k), len(known), len(trust)) != (
        len(SPANS),
        len(SPANS),
        len(PRIOR),
    ):
        raise ValueError("its memories are not those of this version")
    use = np.array([_whole(row, cells) for row in found.use_per100k]) / _USE
    shares = np.concatenate([use.ravel(), known, trust])
    if shares.min() < 0 or shares.max() > 1 or not trust.sum() or not known.all():
        raise ValueError("it holds an amount that cannot be")
    filled = np.zeros((len(SPANS), len(edges(found.reach))))
    filled[:, 1:] = np.cumsum(use * widths(found.reach), axis=1) * known[:, None]
    return Outlook(
        reach=found.reach,
        capacity_tokens_per_s=found.milli_tokens_per_replica / _MILLI,
        filled=filled,
        known=known,
        trust=trust / trust.sum(),
    )
