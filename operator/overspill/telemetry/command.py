"""`overspill telemetry`: print the Grafana dashboard or the Prometheus alerts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from overspill.telemetry import alerts, dashboard

if TYPE_CHECKING:
    import argparse

HELP: Final = "Print the Grafana dashboard (JSON) or the Prometheus alerts (a YAML rule file)."
_RENDER: Final = {"dashboard": dashboard.render, "alerts": alerts.render}


def configure(parser: argparse.ArgumentParser) -> None:
    """Take the name of what to print."""
    parser.add_argument("what", choices=tuple(_RENDER))


def run(args: argparse.Namespace) -> int:
    """Print it."""
    sys.stdout.write(_RENDER[args.what]())
    return 0
