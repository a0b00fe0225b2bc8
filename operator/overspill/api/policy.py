"""`RoutingPolicy.spec`: the one thing a user writes."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from overspill.api.address import HttpURL, Port
from overspill.api.base import Duration, Label, Model, Name, Quantity, Share, schema_rules
from overspill.api.errors import InvalidPolicy, sentences
from overspill.api.objects import ApiVersion, DataKey, Kind, ObjectName, check_labels


class Mode(StrEnum):
    """`Observe` decides and records everything and changes nothing."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


class Tier(StrEnum):
    """Who answers: one's own small model, or a frontier API."""

    SMALL = "Small"
    FRONTIER = "Frontier"


class FrontierAPI(StrEnum):
    """The wire that a provider speaks."""

    OPENAI = "OpenAI"
    ANTHROPIC = "Anthropic"


class Overflow(StrEnum):
    """Whether a request for a full small tier may go to the frontier."""

    ALLOW = "Allow"
    DENY = "Deny"


class BudgetPeriod(StrEnum):
    """Calendar periods in the budget's time zone; a week starts on Monday."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


class OnExhausted(StrEnum):
    """What happens to requests for the frontier once the budget is spent."""

    SMALL_ONLY = "SmallOnly"
    REJECT = "Reject"
    SUSPEND = "Suspend"


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be an IANA time zone such as UTC or Europe/Berlin") from None
    return value


def _unique_names(field: str) -> dict[str, Any]:
    return schema_rules(
        (
            "self.all(x, self.exists_one(y, y.name == x.name))",
            f"{field}: two entries have the same name; give each its own",
        )
    )


def _refuse_twins(field: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{field}[{index}].name: {name!r} is already used; give another name")


TimeZone = Annotated[str, AfterValidator(_time_zone), Field(max_length=64)]


class LabelSelector(Model):
    """Pods, by exact labels."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            ("size(self.matchLabels) > 0", "matchLabels: name at least one label, such as app: api")
        )
    )
    match_labels: dict[str, str] = Field(
        max_length=32, description="A pod must have all of them. New ones get the sidecar."
    )

    @model_validator(mode="after")
    def _not_every_pod(self) -> Self:
        if not self.match_labels:
            raise ValueError("matchLabels: name at least one label, such as app: api")
        check_labels(self.match_labels)
        return self


class Workload(Model):
    """The app pods whose model calls this policy routes."""

    selector: LabelSelector


class ScaleTargetRef(Model):
    """Anything with a `/scale` subresource, in the policy's namespace."""

    api_version: ApiVersion = Field(default="apps/v1", description="Group and version.")
    kind: Kind = Field(
        default="Deployment",
        description="The operator may scale Deployments and StatefulSets; others once the chart's "
        "scaleTargets names them.",
    )
    name: ObjectName = Field(description="Which one.")


class SmallService(Model):
    """The Service in front of the small-tier pods, in the policy's namespace."""

    name: ObjectName = Field(description="Sidecars talk to the pods behind it directly.")
    port: Port = Field(description="Of the Service, by number.")


class ReplicaBounds(Model):
    """How few and how many small replicas there may be."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            ("self.min <= self.max", "min exceeds max; lower min or raise max")
        )
    )
    min: int = Field(default=0, ge=0, le=1000, description="Never fewer, whatever they earn.")
    max: int = Field(ge=1, le=1000, description="Never more; what does not fit overflows.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} exceeds max {self.max}; lower min or raise max")
        return self


class Capacity(Model):
    """What one small replica can do.

    Work is counted in tokens: output tokens + inputTokenWeight × input tokens.
    """

    output_tokens_per_second: int = Field(
        ge=1, le=10_000_000, description="Work per second, by a full replica. Learned after."
    )
    input_token_weight: Quantity = Field(
        default=Decimal("0.1"),
        json_schema_extra={"default": "0.1"},
        description="What one input token costs, in output tokens.",
    )
    max_concurrency: int = Field(
        default=32,
        ge=1,
        le=4096,
        description="Requests that one replica takes at once, over all sidecars. Learned after.",
    )


class ReplicaCosts(Model):
    """What a replica costs on nodes of different kinds."""

    label: Name = Field(
        default="node.kubernetes.io/instance-type", description="A label of the nodes."
    )
    costs: dict[str, Quantity] = Field(
        max_length=64,
        description="USD that one replica costs per hour, by the label's value; on other nodes it "
        "costs replicaHourlyCost.",
    )


class SmallTier(Model):
    """The cheap model on one's own GPUs."""

    scale_target_ref: ScaleTargetRef
    service: SmallService
    model: Name = Field(description="The model name that is sent to the small tier.")
    context_window: int = Field(
        default=32768,
        ge=256,
        le=100_000_000,
        description="Tokens of input and output; longer requests go to the frontier.",
    )
    replicas: ReplicaBounds
    replica_hourly_cost: Quantity = Field(description="USD that one replica costs per hour.")
    replica_cost_by_node_label: ReplicaCosts | None = Field(
        default=None,
        description="Where nodes differ: the mean over the replicas that run is what one costs.",
    )
    capacity: Capacity
    startup_seconds: int = Field(
        default=180, ge=1, le=7200, description="From asking for a replica to its first answer."
    )


