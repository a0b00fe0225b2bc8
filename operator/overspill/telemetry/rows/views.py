"""Whose series the dashboard shows, and over which time: Grafana's variables."""

from __future__ import annotations

from typing import Final

from overspill.telemetry import names
from overspill.telemetry.promql import View, among

CHOSEN: Final = among(names.POLICY, "$policy")
VIEW: Final = View(window="$__rate_interval", policies=CHOSEN)
SHOWN: Final = View(window="$__range", policies=CHOSEN)
"""One number for all of the time that the dashboard shows."""
