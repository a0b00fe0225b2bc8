"""The `overspill` command. Each subcommand lives beside the code it runs and loads only then."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from typing import TYPE_CHECKING, Protocol, cast

from overspill import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "operator": ("overspill.controller.command", "run the Kubernetes operator"),
    "sidecar": ("overspill.sidecar.command", "run the routing proxy, in a pod or alone"),
    "simulate": ("overspill.simulate.command", "compare a policy with other ways to scale"),
    "explain": ("overspill.explain.command", "say where a request would go, why, and its cost"),
    "ledger": ("overspill.controller.ledger_command", "print what a policy's budget went to"),
    "prices": ("overspill.prices.command", "print list prices, or fill a policy's in"),
    "evaluate": ("overspill.evaluate.command", "say what the learned score is worth on examples"),
    "telemetry": ("overspill.telemetry.command", "print the Grafana dashboard or the alerts"),
    "crd": ("overspill.api.command", "print the CustomResourceDefinition"),
}


class Command(Protocol):
    """What a subcommand's module offers."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the subcommand's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do the work; return the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without → or ÷ is no reason to fail
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="overspill", description="Model-tier autoscaling for Kubernetes."
    )
    parser.add_argument("--version", action="version", version=f"overspill {__version__}")
    chosen = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((word for word in words if not word.startswith("-")), None)
    for name, (module, summary) in COMMANDS.items():
        subparser = chosen.add_parser(name, help=summary)
        if name == named:  # only the chosen one's dependencies are imported: a sidecar stays small
            command = cast("Command", importlib.import_module(module))
            subparser.description = command.HELP
            command.configure(subparser)
            subparser.set_defaults(run=command.run)
    args = parser.parse_args(words)
    return cast("int", args.run(args))


if __name__ == "__main__":
    raise SystemExit(main())