class SecretKey(Model):
    """One key of a Secret in the policy's namespace. Only the sidecar container reads it."""

    secret_name: ObjectName = Field(description="A Secret in the policy's namespace.")
    key: DataKey = Field(default="api-key", description="The key whose value is the provider's.")


class LongContextPrice(Model):
    """What all tokens of a request cost whose input is long."""

    above_input_tokens: int = Field(
        ge=1, le=100_000_000, description="Requests with more input than this cost these prices."
    )
    input_per_m_tok: Quantity = Field(alias="inputPerMTok", description="USD, for input.")
    cached_input_per_m_tok: Quantity | None = Field(
        default=None,
        alias="cachedInputPerMTok",
        description="Without it, cached input keeps its share of the input price.",
    )
    output_per_m_tok: Quantity = Field(
        alias="outputPerMTok", description="USD, for output; reasoning is output."
    )


ANTHROPIC_CACHE_WRITE = Decimal("1.25")
"""What Anthropic takes for writing a token of input to its cache, in prices of input.

Source: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#pricing
"""


class Price(Model):
    """List price in USD per million tokens."""

    input_per_m_tok: Quantity = Field(alias="inputPerMTok", description="USD, for input.")
    cached_input_per_m_tok: Quantity | None = Field(
        default=None,
        alias="cachedInputPerMTok",
        description="Input that the provider had in its cache. Without it: the price of input.",
    )
    cache_write_per_m_tok: Quantity | None = Field(
        default=None,
        alias="cacheWritePerMTok",
        description="Input that is written to the provider's cache, for five minutes where it has "
        "several times. Without it: 1.25 × input where api is Anthropic, else the price of input.",
    )
    output_per_m_tok: Quantity = Field(
        alias="outputPerMTok", description="USD, for output; reasoning is output."
    )
    long_context: LongContextPrice | None = Field(
        default=None, description="Where long requests cost more: GPT-5.4 and later, Gemini Pro."
    )

    def cache_write(self, api: FrontierAPI) -> Decimal:
        """Return USD per million tokens written to the cache of a provider with this wire."""
        if self.cache_write_per_m_tok is not None:
            return self.cache_write_per_m_tok
        times = ANTHROPIC_CACHE_WRITE if api is FrontierAPI.ANTHROPIC else 1
        return self.input_per_m_tok * times


def may_be_forwarded(name: str) -> bool:
    """Whether any policy may let a client's header, named in lower case, reach a provider."""
    return name not in NEVER_FORWARDED and not name.startswith(NEVER_FORWARDED_PREFIXES)


def _forwardable(value: str) -> str:
    name = value.lower()
    if not may_be_forwarded(name):
        raise ValueError("is never forwarded: credentials and framing end at the sidecar")
    return name


NEVER_FORWARDED = frozenset(
    [
        "authorization",
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "set-cookie",
        "proxy-authorization",
        "host",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "te",
        "trailer",
        "upgrade",
        "http2-settings",
        "expect",
        "keep-alive",
        "accept-encoding",
    ]
)
NEVER_FORWARDED_PREFIXES = ("x-overspill-", "proxy-")
HeaderName = Annotated[
    str,
    AfterValidator(_forwardable),
    Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=128),
]


class FrontierProvider(Model):
    """An external model API, paid per token."""

    name: Label = Field(description="In metrics, logs and reasons; no two are the same.")
    api: FrontierAPI
    base_url: HttpURL = Field(
        alias="baseURL", description="Such as https://api.anthropic.com or https://api.openai.com."
    )
    model: Name = Field(description="The model name that is sent to this provider.")
    credentials: SecretKey
    price: Price
    max_output_tokens: int = Field(
        default=4096,
        ge=1,
        le=10_000_000,
        description="Sent where the client gave no limit and the wire demands one (Anthropic) or a "
        "budget is in force.",
    )
    forward_headers: tuple[HeaderName, ...] = Field(
        default=(),
        max_length=32,
        description="Client headers that this provider may see; all others end at the sidecar.",
    )


