"""What the operator publishes for the sidecars of one policy, as one JSON file.

It holds no secret: each provider names the file its key is mounted at.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from overspill.api.address import Endpoint, HttpURL
from overspill.api.base import Model, Name, Quantity
from overspill.api.errors import InvalidConfig, sentences
from overspill.api.policy import (
    Cascade,
    FrontierAPI,
    FrontierProvider,
    Grader,
    GradingWebhook,
    HeaderName,
    Mode,
    OnExhausted,
    Price,
    Routing,
    RoutingPolicySpec,
    Rule,
    Trials,
    Verifier,
)

CONFIG_FILE = "policy.json"
CREDENTIALS_DIR = "credentials"
TOKEN_FILE = "token"


def _beside(value: str) -> str:
    """Who may write the file must not have the pod's other files sent to a host of his choice."""
    if not value or value.startswith("/") or ".." in PurePosixPath(value).parts:
        raise ValueError("must lie beside the configuration file: a relative path without ..")
    return value


MountedFile = Annotated[str, AfterValidator(_beside), Field(max_length=253)]
"""A file whose content is sent to somebody, relative to the configuration file's folder."""


class SmallConfig(Model):
    """The small tier as the sidecar sees it."""

    model: Name
    context_window: int
    endpoints: tuple[Endpoint, ...] = Field(description="host:port of each ready replica.")
    slots_per_endpoint: int = Field(
        ge=1, description="Requests this sidecar may have in flight at one endpoint."
    )
    input_token_weight: Quantity
    first_token_deadline_s: float


class ProviderConfig(Model):
    """One external provider, in the order they are tried."""

    name: Name
    api: FrontierAPI
    base_url: HttpURL = Field(alias="baseURL")
    model: Name
    credential_file: MountedFile
    price: Price
    max_output_tokens: int
    forward_headers: tuple[HeaderName, ...] = ()


class LenderConfig(Model):
    """Who lends the sidecar its money, and how the two know each other."""

    url: HttpURL
    ca_certificate: str = Field(description="PEM; of whoever signed the lender's certificate.")
    token_file: MountedFile = TOKEN_FILE


class BudgetConfig(Model):
    """Whether the frontier may be paid right now."""

    open: bool = True
    on_exhausted: OnExhausted = OnExhausted.SMALL_ONLY
    resets_at_s: float | None = Field(
        default=None, description="Unix time at which the period ends."
    )
    lender: LenderConfig | None = Field(
        default=None, description="None: no budget, or an operator that does not lend."
    )


class PlanConfig(Model):
    """How requests are routed so that a floor of quality holds, until the next plan."""

    careful: bool = Field(default=False, description="All to the frontier.")
    limit: float | None = Field(
        default=None, description="From this score on, to the frontier; None for no limit."
    )
    trial_rate: float = Field(default=0.0, ge=0, le=1)
    shadow_rate: float = Field(ge=0, le=1)
    variance: float = Field(default=0.0, ge=0)


class ComplexityConfig(Model):
    """Which of the requests that no rule takes go to the frontier."""

    frontier_share: float | None = Field(
        default=None, ge=0, le=1, description="None where the plan says which."
    )
    plan: PlanConfig | None = Field(default=None, description="None where nothing is tried.")
    score: str | None = Field(
        default=None, description="The artefact's text; None for the score of the package."
    )


class CascadeConfig(Model):
    """Which answers of the small model are held back, and for how long."""

    verify: tuple[Verifier, ...]
    hold_for_s: float


class TrialsConfig(Model):
    """How trials are graded, and whom they are told."""

    graders: tuple[Grader, ...]
    webhook: GradingWebhook | None = None
    limited: bool = Field(default=False, description="They have money of their own.")
    operator: LenderConfig | None = Field(
        default=None, description="None: an operator that does not listen."
    )


