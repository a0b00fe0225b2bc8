"""How many small replicas there are and should be, and what the lack of some costs."""

from __future__ import annotations

from overspill.telemetry import names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from overspill.telemetry.promql import POLICY_ONLY, per_hour, share
from overspill.telemetry.rows.views import VIEW


def replicas() -> Row:
    """How many small replicas there are and should be, and what the lack of some costs."""
    work = VIEW.rate(names.WORK_TOKENS, by=POLICY_ONLY)
    capacity = VIEW.now(names.CAPACITY_TOKENS_PER_S)
    return Row(
        title="Replicas",
        panels=(
            Panel(
                title="Replicas: desired, ready, demanded",
                description="Demanded is the work offered by what one replica can do. Desired "
                "stays below it where another replica would not pay for itself; ready below "
                "desired for longer than a start-up means that pods do not start.",
                unit=Unit.COUNT,
                lines=(
                    Line(VIEW.now(names.DESIRED_REPLICAS), "desired {{policy}}"),
                    Line(VIEW.now(names.READY_REPLICAS), "ready {{policy}}"),
                    Line(share(work, capacity), "demanded {{policy}}"),
                ),
                width=12,
            ),
            Panel(
                title="Overflow an hour",
                description="Dollars that are paid for work of the small tier. A peak while a "
                "replica starts is normal; a level that lasts and is above a replica's rent is "
                "not.",
                unit=Unit.USD,
                lines=(
                    Line(
                        per_hour(VIEW.rate(names.OVERFLOW_USD, by=POLICY_ONLY)),
                        "overflow {{policy}}",
                    ),
                ),
                width=6,
            ),
            Panel(
                title="Start-up, as learned",
                description="From a place for a replica to its first answer. A step up makes "
                "scaling more careful; look at image pulls and at loading of the model.",
                unit=Unit.SECONDS,
                lines=(Line(VIEW.now(names.STARTUP_SECONDS), "start-up {{policy}}"),),
                width=6,
            ),
        ),
    )