class HeaderMatch(Model):
    """A request header with exactly this value; the name is not case-sensitive."""

    name: Name = Field(description="Such as x-priority.")
    value: Annotated[str, Field(max_length=1024, description="All of it; case counts.")]


class RuleMatch(Model):
    """What a request must look like; everything given must match."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            ("has(self.header) || has(self.model)", "give header, model or both")
        )
    )
    header: HeaderMatch | None = None
    model: Name | None = Field(default=None, description="The model name the client asked for.")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.header is None and self.model is None:
            raise ValueError("give header, model or both")
        return self


class Priority(StrEnum):
    """Who goes first where requests wait for room, and whom a spread budget is kept for."""

    HIGH = "High"
    NORMAL = "Normal"
    LOW = "Low"


class Rule(Model):
    """Requests that match go to this tier."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            (
                "self.tier == 'Small' || self.overflow == 'Allow'",
                "overflow: Deny only means something with tier: Small; remove it",
            )
        )
    )
    name: Label = Field(description="In metrics, logs and reasons; no two are the same.")
    when: RuleMatch
    tier: Tier
    overflow: Overflow = Overflow.ALLOW
    priority: Priority = Priority.NORMAL

    @model_validator(mode="after")
    def _overflow_needs_small(self) -> Self:
        if self.tier is Tier.FRONTIER and self.overflow is Overflow.DENY:
            raise ValueError("overflow: Deny only means something with tier: Small; remove it")
        return self


class ConfigMapKey(Model):
    """A key of a ConfigMap in the policy's namespace."""

    config_map_name: ObjectName = Field(description="A ConfigMap in the policy's namespace.")
    key: DataKey = Field(default="score.json", description="The key that the score is under.")


_ONE_AIM = "give frontierShare or qualityFloor, and not both"
_FLOOR = 'must be above "0" and below "1", such as "0.95"'
_CONFIDENCE = 'must be from "0.5" on and below "1", such as "0.95"'


