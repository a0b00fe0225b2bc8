"""What else a reader of a verdict should know, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.api.policy import Pacing
from overspill.routing.decide import Tier
from overspill.routing.prompt import prompt_of
from overspill.sidecar.choose import is_scored

if TYPE_CHECKING:
    from overspill.explain.alternative import Alternative
    from overspill.explain.question import Question
    from overspill.explain.setting import Setting
    from overspill.routing.decide import Route


def notes_of(
    question: Question,
    route: Route,
    setting: Setting,
    answers: Alternative | None,
    short: Alternative | None,
) -> list[str]:
    """Say in sentences what else a reader should know.

    `answers` is who does, and `short` whom no budget of a whole period pays.
    """
    notes = [*_cut(question), *_scored(question, route, setting), *_checked(route, setting)]
    if setting.runtime.observing:
        notes.append(
            f"mode: Observe: the frontier answers everything; Enforce would ask {route.tier} first."
        )
    elif not setting.runtime.terms.frontier_open:
        notes.append("The budget is spent: nothing that is paid per token is asked.")
    elif _may_be_paced(route, setting):
        notes.append(
            "budget.pacing: Smooth: while the budget must be made to last, the small tier may be "
            "asked first (BudgetPaced)."
        )
    if short is not None:
        notes.append(
            f"{short.label}: the worst case is more than budget.limit, so it is never asked; "
            "raise the limit, or send a lower limit of output."
        )
    if answers and answers.holds_it is False:
        told = "small.contextWindow" if answers.tier is Tier.SMALL else "the table of list prices"
        notes.append(
            f"{answers.label}: by {told} its context has "
            f"{answers.context_window} tokens, fewer than this; expect a 400."
        )
    return notes


def _cut(question: Question) -> list[str]:
    cut = question.cut
    if cut is None:
        return []
    what = f"{cut.turns} oldest turns, about {cut.tokens:,} tokens"
    return [f"routing.context: {what}, are left out (x-overspill-trimmed)."]


def _scored(question: Question, route: Route, setting: Setting) -> list[str]:
    """Say what the score expects; whether that is much, only the traffic around it tells."""
    runtime, told = setting.runtime, setting.spec.routing.complexity
    if told and told.score and runtime.score is None:
        name = told.score.config_map_name
        return [f"routing.complexity: its score is in ConfigMap {name}; give it by --score FILE."]
    if not is_scored(route, runtime) or runtime.score is None or runtime.observing:
        return []
    ask = question.ask
    gain = runtime.score.gain(prompt_of(ask.document, ask.opening))
    better = f"by the score the frontier's answer is better by {gain:+.3f} of 1"
    if runtime.limit is None:
        who = f"the {runtime.frontier_share:.0%} of the traffic with the most to gain goes"
    else:
        who = (
            "what the plan of status.quality says (from its limit on, and until there is one all) "
            "goes"
        )
    return [f"routing.complexity: {better}; {who} to the frontier first (TooComplex)."]


def _checked(route: Route, setting: Setting) -> list[str]:
    runtime = setting.runtime
    if not runtime.checks or route.tier is not Tier.SMALL or not route.may_overflow:
        return []
    checks = ", ".join(sorted(runtime.checks))
    held = f"the small model's answer is held, for {runtime.hold_s:g} s at most"
    return [f"routing.cascade: {held}; what fails {checks} is answered by the frontier."]


def _may_be_paced(route: Route, setting: Setting) -> bool:
    budget = setting.spec.budget
    smooth = budget is not None and budget.pacing is Pacing.SMOOTH
    return smooth and route.tier is Tier.FRONTIER and route.fits_small