class SidecarConfig(Model):
    """The whole file."""

    version: Literal[1] = 1
    policy: str = Field(description="namespace/name: the `policy` label of every metric.")
    generation: int
    mode: Mode
    small: SmallConfig
    hosted: tuple[ProviderConfig, ...] = ()
    frontier: tuple[ProviderConfig, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()
    complexity: ComplexityConfig | None = None
    trials: TrialsConfig | None = None
    cascade: CascadeConfig | None = None
    max_input_tokens: int | None = Field(
        default=None, description="Above it the oldest turns are left out."
    )
    queue_max_wait_s: float = 0.0
    request_timeout_s: float = 3600.0
    budget: BudgetConfig = BudgetConfig()


def sidecar_config_of(
    spec: RoutingPolicySpec,
    *,
    policy: str,
    generation: int,
    endpoints: tuple[str, ...],
    slots_per_endpoint: int,
    budget: BudgetConfig,
    score: str | None,
    plan: PlanConfig | None = None,
    operator: LenderConfig | None = None,
) -> SidecarConfig:
    """Say what a sidecar of this policy must know. `score` is the text of a score of one's own;
    `plan` is what trials allow, and `operator` is who is told of them.
    """
    small, routing = spec.small, spec.routing
    return SidecarConfig(
        policy=policy,
        generation=generation,
        mode=spec.mode,
        small=SmallConfig(
            model=small.model,
            context_window=small.context_window,
            endpoints=endpoints,
            slots_per_endpoint=slots_per_endpoint,
            input_token_weight=small.capacity.input_token_weight,
            first_token_deadline_s=routing.overflow.first_token_deadline,
        ),
        hosted=tuple(map(_provider, spec.hosted)),
        frontier=tuple(map(_provider, spec.frontier)),
        rules=routing.rules,
        complexity=_complexity(routing, score, plan),
        trials=_trials(routing.trials, operator),
        cascade=_cascade(routing.cascade),
        max_input_tokens=routing.context.max_input_tokens if routing.context else None,
        queue_max_wait_s=routing.queue.max_wait,
        request_timeout_s=routing.request_timeout,
        budget=budget,
    )


def _provider(provider: FrontierProvider) -> ProviderConfig:
    return ProviderConfig(
        name=provider.name,
        api=provider.api,
        base_url=provider.base_url,
        model=provider.model,
        credential_file=f"{CREDENTIALS_DIR}/{provider.name}",
        price=provider.price,
        max_output_tokens=provider.max_output_tokens,
        forward_headers=provider.forward_headers,
    )


def _complexity(
    routing: Routing, score: str | None, plan: PlanConfig | None
) -> ComplexityConfig | None:
    """None too where the score that the policy names is not there: no other takes its place.

    Of quality nothing is known until there are a score and a plan for it: a floor then keeps all at
    the frontier.
    """
    told, trials = routing.complexity, routing.trials
    if told is None:
        return None
    missing = told.score is not None and score is None
    if missing and told.quality_floor is None:
        return None
    if told.quality_floor is not None and (plan is None or missing):
        plan = PlanConfig(careful=True, shadow_rate=float(trials.sample_rate) if trials else 0.0)
    share = told.frontier_share
    return ComplexityConfig(
        frontier_share=None if share is None else float(share), plan=plan, score=score
    )


def _trials(told: Trials | None, operator: LenderConfig | None) -> TrialsConfig | None:
    if told is None:
        return None
    return TrialsConfig(
        graders=told.graders,
        webhook=told.webhook,
        limited=told.limit is not None,
        operator=operator,
    )


def _cascade(told: Cascade | None) -> CascadeConfig | None:
    return CascadeConfig(verify=told.verify, hold_for_s=told.hold_for) if told else None


def parse_sidecar_config(text: str | bytes) -> SidecarConfig:
    """Read the file's text. Raises: InvalidConfig, one sentence a fault."""
    try:
        return SidecarConfig.model_validate_json(text)
    except ValidationError as error:
        raise InvalidConfig("; ".join(sentences(error, CONFIG_FILE))) from None
