"""Which tier takes requests, why, and what goes wrong."""

from __future__ import annotations

from overspill.telemetry import names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from overspill.telemetry.promql import POLICY_ONLY, equal
from overspill.telemetry.rows.views import VIEW


def routing() -> Row:
    """Which tier takes requests, why, and what goes wrong."""
    return Row(title="Routing", panels=(*_decisions(), *_room()))


def _decisions() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Decisions by reason",
            description="Why requests went where they did, each with its binding reason. "
            "SlotsFull and FirstTokenDeadline are overflow; BudgetExhausted and BudgetPaced are "
            "the budget at work.",
            unit=Unit.REQUESTS_PER_S,
            lines=(
                Line(VIEW.rate(names.DECISIONS, by=("reason", "tier")), "{{reason}} → {{tier}}"),
            ),
            stacked=True,
        ),
        Panel(
            title="Requests by provider and outcome",
            description="Requests that ended, by who worked on them and how they ended. Any "
            "outcome but answered reached the app as an error, or the app had left.",
            unit=Unit.REQUESTS_PER_S,
            lines=(
                Line(
                    VIEW.rate(names.REQUESTS, by=("tier", "provider", "outcome")),
                    "{{tier}} {{provider}} {{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Attempts that failed",
            description="Attempts that failed before the first byte. Most are made good by the "
            "next rung and no app sees them; http_429 says that a provider's rate limit is too "
            "small, http_401 that its key is wrong.",
            unit=Unit.REQUESTS_PER_S,
            lines=(
                Line(
                    VIEW.rate(names.UPSTREAM_ERRORS, by=("tier", "provider", "kind")),
                    "{{tier}} {{provider}} {{kind}}",
                ),
            ),
            stacked=True,
        ),
    )


def _room() -> tuple[Panel, ...]:
    ready, capacity = VIEW.now(names.READY_REPLICAS), VIEW.now(names.CAPACITY_TOKENS_PER_S)
    return (
        Panel(
            title="Work offered, and what ready replicas can do",
            description="Work is output tokens and weighted input tokens that the small tier was "
            "asked for, wherever they were done. What is offered above what replicas can do "
            "overflows.",
            unit=Unit.TOKENS_PER_S,
            lines=(
                Line(VIEW.rate(names.WORK_TOKENS, by=POLICY_ONLY), "offered {{policy}}"),
                Line(f"{ready} * {capacity}", "capacity {{policy}}"),
            ),
            width=12,
        ),
        Panel(
            title="Slots of the small tier",
            description="Requests in flight at the small tier, as many as sidecars would have "
            "there, and those that wait for room. In flight near the slots with requests that "
            "wait: it is full.",
            unit=Unit.COUNT,
            lines=(
                Line(
                    VIEW.now(names.IN_FLIGHT, equal("tier", "small"), how="sum"),
                    "in flight {{policy}}",
                ),
                Line(VIEW.now(names.SMALL_SLOTS, how="sum"), "slots {{policy}}"),
                Line(VIEW.now(names.QUEUED, how="sum"), "waiting {{policy}}"),
            ),
            width=12,
        ),
    )