class Complexity(Model):
    """Requests that no rule takes, by how much better the frontier is expected to answer them."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            ("has(self.frontierShare) != has(self.qualityFloor)", _ONE_AIM),
            ("!has(self.qualityFloor) || double(self.qualityFloor) > 0.0", _FLOOR),
            ("!has(self.qualityFloor) || double(self.qualityFloor) < 1.0", _FLOOR),
            ("double(self.confidence) >= 0.5 && double(self.confidence) < 1.0", _CONFIDENCE),
        )
    )
    score: ConfigMapKey | None = Field(
        default=None,
        description="What says so, as `overspill evaluate --write` writes it; else the score that "
        "comes with Overspill, or what trials have taught.",
    )
    frontier_share: Share | None = Field(
        default=None,
        description="The part of these requests, those with the most to gain, that goes to the "
        "frontier.",
    )
    quality_floor: Share | None = Field(
        default=None,
        description="Quality to hold, of what the frontier's would have been. As little as trials "
        "allow goes to the frontier, and all of it until they show that the floor holds.",
    )
    confidence: Share = Field(
        default=Decimal("0.95"),
        json_schema_extra={"default": "0.95"},
        description="That the floor is held.",
    )

    @model_validator(mode="after")
    def _aims_at_one_thing(self) -> Self:
        if (self.frontier_share is None) == (self.quality_floor is None):
            raise ValueError(_ONE_AIM)
        if self.quality_floor is not None and not 0 < self.quality_floor < 1:
            raise ValueError(f"qualityFloor: {_FLOOR}")
        if not Decimal("0.5") <= self.confidence < 1:
            raise ValueError(f"confidence: {_CONFIDENCE}")
        return self


class Verifier(StrEnum):
    """What may be wrong with an answer, as far as it, the request and a second answer tell."""

    REFUSAL = "Refusal"
    TRUNCATION = "Truncation"
    JSON_SCHEMA = "JSONSchema"
    TOOL_CALLS = "ToolCalls"
    SELF_CONSISTENCY = "SelfConsistency"


class Cascade(Model):
    """Answers of the small model that are checked before the client gets any of them."""

    verify: tuple[Verifier, ...] = Field(
        min_length=1,
        max_length=len(Verifier),
        description="What fails one of these is answered by the frontier instead.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    hold_for: Duration = Field(
        default=10.0,
        json_schema_extra={"default": "10s"},
        description="A stream is held back until it is whole and checked, for so long at most; "
        "then it goes out as it comes.",
    )


class Grader(StrEnum):
    """How the two answers of a trial are compared; the first that can tell decides."""

    JSON_SCHEMA = "JSONSchema"
    JSON = "JSON"
    MATCH = "Match"
    WEBHOOK = "Webhook"
    JUDGE = "Judge"


class GradingWebhook(Model):
    """Who is sent a request and both answers, and says what each is worth, from 0 to 1."""

    url: HttpURL = Field(description="Where both are sent, by POST.")
    timeout: Duration = Field(
        default=30.0,
        json_schema_extra={"default": "30s"},
        description="How long an answer may take.",
    )


_WEBHOOK = "webhook and the grader Webhook go together: give both or neither"
_SOME_TRIALS = 'must be above "0", such as "0.1"'


class Trials(Model):
    """A sample of requests that both tiers answer: the client gets the frontier's answer, and the
    small model's comes in the background, while it has little to do.
    """

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            ("has(self.webhook) == self.graders.exists(g, g == 'Webhook')", _WEBHOOK),
            ("double(self.sampleRate) > 0.0", f"sampleRate: {_SOME_TRIALS}"),
        )
    )
    sample_rate: Share = Field(
        default=Decimal("0.1"),
        json_schema_extra={"default": "0.1"},
        description="The highest share: of what the frontier answers anyway, and of the rest by "
        "lot, which then goes to the frontier.",
    )
    graders: tuple[Grader, ...] = Field(
        default=(Grader.JSON_SCHEMA, Grader.JSON, Grader.MATCH),
        min_length=1,
        max_length=len(Grader),
        json_schema_extra={
            "default": ["JSONSchema", "JSON", "Match"],
            "x-kubernetes-list-type": "set",
        },
        description="In this order; answers of which none can tell differ, and then only the "
        "frontier's is right. Judge asks the frontier which of the two is better, twice.",
    )
    webhook: GradingWebhook | None = None
    limit: Quantity | None = Field(
        default=None,
        description="USD per budget period, for judges and for what goes to the frontier by lot; "
        "within the budget.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.webhook is None) == (Grader.WEBHOOK in self.graders):
            raise ValueError(_WEBHOOK)
        if not self.sample_rate:
            raise ValueError(f"sampleRate: {_SOME_TRIALS}")
        return self


class Trim(StrEnum):
    """What is left out of a conversation that is too long."""

    OLDEST_TURNS = "OldestTurns"


class Context(Model):
    """How much of a conversation is sent to any model."""

    max_input_tokens: int = Field(
        ge=256, le=10_000_000, description="Estimated from the size of the request."
    )
    trim: Trim = Trim.OLDEST_TURNS


class OverflowSpec(Model):
    """When a request leaves the small tier before it was answered there."""

    first_token_deadline: Duration = Field(
        default=2.0,
        json_schema_extra={"default": "2s"},
        description="A stream with no byte of an answer by then goes to the next rung.",
    )


class QueueSpec(Model):
    """Waiting for room at the small tier, before a request overflows or is turned away."""

    max_wait: Duration = Field(
        default=0.0,
        json_schema_extra={"default": "0s"},
        description="0s: overflow at once. Rules give priorities.",
    )


_FLOOR_NEEDS_TRIALS = "complexity.qualityFloor is promised by trials: give trials, such as {}"
_TRIALS_NEED_AIM = "trials need to know what for: give complexity.qualityFloor or frontierShare"


class Routing(Model):
    """Which tier answers which request."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            (
                "!has(self.complexity) || !has(self.complexity.qualityFloor) || has(self.trials)",
                _FLOOR_NEEDS_TRIALS,
            ),
            ("!has(self.trials) || has(self.complexity)", _TRIALS_NEED_AIM),
        )
    )
    rules: tuple[Rule, ...] = Field(
        default=(),
        max_length=64,
        description="The first match wins.",
        json_schema_extra=_unique_names("rules"),
    )
    complexity: Complexity | None = Field(
        default=None, description="None: whatever the small model can hold is for the small tier."
    )
    trials: Trials | None = Field(
        default=None, description="None: nothing is tried; what is known of quality stays as it is."
    )
    cascade: Cascade | None = Field(
        default=None, description="None: what the small model answers is passed on as it comes."
    )
    context: Context | None = Field(
        default=None, description="None: conversations are sent as they come."
    )
    overflow: OverflowSpec = OverflowSpec()
    queue: QueueSpec = QueueSpec()
    request_timeout: Duration = Field(
        default=3600.0,
        json_schema_extra={"default": "1h"},
        description="From the request's last byte to the answer's, over all attempts.",
    )

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _refuse_twins("rules", [rule.name for rule in self.rules])
        return self

    @model_validator(mode="after")
    def _trials_fit(self) -> Self:
        aim = self.complexity
        if aim is not None and aim.quality_floor is not None and self.trials is None:
            raise ValueError(_FLOOR_NEEDS_TRIALS)
        if self.trials is not None and aim is None:
            raise ValueError(_TRIALS_NEED_AIM)
        return self


