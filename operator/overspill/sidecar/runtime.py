"""A configuration, compiled into what the hot path reads. Swapped whole between two requests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from overspill.api import policy as spec
from overspill.routing.decide import Match, Terms, Tier
from overspill.sidecar.upstream import Origin
from overspill.wire.usage import TokenPrice

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from overspill.api.sidecar_config import FrontierConfig, SidecarConfig

KEY_CHECK_S = 1.0


@dataclass(slots=True)
class Credential:
    """A key in a mounted file, read again when the file changes. Never shown."""

    path: Path
    _key: str = field(default="", repr=False)
    _stamp: tuple[int, int] | None = field(default=None, repr=False)
    _looked_s: float = field(default=float("-inf"), repr=False)

    def key(self) -> str:
        """Return the key; empty where the file is missing."""
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
                self._key = self.path.read_text().strip()
                self._stamp = stamp
        except OSError:
            self._key, self._stamp = "", None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A frontier provider, ready to be called."""

    name: str
    anthropic: bool
    origin: Origin
    path: str
    model: str
    credential: Credential
    price: TokenPrice
    max_output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything one request needs to know of the policy."""

    config: SidecarConfig
    terms: Terms
    providers: tuple[Provider, ...]
    origins: dict[str, Origin]
    """Origin of each small endpoint."""
    input_weight: float

    @property
    def observing(self) -> bool:
        """Decide and record, and change nothing."""
        return self.config.mode is spec.Mode.OBSERVE

    @property
    def list_price(self) -> TokenPrice:
        """What the first provider takes: the price that the small tier saves."""
        return self.providers[0].price


def compile_runtime(config: SidecarConfig, folder: Path) -> Runtime:
    """Compile a configuration; credential files are relative to `folder`."""
    return Runtime(
        config=config,
        terms=Terms(
            rules=tuple(_match(rule) for rule in config.rules),
            context_window=config.small.context_window,
            frontier_open=config.budget.open,
            small_when_exhausted=config.budget.on_exhausted is spec.OnExhausted.SMALL_ONLY,
        ),
        providers=tuple(_provider(frontier, folder) for frontier in config.frontier),
        origins={address: Origin.of(f"http://{address}") for address in config.small.endpoints},
        input_weight=float(config.small.input_token_weight),
    )


def _match(rule: spec.Rule) -> Match:
    header = rule.when.header
    return Match(
        name=rule.name,
        header=(header.name, header.value) if header else None,
        model=rule.when.model,
        tier=Tier.SMALL if rule.tier is spec.Tier.SMALL else Tier.FRONTIER,
        may_overflow=rule.overflow is spec.Overflow.ALLOW,
    )


def _provider(frontier: FrontierConfig, folder: Path) -> Provider:
    anthropic = frontier.api is spec.FrontierAPI.ANTHROPIC
    endpoint = "/messages" if anthropic else "/chat/completions"
    _, _, base = frontier.base_url.partition("://")[2].partition("/")
    base = f"/{base}" if base else ""
    version = "" if base.endswith("/v1") else "/v1"
    price = frontier.price
    cached: Decimal | None = price.cached_input_per_m_tok
    return Provider(
        name=frontier.name,
        anthropic=anthropic,
        origin=Origin.of(frontier.base_url),
        path=f"{base}{version}{endpoint}",
        model=frontier.model,
        credential=Credential(folder / frontier.credential_file),
        price=TokenPrice(
            input=price.input_per_m_tok,
            cached_input=price.input_per_m_tok if cached is None else cached,
            output=price.output_per_m_tok,
        ),
        max_output_tokens=frontier.max_output_tokens,
    )
