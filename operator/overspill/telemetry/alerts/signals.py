"""What several alerts look at."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.promql import POLICY_ONLY, View, among, equal

RECENT: Final = View(window="10m")
HOUR: Final = View(window="1h")


def says(condition: str, status: str, *reasons: str) -> str:
    """Policies whose condition has this status, and one of these reasons where any are given.

    Which of them makes no other alert: one that waits would begin anew with each change of it.
    """
    wanted = [equal("type", condition), equal("status", status)]
    if reasons:
        wanted.append(among("reason", *reasons))
    return RECENT.now(names.CONDITION, *wanted)


def is_false(condition: str) -> str:
    """Say of whose policy it is so, and the reason that the condition has when the alert is told.

    Prometheus fills both in; the reason is asked for, as no label has it.
    """
    labels = f'{names.POLICY}=%q, type="{condition}", status="False"'
    series = f"query (printf `{names.CONDITION}{{{labels}}}` $labels.{names.POLICY})"
    reason = f'{{{{ with {series} }}}}, {{{{ . | first | label "reason" }}}}{{{{ end }}}}'
    return f"{{{{ $labels.{names.POLICY} }}}}: {condition} is False{reason}"


def asked() -> str:
    """Policies that were asked for anything in the last hour."""
    return f"{HOUR.rate(names.REQUESTS, by=POLICY_ONLY)} > 0"
