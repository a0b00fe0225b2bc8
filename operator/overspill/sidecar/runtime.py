"""A configuration, compiled into what the hot path reads. Swapped whole between two requests."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Final

from overspill.api import policy as spec
from overspill.routing.decide import Match, Terms, Tier
from overspill.routing.health import Health
from overspill.routing.score import Score
from overspill.sidecar.upstream import Origin
from overspill.trials.grade import Grader
from overspill.trials.lot import Plan
from overspill.trials.subject import configured_subject
from overspill.wire import anthropic, openai
from overspill.wire.ask import Target
from overspill.wire.errors import Wire
from overspill.wire.usage import LongContext, TokenPrice
from overspill.wire.verify import Check, prepare

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from overspill.api.sidecar_config import ProviderConfig, SidecarConfig
    from overspill.sidecar.purse import Purse

KEY_CHECK_S: Final = 1.0
AUTO_MODEL: Final = "overspill/auto"
"""The model name of an app that leaves the choice to us."""
TRACE_HEADERS: Final = (b"traceparent", b"tracestate")
VERSION_HEADER: Final = b"anthropic-version"
BETA_HEADER: Final = b"anthropic-beta"
PRIORITIES: Final = {spec.Priority.HIGH: 1, spec.Priority.NORMAL: 0, spec.Priority.LOW: -1}
_HEADS_KEPT: Final = 16
_SECRET_CHARS: Final = 8
"""A shorter key is a placeholder such as EMPTY, which may well be a word of the error."""


@dataclass(slots=True)
class Credential:
    """A key in a mounted file, read again when the file changes. Never shown."""

    path: Path
    _key: str = field(default="", repr=False)
    _stamp: tuple[int, int] | None = field(default=None, repr=False)
    _looked_s: float = field(default=float("-inf"), repr=False)

    def key(self) -> str:
        """Return the key; empty where the file is missing or holds what no header may hold."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= KEY_CHECK_S:
            self._looked_s = now_s
            self._look()
        return self._key

    def _look(self) -> None:
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                key = self.path.read_text().strip()
                self._key = key if key.isascii() and key.isprintable() else ""
                self._stamp = stamp
        except (OSError, UnicodeDecodeError):
            self._key, self._stamp = "", None


