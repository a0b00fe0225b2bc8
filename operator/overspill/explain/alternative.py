"""Everybody who could be asked: can they be, in which words, and for how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from overspill.explain.question import CannotExplain
from overspill.prices.table import CannotPrice, bundled
from overspill.routing.decide import Tier
from overspill.scaling.economics import economics_of
from overspill.sidecar.tally import SHED_OUTPUT_TOKENS
from overspill.wire.ask import token_limit
from overspill.wire.document import Document
from overspill.wire.errors import BadRequest, Untranslatable
from overspill.wire.usage import Usage, cost_usd_micros, worst_cost_usd_micros

if TYPE_CHECKING:
    from overspill.api.policy import FrontierProvider
    from overspill.explain.question import Question
    from overspill.explain.setting import Setting
    from overspill.prices.table import Table
    from overspill.sidecar.runtime import Upstream
    from overspill.wire.ask import Call, Target

_LIMITS: Final = ("max_completion_tokens", "max_tokens")
"""What the wires call the most output tokens of a call."""
MOST_TOKENS: Final = 10**12
"""Of one answer: beyond is nothing to reckon with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worded:
    """A request in an upstream's words, or why there are none."""

    call: Call | None = None
    obstacle: str = ""
    """What stands in the way: a field, and what is wrong with it."""
    field: str | None = None
    refused: bool = False
    """The request is wrong in itself: no other upstream is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One rung of the ladder, for this request."""

    tier: Tier
    name: str
    """The provider's; the small tier's is its tier's."""
    model: str
    worded: Worded
    lossy: tuple[str, ...] = ()
    """Fields and headers that would be left out."""
    context_window: int | None = None
    """Tokens; None where it is not known."""
    holds_it: bool | None = None
    """Whether the estimated input and the limit of output fit that window."""
    input_tokens: int
    limit_tokens: int | None = None
    """The most output that is allowed for; None for the model's own limit."""
    output_tokens: int | None = None
    """Assumed for the expected cost; None where it cannot be asked, as all that follow."""
    expected_usd_micros: float | None = None
    """At the small tier its share of the rent, while replicas are full."""
    worst_usd_micros: int | None = None
    """What the budget reserves; None too where nothing is reserved or nothing bounds it."""

    @property
    def label(self) -> str:
        """Who it is, in words."""
        return self.name if self.tier is Tier.SMALL else f"{self.name} ({self.tier})"


def alternatives(
    question: Question, setting: Setting, output_tokens: int | None = None
) -> tuple[Alternative, ...]:
    """Return the small tier, then hosts, then the frontier; `output_tokens` is assumed of each.

    Without it, each writes as much as the request allows; where it says nothing, 256 tokens.
    Raises: CannotExplain.
    """
    assumed = output_tokens
    if assumed is None and question.ask.max_tokens is None:
        assumed = SHED_OUTPUT_TOKENS
    table, runtime = bundled(), setting.runtime
    small = _small(question, setting, assumed)
    paid = zip(runtime.providers, setting.spec.providers, strict=True)
    return (small, *(_paid(question, one, _window(table, said), assumed) for one, said in paid))


def _window(table: Table, provider: FrontierProvider) -> int | None:
    try:
        return table.find(provider.model, provider.base_url).context_window
    except CannotPrice:
        return None


def _word(question: Question, target: Target) -> Worded:
    try:
        return Worded(call=question.ingress.call(question.ask, target))
    except Untranslatable as unfit:
        return Worded(obstacle=unfit.message, field=unfit.param)
    except BadRequest as wrong:
        return Worded(obstacle=wrong.message, field=wrong.param, refused=True)


def _small(question: Question, setting: Setting, assumed: int | None) -> Alternative:
    runtime, window = setting.runtime, setting.spec.small.context_window
    bare = _bare(question, Tier.SMALL, Tier.SMALL, runtime.small_target, window)
    if bare.worded.call is None:
        return bare
    bound = question.ingress.bound(question.ask, runtime.small_target, bare.worded.call)
    output_tokens = _likely(bare, bound, assumed)
    economics = economics_of(setting.spec)
    work_tokens = output_tokens + runtime.input_weight * bare.input_tokens
    rent_usd = work_tokens / economics.capacity_tokens_per_s * economics.rent_usd_per_s
    return replace(bare, output_tokens=output_tokens, expected_usd_micros=rent_usd * 1e6)


def _paid(
    question: Question, upstream: Upstream, window: int | None, assumed: int | None
) -> Alternative:
    ingress, target, price = question.ingress, upstream.target, upstream.price
    bare = _bare(question, upstream.tier, upstream.name, target, window)
    if bare.worded.call is None or price is None:
        return bare
    left_out = upstream.left_out(dict(question.headers), native=ingress.wire is target.wire)
    bound = ingress.bound(question.ask, target, bare.worded.call)
    output_tokens = _likely(bare, bound, assumed) if ingress.metered else 0
    likely = Usage(
        input_tokens=bare.input_tokens if ingress.metered else 0, output_tokens=output_tokens
    )
    bounded = bare.limit_tokens is not None or not bound.output_tokens
    return replace(
        bare,
        lossy=(*bare.lossy, *left_out),
        output_tokens=output_tokens,
        expected_usd_micros=cost_usd_micros(likely, price),
        worst_usd_micros=worst_cost_usd_micros(bound, price) if bounded else None,
    )


def _bare(
    question: Question, tier: Tier, name: str, target: Target, window: int | None
) -> Alternative:
    """Return an alternative without its costs. All are told the sidecar's one estimate of input."""
    input_tokens = question.ask.input_tokens
    worded = _word(question, target)
    model, limit = target.model, question.ask.max_tokens
    if worded.call is not None:
        sent = Document.read(worded.call.body)
        model, limit = sent.text("model") or model, token_limit(sent, *_LIMITS, least=0)
    return Alternative(
        tier=tier,
        name=name,
        model=model,
        worded=worded,
        lossy=worded.call.lossy if worded.call else (),
        context_window=window,
        holds_it=None if window is None else input_tokens + (limit or 0) <= window,
        input_tokens=input_tokens,
        limit_tokens=limit,
    )


def _likely(bare: Alternative, bound: Usage, assumed: int | None) -> int:
    """Return the output to expect: what is assumed, else all that the limit allows, never more.

    Raises: CannotExplain.
    """
    most = bound.output_tokens
    if most > MOST_TOKENS:
        raise CannotExplain(
            f"the request allows more than {MOST_TOKENS:,} tokens of output; lower its limit, or n"
        )
    bounded = bare.limit_tokens is not None or not most
    return most if assumed is None or (bounded and assumed > most) else assumed
