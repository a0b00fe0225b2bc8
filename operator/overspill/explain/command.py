"""`overspill explain`: where a request would go, why, and what else it could cost."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from overspill.api.errors import OverspillError, told
from overspill.api.policy_file import read_policy
from overspill.explain.alternative import MOST_TOKENS, alternatives
from overspill.explain.question import read_headers, read_question
from overspill.explain.setting import read_score, setting_of
from overspill.explain.show import as_json, as_table, footnotes, headline, ladder_line
from overspill.explain.verdict import judge
from overspill.wire.ingress import INGRESSES

if TYPE_CHECKING:
    import argparse

HELP: Final = (
    "Say where a request would go under a policy, why, and what the alternatives would cost. "
    "Nothing is sent."
)
STANDARD_INPUT: Final = "-"
_PATH: Final = "/v1/chat/completions"
_WIDTH: Final = 110
"""Columns of our table where standard output is no terminal."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("request", metavar="REQUEST.json", help="its body; - is standard input")
    parser.add_argument(
        "--policy", required=True, type=Path, metavar="FILE", help="a RoutingPolicy file"
    )
    parser.add_argument(
        "--path", choices=INGRESSES, default=_PATH, help=f"where it is sent; {_PATH} by default"
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header of the request; may be given several times",
    )
    parser.add_argument(
        "--output-tokens",
        type=_tokens,
        metavar="N",
        help="tokens of the answer, for the expected cost; else the request's limit, or 256",
    )
    parser.add_argument(
        "--score", type=Path, metavar="FILE", help="the score that routing.complexity names"
    )
    parser.add_argument("--exhausted", action="store_true", help="with the budget spent")
    parser.add_argument("--small-full", action="store_true", help="with no room at the small tier")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def _tokens(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < len(str(MOST_TOKENS)):
        return int(text)
    raise ArgumentTypeError(f"{text!r:.40} is no number of tokens; give one such as 500")


def run(args: argparse.Namespace) -> int:
    """Explain and print; return 2 where the input cannot be used."""
    try:
        _explain(args)
    except (OverspillError, OSError) as error:
        sys.stderr.write(f"overspill explain: {told(error)}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _explain(args: argparse.Namespace) -> None:
    """Raises: OverspillError, OSError."""
    file = read_policy(args.policy)
    score = read_score(args.score) if args.score else None
    setting = setting_of(file, exhausted=args.exhausted, small_full=args.small_full, score=score)
    headers = read_headers(args.header)
    raw, source = _body(args.request)
    question = read_question(raw, source, args.path, headers).under(setting.runtime)
    everybody = alternatives(question, setting, args.output_tokens)
    verdict = judge(question, setting, everybody)
    if args.json:
        sys.stdout.write(json.dumps(as_json(question, setting, verdict, everybody)) + "\n")
        return
    out = Console(highlight=False, emoji=False, markup=False)
    out.width = out.width if out.is_terminal else max(out.width, _WIDTH)
    whole = not out.is_terminal  # a program, or a file, breaks lines for itself
    out.print(headline(setting, verdict), soft_wrap=whole)
    out.print(ladder_line(setting, verdict), soft_wrap=whole)
    out.print(as_table(everybody, verdict))
    for line in footnotes(question, everybody, verdict):
        out.print(line, soft_wrap=whole)


def _body(name: str) -> tuple[bytes, str]:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read(), "standard input"
    return Path(name).read_bytes(), name
