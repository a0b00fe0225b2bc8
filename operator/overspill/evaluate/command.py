"""`overspill evaluate`: what routing by the learned score gives on graded examples."""

from __future__ import annotations

import json
import math
import sys
import time
from argparse import ArgumentTypeError
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from overspill.api.errors import OverspillError, told
from overspill.api.out_file import check_writable
from overspill.learning.design import design_of
from overspill.learning.examples import InvalidExamples, read_examples
from overspill.learning.linear import learn, score_of
from overspill.learning.prior import shipped
from overspill.learning.replay import replay, share_by_lot
from overspill.learning.trial import cross_validated, learned_elsewhere, verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from overspill.learning.examples import Examples
    from overspill.learning.linear import Linear
    from overspill.learning.replay import Replay
    from overspill.learning.trial import Served
    from overspill.routing.score import Score

HELP: Final = (
    "Say what routing by the learned score gives on prompts that both tiers answered: JSON lines "
    "of prompt, small_correct, frontier_correct (0..1). Unless --train is given, each fifth of the "
    "file is tested by what was learned from the rest, starting from the prior of this package."
)
SEEN: Final = 0.01
"""From this share of known prompts on the prior is left out: it would be tested on its own lessons.
Below it, shared questions are chance."""
_BYTES: Final = 2048
_TIMED: Final = 300
_DIGITS: Final = 20
_DEFAULT_FLOOR: Final = 0.95
_DEFAULT_RATIO: Final = 20.0


class CannotDraw(OverspillError):
    """The picture that was asked for."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--data", required=True, type=Path, help="graded prompts to test")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--train", type=Path, help="learn from these instead of from the rest")
    parser.add_argument("--no-prior", action="store_true", help="begin with nothing")
    parser.add_argument(
        "--floor",
        type=_share,
        default=_DEFAULT_FLOOR,
        metavar="0.95",
        help="quality to hold, of the frontier's",
    )
    parser.add_argument(
        "--price-ratio",
        type=_ratio,
        default=_DEFAULT_RATIO,
        metavar="20",
        help="what a request costs at the frontier, in prices of the small tier",
    )
    how.add_argument(
        "--stream",
        action="store_true",
        help="play the file, shuffled, as live traffic, with trials, from a cold start",
    )
    parser.add_argument(
        "--sample-rate",
        type=_share,
        default=0.5,
        metavar="0.5",
        help="of --stream: the highest share of paid trials among what the small tier would get",
    )
    parser.add_argument(
        "--confidence",
        type=_confidence,
        default=0.95,
        metavar="0.95",
        help="of --stream: that the floor is held, from 0.5 to 0.999999",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="0", help="of folds, of order and of trials"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="learn from all of --data and write the score, for a policy's routing.complexity",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="PNG",
        help="of --stream: draw quality, as it was and as trials told it, and the frontier's share",
    )


def _share(text: str) -> float:
    return _number(text, 0.0, 1.0, "give a share from 0 to 1, such as 0.05")


def _confidence(text: str) -> float:
    return _number(text, 0.5, 0.999999, "give 0.5 to 0.999999, such as 0.95")


def _ratio(text: str) -> float:
    return _number(text, 1.0, math.inf, "give at least 1, such as 20")


def _seed(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < _DIGITS:
        return int(text)
    raise ArgumentTypeError(f"{text!r}: give a whole number from 0 on, such as 1")


def _number(text: str, low: float, high: float, remedy: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and low <= value <= high:
        return value
    raise ArgumentTypeError(f"{text!r}: {remedy}")


def run(args: argparse.Namespace) -> int:
    """Judge and print; return 2 where the input cannot be used."""
    try:
        _check_files(args)
        examples = read_examples(args.data)
        train = read_examples(args.train) if args.train else None
        _judge(args, examples, train)
    except (OverspillError, OSError) as error:
        sys.stderr.write(f"overspill evaluate: {told(error)}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _check_files(args: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it. Raises: OverspillError."""
    if args.plot and not args.stream:
        raise CannotDraw("--plot draws what --stream plays: add it, or leave --plot out")
    if args.plot and find_spec("matplotlib") is None:
        raise CannotDraw("--plot needs matplotlib: pip install 'overspill[plot]'")
    for option, path in (("--plot", args.plot), ("--write", args.write)):
        if path:
            check_writable(option, path, (args.data, args.train))


