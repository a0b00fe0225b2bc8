"""A verdict for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from overspill.explain.verdict import OK
from overspill.routing.decide import PRIORITY_NAMES, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.explain.alternative import Alternative
    from overspill.explain.question import Question
    from overspill.explain.setting import Setting
    from overspill.explain.verdict import Verdict

_UNKNOWN: Final = "–"
_NUMBERS: Final = ("limit", "expected\nUSD", "worst\nUSD")
_REFUSALS: Final = {
    400: "the request is at fault",
    429: "the budget does not pay for it",
    503: "no room, and it may go nowhere else",
    529: "no room, and it may go nowhere else",
}


def as_json(
    question: Question, setting: Setting, verdict: Verdict, everybody: Sequence[Alternative]
) -> dict[str, Any]:
    """Return everything as plain JSON values; null is what is not known or does not apply."""
    ask, route = question.ask, verdict.route
    return {
        "policy": setting.policy,
        "path": question.path,
        "model": ask.model,
        "stream": ask.stream,
        "input_tokens": ask.input_tokens,
        "max_tokens": ask.max_tokens,
        "decision": {
            "tier": verdict.tier.value,
            "provider": _provider(verdict.answers),
            "reason": verdict.reason.value,
            "rule": route.rule or None,
            "status": verdict.status,
            "may_overflow": _may_overflow(verdict),
            "priority": PRIORITY_NAMES[route.priority],
            "policy_tier": route.tier.value,
            "policy_reason": route.reason.value,
        },
        "ladder": [{"tier": one.tier.value, "provider": _provider(one)} for one in verdict.ladder],
        "alternatives": [_row(one) for one in everybody],
        "notes": list(verdict.notes),
    }


def _row(one: Alternative) -> dict[str, Any]:
    return {
        "tier": one.tier.value,
        "provider": _provider(one),
        "model": one.model,
        "input_tokens": one.input_tokens,
        "limit_tokens": one.limit_tokens,
        "output_tokens": one.output_tokens,
        "expected_usd": _usd(one.expected_usd_micros),
        "worst_usd": _usd(one.worst_usd_micros),
        "translatable": one.worded.call is not None,
        "obstacle": one.worded.obstacle or None,
        "field": one.worded.field,
        "lossy": list(one.lossy),
        "context_window": one.context_window,
        "holds_it": one.holds_it,
    }


def _provider(one: Alternative | None) -> str | None:
    return None if one is None or one.tier is Tier.SMALL else one.name


def _usd(usd_micros: float | None) -> float | None:
    return None if usd_micros is None else usd_micros / 1e6


def _may_overflow(verdict: Verdict) -> bool:
    """Whether it may leave the small tier: said only of what goes there."""
    return verdict.route.may_overflow and verdict.route.tier is Tier.SMALL


def headline(setting: Setting, verdict: Verdict) -> Text:
    """Say the decision in one line."""
    route = verdict.route
    where = f"→ {_where(verdict)}: {verdict.reason}"
    if verdict.reason is not route.reason:
        where += f" (first {route.reason})"
    parts = [where, f"rule {route.rule}" if route.rule else "no rule"]
    if route.tier is Tier.SMALL:
        parts.append("may overflow" if route.may_overflow else "may not overflow")
    if route.priority:
        parts.append(f"priority {PRIORITY_NAMES[route.priority]}")
    colour = "green" if verdict.status == OK else "red"
    return Text(f"{setting.policy} ", style="bold").append("; ".join(parts), style=colour)


def _where(verdict: Verdict) -> str:
    if verdict.answers is not None:
        return verdict.answers.label
    if verdict.status == OK:
        return "the sidecar itself"
    return f"refused with {verdict.status}, {_REFUSALS[verdict.status]}"


def ladder_line(setting: Setting, verdict: Verdict) -> str:
    """Say who is asked, in order."""
    if not verdict.ladder:
        return "ladder: nobody is asked"
    own: list[str] = []
    rest: list[str] = []
    for one in verdict.ladder:
        full = setting.small_full and one.tier is Tier.SMALL
        falls_back = verdict.ladder[0].tier is Tier.FRONTIER and one.tier is not Tier.FRONTIER
        (rest if falls_back else own).append(f"{one.label}, full" if full else one.label)
    said = f"ladder: {' → '.join(own)}"
    return f"{said}; if none of these answers: {' → '.join(rest)}" if rest else said


def as_table(everybody: Sequence[Alternative], verdict: Verdict) -> Table:
    """Draw the alternatives, the one that answers in bold.

    The estimate of their input is the same, and stands below: 80 columns are soon full.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("who", "model", *_NUMBERS, "context", "wire"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    for one in everybody:
        table.add_row(*_cells(one), style="bold" if one is verdict.answers else "")
    return table


def _cells(one: Alternative) -> tuple[str, ...]:
    return (
        one.label,
        one.model,
        _UNKNOWN if one.limit_tokens is None else str(one.limit_tokens),
        _money(one.expected_usd_micros),
        _money(one.worst_usd_micros),
        _context(one),
        _wire(one),
    )


def _money(usd_micros: float | None) -> str:
    if usd_micros is None:
        return _UNKNOWN
    return "<0.000001" if 0 < usd_micros < 1 else f"{usd_micros / 1e6:.6f}"


def _context(one: Alternative) -> str:
    if one.context_window is None:
        return "not known"
    return f"{one.context_window} {'ok' if one.holds_it else 'too short'}"


def _wire(one: Alternative) -> str:
    if one.worded.call is None:
        return f"no: {one.worded.field or 'the call'}"
    return f"ok but {', '.join(one.lossy)}" if one.lossy else "ok"


def footnotes(question: Question, everybody: Sequence[Alternative], verdict: Verdict) -> list[str]:
    """Say what stands in the way, what costs are told for, and what else matters."""
    said = _obstacles(everybody)
    outputs = {one.output_tokens for one in everybody if one.output_tokens is not None}
    if not outputs:  # nobody can be asked
        return [*said, *verdict.notes]
    assumed = " or ".join(map(str, sorted(outputs)))
    said.append(
        f"Expected: {question.ask.input_tokens} tokens of input, none of it cached, and {assumed} "
        "of output; at the small tier its share of the rent when replicas are full."
    )
    said.append(
        "Worst: what a budget reserves; – where nothing is paid per token, or nothing bounds it."
    )
    return [*said, *verdict.notes]


def _obstacles(everybody: Sequence[Alternative]) -> list[str]:
    """Say what stands in whose way, each obstacle once."""
    whose: dict[str, list[str]] = {}
    for one in everybody:
        if one.worded.obstacle:
            whose.setdefault(one.worded.obstacle, []).append(one.label)
    return [f"{', '.join(labels)}: {obstacle}" for obstacle, labels in whose.items()]
