"""`overspill crd`: print the CustomResourceDefinition."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from overspill.api import crd

if TYPE_CHECKING:
    import argparse

HELP: Final = "Print the CustomResourceDefinitions as YAML."
_KINDS: Final = {"routingpolicies": crd.definition, "budgetledgers": crd.ledger_definition}


def configure(parser: argparse.ArgumentParser) -> None:
    """Take the names of those to print."""
    parser.add_argument("kinds", nargs="*", metavar="PLURAL", help=f"of {', '.join(_KINDS)}; all")


def run(args: argparse.Namespace) -> int:
    """Print the YAML; 2 where a name is not one of ours."""
    unknown = [kind for kind in args.kinds if kind not in _KINDS]
    if unknown:
        sys.stderr.write(f"overspill crd: {unknown[0]}: want {' or '.join(_KINDS)}\n")
        return 2
    wanted = args.kinds or list(_KINDS)
    sys.stdout.write("---\n".join(crd.render(_KINDS[kind]()) for kind in wanted))
    return 0