class Pacing(StrEnum):
    """How a budget is spent over its period."""

    GREEDY = "Greedy"
    SMOOTH = "Smooth"


class Budget(Model):
    """What hosted and frontier providers together may cost per calendar period."""

    limit: Quantity = Field(description="USD per period.")
    period: BudgetPeriod = BudgetPeriod.DAY
    time_zone: TimeZone = Field(
        default="UTC", description="Where periods begin at midnight, such as Europe/Berlin."
    )
    pacing: Pacing = Field(
        default=Pacing.GREEDY,
        description="Smooth: the budget lasts as long as its period; where more is asked of the "
        "frontier than that affords, low priorities try the small tier first.",
    )
    on_exhausted: OnExhausted = OnExhausted.SMALL_ONLY


class Experiment(Model):
    """A small tier that ends itself where it saves too little."""

    window: Duration = Field(
        default=7 * 24 * 3600.0,
        json_schema_extra={"default": "168h"},
        description="At the end of each, by what was seen in it, it is judged anew.",
    )
    least_saved_per_usd: Quantity = Field(
        default=Decimal(1),
        alias="leastSavedPerUSD",
        json_schema_extra={"default": "1"},
        description="USD that each dollar of rent and of judges must save at paid providers. With "
        "less the small tier is shut down, and all goes to the frontier, until spec is edited.",
    )


_LIMIT_NEEDS_BUDGET = "routing.trials.limit is a part of a budget: give budget, or leave it out"


class RoutingPolicySpec(Model):
    """One object decides replicas, spill and dollars together."""

    model_config = ConfigDict(
        json_schema_extra=schema_rules(
            (
                "!has(self.routing.trials) || !has(self.routing.trials.limit) || has(self.budget)",
                _LIMIT_NEEDS_BUDGET,
            ),
        )
    )
    mode: Mode = Mode.ENFORCE
    workload: Workload
    small: SmallTier
    frontier: tuple[FrontierProvider, ...] = Field(
        min_length=1,
        max_length=16,
        description="Tried in order.",
        json_schema_extra=_unique_names("frontier"),
    )
    hosted: tuple[FrontierProvider, ...] = Field(
        default=(),
        max_length=16,
        description="The small class of model at a host, paid per token: asked, in order, before "
        "the frontier when the small tier has no room.",
        json_schema_extra=_unique_names("hosted"),
    )
    routing: Routing = Routing()
    budget: Budget | None = None
    experiment: Experiment | None = Field(
        default=None, description="None: the small tier stays, whatever it saves."
    )

    @property
    def providers(self) -> tuple[FrontierProvider, ...]:
        """Everybody who is paid per token."""
        return (*self.hosted, *self.frontier)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _refuse_twins("frontier", [provider.name for provider in self.frontier])
        _refuse_twins("hosted", [provider.name for provider in self.hosted])
        taken = {provider.name for provider in self.frontier}
        for index, provider in enumerate(self.hosted):
            if provider.name in taken:
                raise ValueError(
                    f"hosted[{index}].name: {provider.name!r} is a frontier provider's; "
                    "give another name"
                )
        return self

    @model_validator(mode="after")
    def _trials_are_paid(self) -> Self:
        trials = self.routing.trials
        if trials is not None and trials.limit is not None and self.budget is None:
            raise ValueError(_LIMIT_NEEDS_BUDGET)
        return self


def parse_policy(spec: object) -> RoutingPolicySpec:
    """Read `spec` as the API server or a file gives it.

    Raises: InvalidPolicy with one sentence a fault: path, value and remedy.
    """
    plain: Any = spec
    if hasattr(spec, "items") and not isinstance(spec, dict):
        plain = dict(spec.items())
    try:
        return RoutingPolicySpec.model_validate(plain)
    except ValidationError as error:
        raise InvalidPolicy(sentences(error, "spec")) from None