@dataclass(slots=True, kw_only=True)
class Upstream:
    """Somebody who answers requests: one small endpoint, or a provider."""

    name: str = ""
    """The provider's; empty for small endpoints."""
    tier: Tier
    origin: Origin
    base: str = "/v1"
    """The path before an endpoint such as /chat/completions."""
    target: Target
    price: TokenPrice | None = None
    credential: Credential | None = None
    forwarded: tuple[bytes, ...] = TRACE_HEADERS
    """Client headers that it may see."""
    health: Health = field(default_factory=Health)
    _heads: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)

    def head(self, endpoint: str) -> bytes | None:
        """Return the head of a request up to the headers that are its own.

        None where its key is missing.
        """
        key = self.credential.key() if self.credential else "overspill"
        if not key:
            return None
        found = self._heads.get((endpoint, key))
        if found is None:
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            found = self._heads[endpoint, key] = self._worded(endpoint, key)
        return found

    def _worded(self, endpoint: str, key: str) -> bytes:
        lines = [f"POST {self.base}{endpoint} HTTP/1.1", f"host: {self.origin.authority}"]
        if self.target.wire is Wire.ANTHROPIC:
            lines.append(f"x-api-key: {key}")
        else:
            lines.append(f"authorization: Bearer {key}")
        return "\r\n".join([*lines, "content-type: application/json", ""]).encode("latin-1")

    def own_headers(self, headers: dict[bytes, bytes], *, native: bool) -> bytes:
        """Return the header lines that this request adds; `native` for Anthropic's own clients.

        Everything else that the client sent ends here, its credentials first of all.
        """
        lines = b""
        for name in self.forwarded:
            if name in headers:
                lines += b"%b: %b\r\n" % (name, headers[name])
        if self.target.wire is Wire.ANTHROPIC:
            version = headers.get(VERSION_HEADER) if native else None
            lines += b"%b: %b\r\n" % (VERSION_HEADER, version or anthropic.VERSION.encode())
        return lines

    def masked(self, words: bytes) -> bytes:
        """Return an error's words without the keys that were sent: some providers repeat them."""
        keys = {key for _, key in self._heads} if self.credential else set[str]()
        for key in sorted(keys, key=len, reverse=True):
            if len(key) >= _SECRET_CHARS:
                escaped = json.dumps(key)[1:-1]
                for form in (key, escaped, escaped.replace("/", "\\/")):
                    words = words.replace(form.encode(), b"***")
        return words

    def left_out(self, headers: dict[bytes, bytes], *, native: bool) -> tuple[str, ...]:
        """Name what an Anthropic client asked of Anthropic by a header that may not pass.

        Fields of a beta without its header are a 400 there: who reads it should see why.
        """
        meant = native and self.target.wire is Wire.ANTHROPIC and BETA_HEADER in headers
        return (BETA_HEADER.decode(),) if meant and BETA_HEADER not in self.forwarded else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is asked how good two answers are."""

    origin: Origin
    path: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything one request needs to know of the policy."""

    config: SidecarConfig
    terms: Terms
    small: dict[str, Upstream]
    """By address."""
    small_target: Target
    small_models: frozenset[str]
    """Names by which a client may ask for the small model."""
    hosted: tuple[Upstream, ...]
    frontier: tuple[Upstream, ...]
    input_weight: float
    rungs: tuple[tuple[Health, TokenPrice], ...]
    """Everybody outside the small tier, in the order in which work would spill to them."""
    frontier_price: TokenPrice
    observing: bool
    """Decide and record, and change nothing."""
    first_token_s: float
    queue_s: float
    timeout_s: float
    score: Score | None = None
    """Says how much better the frontier would answer; None where nobody asks."""
    frontier_share: float = 0.0
    """Of what no rule takes and the small model can hold: so much has most to gain."""
    plan: Plan | None = None
    """Who becomes a trial; None where nothing is tried."""
    limit: float | None = None
    """Of the score, from which on requests go to the frontier; None where a share does."""
    subject: str = ""
    """Whom trials are of."""
    graders: tuple[Grader, ...] = ()
    webhook: Webhook | None = None
    """Who grades where the grader Webhook is asked."""
    checks: frozenset[Check] = frozenset()
    """What the small model's answers are held back for."""
    hold_s: float = 0.0
    """For so long at most."""
    max_input_tokens: int | None = None
    """Above it a conversation's oldest turns are left out."""
    purse: Purse | None = None
    """None where no budget is in force, or nothing is to be changed."""
    trial_purse: Purse | None = None
    """Of trials, where they have money of their own."""

    @property
    def can_pay_trials(self) -> bool:
        """Whether anything may go to the frontier as a trial only."""
        return self.trial_purse is None or not self.trial_purse.wallet.exhausted

    @property
    def providers(self) -> tuple[Upstream, ...]:
        """Everybody who is paid per token."""
        return (*self.hosted, *self.frontier)

    def spill_price(self, now_s: float) -> TokenPrice:
        """Of the first rung that is in favour now, else of the first: what work costs elsewhere."""
        for health, price in self.rungs:
            if health.usable(now_s):
                return price
        return self.rungs[0][1]


def compile_runtime(
    config: SidecarConfig,
    folder: Path,
    before: Runtime | None = None,
    purse: Purse | None = None,
    trial_purse: Purse | None = None,
) -> Runtime:
    """Compile a configuration; credential files are relative to `folder`.

    A provider that stays keeps its standing from `before`. With a `purse` every provider is sent a
    limit of output: without one nobody knows what a request costs at most.
    """
    target = Target(wire=Wire.OPENAI, model=config.small.model, open_model=True)
    standing = {provider.name: provider.health for provider in before.providers} if before else {}
    made = partial(_provider, folder=folder, standing=standing, capped=purse is not None)
    hosted = tuple(made(one, tier=Tier.HOSTED) for one in config.hosted)
    frontier = tuple(made(one, tier=Tier.FRONTIER) for one in config.frontier)
    plan = _plan(config)
    return Runtime(
        config=config,
        terms=Terms(
            rules=tuple(_match(rule) for rule in config.rules),
            context_window=config.small.context_window,
            frontier_open=config.budget.open,
            small_when_exhausted=config.budget.on_exhausted is spec.OnExhausted.SMALL_ONLY,
        ),
        small={address: endpoint(address, target) for address in config.small.endpoints},
        small_target=target,
        small_models=frozenset({config.small.model, AUTO_MODEL}),
        hosted=hosted,
        frontier=frontier,
        input_weight=float(config.small.input_token_weight),
        rungs=tuple((one.health, one.price) for one in (*hosted, *frontier) if one.price),
        frontier_price=_price(config.frontier[0]),
        observing=config.mode is spec.Mode.OBSERVE,
        first_token_s=config.small.first_token_deadline_s,
        queue_s=config.queue_max_wait_s,
        timeout_s=config.request_timeout_s,
        score=_score(config, before),
        subject=configured_subject(config),
        graders=tuple(
            Grader(one.value) for one in (config.trials.graders if config.trials else ())
        ),
        webhook=_webhook(config),
        plan=plan,
        limit=_limit(config, plan),
        max_input_tokens=config.max_input_tokens,
        checks=_checks(config),
        hold_s=config.cascade.hold_for_s if config.cascade else 0.0,
        frontier_share=(config.complexity and config.complexity.frontier_share) or 0.0,
        purse=purse,
        trial_purse=trial_purse,
    )


