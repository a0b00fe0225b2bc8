"""What the dashboard shows, top to bottom: money, routing, replicas, budget, quality, health.

Money and requests are summed over the policies that are chosen; what is a policy's own (replicas,
budget, quality) has a line a policy. Where nothing was seen nothing is drawn: missing is not zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.telemetry.rows.budget import budget
from overspill.telemetry.rows.glance import at_a_glance
from overspill.telemetry.rows.health import operator
from overspill.telemetry.rows.quality import quality
from overspill.telemetry.rows.replicas import replicas
from overspill.telemetry.rows.routing import routing

if TYPE_CHECKING:
    from overspill.telemetry.panel import Row


def rows() -> tuple[Row, ...]:
    """All rows, in order."""
    return (at_a_glance(), routing(), replicas(), budget(), quality(), operator())
