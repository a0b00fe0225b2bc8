"""`overspill prices`: what models cost, and a policy's missing prices filled in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from overspill.api.errors import OverspillError
from overspill.prices.fill import fill
from overspill.prices.show import as_columns, as_json, as_table
from overspill.prices.table import LITELLM, CannotPrice, bundled, read_table

if TYPE_CHECKING:
    import argparse

    from overspill.prices.table import Table

HELP: Final = "Print list prices of models, or fill a policy's missing prices in."


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("word", nargs="*", help="print only models with one of these in their name")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="print this policy with its prices filled in"
    )
    parser.add_argument(
        "--write", action="store_true", help="with --policy: edit the file instead of printing it"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help=f"use another table: one of our form, or {LITELLM}, downloaded",
    )


def run(args: argparse.Namespace) -> int:
    """Print; return 2 where something cannot be used or has no price."""
    try:
        if args.policy and (args.word or args.json):
            raise CannotPrice("--policy prints a policy; leave the words and --json out")
        if args.write and not args.policy:
            raise CannotPrice("--write edits a policy; name it with --policy FILE")
        table = read_table(args.table) if args.table else bundled()
        if args.policy:
            _fill(args.policy, table, write=args.write)
        else:
            _show(table, args.word, as_data=args.json)
    except (OverspillError, OSError) as error:
        _say(str(error))
        return 2
    return 0


def _show(table: Table, words: list[str], *, as_data: bool) -> None:
    """Raises: CannotPrice where nothing matches."""
    found = table.matching(words)
    if not found.entries:
        raise CannotPrice(
            f"no model has {' or '.join(words)} in its name; without words all are printed"
        )
    if as_data:
        sys.stdout.write(json.dumps(as_json(found), indent=1) + "\n")
        return
    out = Console(highlight=False)
    if out.is_terminal:
        out.print(as_table(found))
        out.print(table.origin)
    else:
        sys.stdout.write(f"{as_columns(found)}{table.origin}\n")


def _fill(path: Path, table: Table, *, write: bool) -> None:
    """Raises: OverspillError, OSError."""
    try:
        text = path.read_bytes().decode()  # with its own line ends
        filled = fill(text, table)
    except UnicodeDecodeError:
        raise CannotPrice(f"{path}: is not UTF-8 text; correct it") from None
    except OverspillError as error:
        raise CannotPrice("\n".join(f"{path}: {line}" for line in _lines(error))) from None
    for note in filled.notes:
        _say(f"{path}: {note}")
    _say(table.origin)
    if not write:
        sys.stdout.write(filled.text)
    elif filled.text != text:
        path.write_bytes(filled.text.encode())


def _lines(error: OverspillError) -> list[str]:
    return list(getattr(error, "problems", ())) or str(error).splitlines()


def _say(words: str) -> None:
    for line in words.splitlines():
        sys.stderr.write(f"overspill prices: {line}\n")