def _score(config: SidecarConfig, before: Runtime | None) -> Score | None:
    """Load the score, unless it is the one before. Raises: InvalidScore."""
    told = config.complexity
    if told is None:
        return None
    if told.score is None:
        return _shipped_score()
    known = before.config.complexity if before else None
    if before and known and known.score == told.score:
        return before.score
    return Score.load(told.score)


def _plan(config: SidecarConfig) -> Plan | None:
    told = config.complexity.plan if config.complexity and config.trials else None
    if told is None:
        return None
    limit = -inf if told.careful else inf if told.limit is None else told.limit
    return Plan(
        limit=limit,
        trial_rate=told.trial_rate,
        shadow_rate=told.shadow_rate,
        variance=told.variance,
    )


def _limit(config: SidecarConfig, plan: Plan | None) -> float | None:
    """Of the score; None where a share says who goes to the frontier."""
    told = config.complexity
    return plan.limit if plan and told and told.frontier_share is None else None


def _webhook(config: SidecarConfig) -> Webhook | None:
    told = config.trials.webhook if config.trials else None
    if told is None:
        return None
    authority_and_path = str(told.url).partition("://")[2]
    return Webhook(
        origin=Origin.of(str(told.url)),
        path=f"/{authority_and_path.partition('/')[2]}",
        timeout_s=told.timeout,
    )


def _checks(config: SidecarConfig) -> frozenset[Check]:
    told = config.cascade.verify if config.cascade else ()
    checks = frozenset(Check(one.value) for one in told)
    prepare(checks)
    return checks


@lru_cache(maxsize=1)
def _shipped_score() -> Score:
    return Score.load((files("overspill.routing") / "prior.json").read_text())


def endpoint(address: str, target: Target) -> Upstream:
    """Make the upstream of a small endpoint."""
    return Upstream(tier=Tier.SMALL, origin=Origin.of(f"http://{address}"), target=target)


def _match(rule: spec.Rule) -> Match:
    header = rule.when.header
    return Match(
        name=rule.name,
        header=(header.name.lower().encode(), header.value.encode()) if header else None,
        model=rule.when.model,
        tier=Tier.SMALL if rule.tier is spec.Tier.SMALL else Tier.FRONTIER,
        may_overflow=rule.overflow is spec.Overflow.ALLOW,
        priority=PRIORITIES[rule.priority],
    )


def _provider(
    config: ProviderConfig,
    *,
    folder: Path,
    tier: Tier,
    standing: dict[str, Health],
    capped: bool,
) -> Upstream:
    _, _, path = config.base_url.partition("://")[2].partition("/")
    path = f"/{path}" if path else ""
    origin = Origin.of(config.base_url)
    own = openai.is_own(origin.host)
    return Upstream(
        name=config.name,
        tier=tier,
        origin=origin,
        base=path if path.endswith("/v1") else f"{path}/v1",
        target=Target(
            wire=Wire.ANTHROPIC if config.api is spec.FrontierAPI.ANTHROPIC else Wire.OPENAI,
            model=config.model,
            max_output_tokens=config.max_output_tokens,
            open_model=tier is Tier.HOSTED and not own,
            older_limit=not own,
            capped=capped,
        ),
        price=_price(config),
        credential=Credential(folder / config.credential_file),
        forwarded=_forwarded(config),
        health=standing.get(config.name) or Health(),
    )


def _forwarded(config: ProviderConfig) -> tuple[bytes, ...]:
    """Name each header once; what no policy may forward is left out whoever made the file."""
    asked = [name.lower() for name in config.forward_headers]
    named = [name.encode() for name in asked if spec.may_be_forwarded(name)]
    if config.api is spec.FrontierAPI.ANTHROPIC:  # every request has one, the client's or ours
        named = [name for name in named if name != VERSION_HEADER]
    return tuple(dict.fromkeys((*TRACE_HEADERS, *named)))


def _price(config: ProviderConfig) -> TokenPrice:
    price = config.price
    cached: Decimal | None = price.cached_input_per_m_tok
    return TokenPrice(
        input=price.input_per_m_tok,
        cached_input=price.input_per_m_tok if cached is None else cached,
        output=price.output_per_m_tok,
        cache_write=price.cache_write(config.api),
        long_context=_long_context(price.long_context) if price.long_context else None,
    )


def _long_context(price: spec.LongContextPrice) -> LongContext:
    return LongContext(
        above_input_tokens=price.above_input_tokens,
        input=price.input_per_m_tok,
        cached_input=price.cached_input_per_m_tok,
        output=price.output_per_m_tok,
    )
