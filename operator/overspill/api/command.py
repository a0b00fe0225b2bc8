"""`overspill crd`: print the CustomResourceDefinition."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from overspill.api import crd

if TYPE_CHECKING:
    import argparse

HELP: Final = "Print the RoutingPolicy CustomResourceDefinition as YAML."


def configure(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the YAML."""
    sys.stdout.write(crd.render())
    return 0