def _judge(args: argparse.Namespace, examples: Examples, train: Examples | None) -> None:
    """Raises: OverspillError."""
    if args.stream:  # a file is often sorted by subject, traffic is not
        examples = examples.take(np.random.default_rng(args.seed).permutation(len(examples)))
    prior, used = (None, "no") if args.no_prior else _honest(examples)
    served, promise = _served(args, examples, train, prior)
    found = verdict(examples, served, floor=args.floor, price_ratio=args.price_ratio)
    if args.write:
        learned = learn(design_of(examples.prompts), examples.gains, prior=prior)
        args.write.write_text(score_of(learned, (args.data.name,), len(examples)).dump())
    decision_us = timed_us(shipped().score, examples.prompts)
    if args.json:
        said = {"file": args.data.name, **asdict(found), "decision_us": decision_us, "prior": used}
        said |= promise
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        figures = {**asdict(found), "decision_us": decision_us, "prior": used, **promise}
        out = Console(highlight=False, markup=False, emoji=False)  # names may have brackets
        out.print(_table(args.data.name, figures))


def _served(
    args: argparse.Namespace, examples: Examples, train: Examples | None, prior: Linear | None
) -> tuple[Served, dict[str, float | None]]:
    """Say who answers what, and what is known of it at the end. Raises: OverspillError."""
    if args.stream:
        promised = {"floor": args.floor, "confidence": args.confidence}
        design = design_of(examples.prompts)
        played = replay(
            examples,
            prior,
            **promised,
            sample_rate=args.sample_rate,
            seed=args.seed,
            design=design,
        )
        if args.plot:
            from overspill.evaluate.plot import draw  # noqa: PLC0415 - an extra, and slow to load

            draw(args.plot, _title(args), played.looks, args.floor)
        blind = share_by_lot(examples, **promised, seed=args.seed, design=design)
        return played.served, {"share_by_lot": blind, **_promise(played, **promised)}
    if train is not None:
        try:
            return learned_elsewhere(examples, train, prior, floor=args.floor).served(), {}
        except InvalidExamples as error:
            raise InvalidExamples(f"--train {args.train}: {error}") from None
    return cross_validated(examples, prior, floor=args.floor, seed=args.seed).served(), {}


def _title(args: argparse.Namespace) -> str:
    return (
        f"overspill evaluate --stream: {args.data.name} as live traffic, from a cold start; "
        f"floor {args.floor:g}, confidence {args.confidence:g}"
    )


def _promise(played: Replay, floor: float, confidence: float) -> dict[str, float | None]:
    """Say what whoever saw only the trials would say of the quality, and the plan in force."""
    estimate, low, high = played.bank.quality(floor, confidence)
    limit = played.plan.limit
    return {
        "estimated_quality": estimate,
        "estimated_low": low,
        "estimated_high": high,
        "paid_trials": played.paid_trials,
        "limit": limit if math.isfinite(limit) else None,
        "trial_rate": played.plan.trial_rate,
    }


def _honest(examples: Examples) -> tuple[Linear | None, str]:
    """Return the prior, unless it was trained on these prompts, and how that is said."""
    prior = shipped()
    known = prior.share_seen(examples.prompts)
    if known < SEEN:
        return prior.linear(), "shipped"
    return None, f"left out: it was trained on {known:.0%} of these prompts"


def timed_us(score: Score, prompts: Sequence[str]) -> float:
    """Return the median time of one decision on 2 KB of these prompts, in µs."""
    text = "\n".join(prompts)
    while len(text) < _BYTES:
        text += "\n" + text
    step = max(1, (len(text) - _BYTES) // _TIMED)
    found = []
    for start in range(0, len(text) - _BYTES + 1, step):
        prompt = text[start : start + _BYTES]
        begun_s = time.perf_counter()
        score.gain(prompt)
        found.append(time.perf_counter() - begun_s)
    return round(median(found) * 1e6, 1)


def _table(name: str, figures: Mapping[str, object]) -> Table:
    table = Table("measure", "value", title=name, title_justify="left")
    for key, value in figures.items():
        rounded = isinstance(value, float) and key != "decision_us"
        said = f"{value:z.3f}" if rounded else str(value)  # z: no minus before a zero
        table.add_row(key, "–" if value is None else said)
    return table
