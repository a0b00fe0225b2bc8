"""`status.quality`: written where it says something new. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from overspill.api.status import QualityStatus
from overspill.controller.times import timestamp
from overspill.learning.promise import FEWEST

if TYPE_CHECKING:
    from overspill.controller.plans import Quality

WORTH_WRITING: Final = Decimal("0.005")
"""An estimate that moved by less is not written down."""
TRIALS_WORTH_WRITING: Final = 1.05
_MOST: Final = 9.999
"""That is told of a quality: where next to nothing is known the interval knows no bounds."""
_THOUSANDTH: Final = Decimal("0.001")
_EXACT: Final = ("floor", "confidence", "careful", "limit", "trial_rate", "examples")
_ESTIMATES: Final = ("estimate", "low", "high", "expected_frontier_share", "unseen_share")


def quality_status(before: object, quality: Quality | None) -> QualityStatus | None:
    """Say what is known; what was written `before` stays where little has changed."""
    if quality is None:
        return None
    made, written = _told(quality), _read(before)
    return made if written is None or _says_more(written, made) else written


def _told(quality: Quality) -> QualityStatus:
    aim, plan, evidence, bank = quality.aim, quality.plan, quality.evidence, quality.bank
    estimate = low = high = None
    if bank is not None and quality.trials >= FEWEST:
        found = bank.quality(aim.measure, aim.confidence)
        estimate, low, high = map(_rounded_to, found, (ROUND_HALF_EVEN, ROUND_FLOOR, ROUND_CEILING))
    floor = None if aim.floor is None else Decimal(repr(aim.floor))
    return QualityStatus(
        floor=floor,
        confidence=Decimal(repr(aim.confidence)),
        estimate=estimate,
        low=low,
        high=high,
        trials=quality.trials,
        paid_trials=evidence.paid if evidence else 0,
        careful=plan.careful,
        limit=plan.limit,
        trial_rate=_rounded(plan.trial_rate),
        expected_frontier_share=_share(quality),
        since=timestamp(evidence.since_s) if evidence else None,
        examples=quality.examples,
        unseen_share=_rounded(evidence.unseen_share if evidence else 0.0),
        display=_display(estimate, low, high, floor),
    )


def _share(quality: Quality) -> Decimal | None:
    share = 1.0 if quality.plan.careful else quality.frontier_share
    return None if share is None else _rounded(share)


def _display(
    estimate: Decimal | None, low: Decimal | None, high: Decimal | None, floor: Decimal | None
) -> str:
    """Return such as `0.962≥0.95`; `~` where it is not known which is more."""
    said = "?" if estimate is None else f"{estimate:f}"
    if floor is None:
        return said
    sign = "~"
    if low is not None and low >= floor:
        sign = "≥"
    elif high is not None and high < floor:
        sign = "<"
    return f"{said}{sign}{floor:f}"


def _rounded(value: float) -> Decimal:
    return Decimal(f"{value:.3f}")


def _rounded_to(quality: float, rounding: str) -> Decimal:
    """Round a quality: an interval outwards, so that no rounding makes a floor held, or broken."""
    told = Decimal(f"{min(max(0.0, quality), _MOST):.9f}")
    return told.quantize(_THOUSANDTH, rounding)


def _read(written: object) -> QualityStatus | None:
    try:
        return None if written is None else QualityStatus.model_validate(written)
    except ValidationError:
        return None


def _says_more(written: QualityStatus, made: QualityStatus) -> bool:
    if any(getattr(written, name) != getattr(made, name) for name in _EXACT):
        return True
    for name in _ESTIMATES:
        old, new = getattr(written, name), getattr(made, name)
        if (old is None) != (new is None) or (old is not None and _far(old, new)):
            return True
    few, many = sorted((written.trials, made.trials))
    sign = written.display.strip("0123456789.?") != made.display.strip("0123456789.?")
    return sign or many > TRIALS_WORTH_WRITING * few


def _far(old: Decimal, new: Decimal) -> bool:
    return abs(old - new) >= WORTH_WRITING
