"""`overspill simulate`: what a policy would have cost, next to other ways to scale."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import ArgumentTypeError
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from overspill.api.errors import OverspillError, told
from overspill.api.out_file import check_writable
from overspill.api.policy_file import read_policy
from overspill.simulate.contest import OPTIMAL, OURS, PLAYS, entrants, play, play_requests
from overspill.simulate.live import play_all
from overspill.simulate.load import load_of
from overspill.simulate.prometheus import ask_load, connect, without_password
from overspill.simulate.requests import requests_of, traffic_of
from overspill.simulate.table import as_json, as_table
from overspill.simulate.tier import tier_of
from overspill.simulate.trace import LONGEST_DAYS, laid_out, read_rows

if TYPE_CHECKING:
    import argparse

    from overspill.api.policy_file import PolicyFile
    from overspill.simulate.live import Play
    from overspill.simulate.load import Load

HELP: Final = "Say what a policy would have cost over recorded traffic, next to other autoscalers."
_UNIT_S: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0}
_WIDTH: Final = 110
"""Columns of our table where standard output is no terminal."""
_UNKNOWN_PRICE: Final = {
    "hosted": "the policy names no host; add spec.hosted, or leave hosted out",
    "frontier": "Prometheus has the price of the first host only; leave frontier out",
}


class CannotSimulate(OverspillError):
    """What the command line asks for cannot be done; says what to write instead."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--policy", required=True, type=Path, help="a RoutingPolicy file")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--trace", type=Path, help="recorded traffic: CSV, plain or gzipped")
    source.add_argument("--prometheus", metavar="URL", help="ask this Prometheus for the demand")
    parser.add_argument(
        "--since",
        type=duration_s,
        default="14d",
        metavar="14d",
        help="with --prometheus: how far to look back, in d, h or m",
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        choices=[*PLAYS],
        metavar="RULE",
        help=f"compare {OURS} with these only: {', '.join(PLAYS)}",
    )
    parser.add_argument(
        "--requests",
        action="store_true",
        help="play single requests against single replicas, and say how long they took",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw a picture")


def duration_s(text: str) -> float:
    """Read a duration such as 14d, 36h or 90m. Raises: ArgumentTypeError saying the remedy."""
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if not found or not int(found[1]):
        raise ArgumentTypeError(f"{text!r} is no duration; write 14d, 36h or 90m")
    long_s = int(found[1]) * _UNIT_S[found[2]]
    if long_s > LONGEST_DAYS * _UNIT_S["d"]:
        raise ArgumentTypeError(f"{text!r} is too long; write {LONGEST_DAYS}d at most")
    return long_s


def run(args: argparse.Namespace) -> int:
    """Play all rules and print; return 2 where the input cannot be used."""
    try:
        _compare(args, read_policy(args.policy))
    except (OverspillError, OSError) as error:
        sys.stderr.write(f"overspill simulate: {told(error)}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _compare(args: argparse.Namespace, policy: PolicyFile) -> None:
    """Raises: OverspillError, OSError."""
    if args.plot and find_spec("matplotlib") is None:
        raise CannotSimulate("--plot needs matplotlib: pip install 'overspill[plot]'")
    if args.plot:
        check_writable("--plot", args.plot, (args.policy, args.trace))
    if args.requests and (remedy := _no_requests(args)):
        raise CannotSimulate(f"--requests: {remedy}")
    source, load, how = _load(args, policy)
    rules = _rules(args.baseline, load)
    title = _title(source, policy, load)
    played = rules if OPTIMAL in rules else [*rules, OPTIMAL]  # each is a ratio to it
    watched = Console(stderr=True, force_terminal=sys.stderr.isatty())  # FORCE_COLOR makes no one
    results = play_all(played, load, watched, how)
    if args.json:
        sys.stdout.write(json.dumps(as_json(source, policy.name, load, rules, results)) + "\n")
    else:
        out = Console(highlight=False, markup=False, emoji=False)  # names may have brackets
        out.width = out.width if out.is_terminal else max(out.width, _WIDTH)
        out.print(title)
        out.print(as_table(rules, results))
    if args.plot:
        from overspill.simulate.plot import draw  # noqa: PLC0415 - an extra, and slow to load

        draw(args.plot, title, [one for one in results if one.rule in rules])


def _no_requests(args: argparse.Namespace) -> str:
    """Say what single requests cannot be played with."""
    if args.prometheus:
        return "Prometheus remembers no single requests; give --trace"
    return "the picture is of the flow; leave --plot or --requests out" if args.plot else ""


def _load(args: argparse.Namespace, policy: PolicyFile) -> tuple[str, Load, Play]:
    """Return where demand is from, the demand, and how to play it."""
    if args.trace:
        rows = read_rows(args.trace, counted=args.requests)
        load = load_of(laid_out(rows), policy.spec)
        if not args.requests:
            return args.trace.name, load, play
        traffic = traffic_of(requests_of(rows), policy.spec)
        return (
            args.trace.name,
            load,
            partial(play_requests, traffic=traffic, tier=tier_of(policy.spec)),
        )
    found = ask_load(connect(args.prometheus), policy, args.since, time.time())
    if found.missing_share:
        sys.stderr.write(
            f"overspill simulate: {found.missing_share:.1%} of the time has no samples; "
            "it counts as time without demand\n"
        )
    return without_password(args.prometheus), found.load, play


def _rules(asked: list[str] | None, load: Load) -> list[str]:
    """Return who is compared, in our order. Raises: CannotSimulate."""
    known = entrants(load)
    for rule in asked or ():
        if rule not in known:
            raise CannotSimulate(f"--baseline {rule}: {_UNKNOWN_PRICE[rule]}")
    return [rule for rule in known if not asked or rule in (OURS, *asked)]


def _title(source: str, policy: PolicyFile, load: Load) -> str:
    return (
        f"{source}, {_length(load.steps * load.step_s)}, under policy {policy.name}: "
        f"demand fills {load.mean_replicas:.1f} replicas on average"
    )


def _length(long_s: float) -> str:
    """Say how long in a unit that leaves something before the point."""
    if long_s < _UNIT_S["m"]:
        return f"{long_s:.0f} seconds"
    if long_s < _UNIT_S["h"] / 2:
        return f"{long_s / _UNIT_S['m']:.1f} minutes"
    hours = long_s / _UNIT_S["h"]
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
