"""A table of list prices, dated: the bundled one, another of its form, or LiteLLM's.

Both forms are one JSON object. Ours has `date`, `source` and `models`, with prices in USD per
million tokens; LiteLLM's `model_prices_and_context_window.json` has models alone, with prices in
USD per token.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from difflib import get_close_matches
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from overspill.api.errors import OverspillError
from overspill.api.policy import Price

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LITELLM: Final = "LiteLLM's model_prices_and_context_window.json"
PER_MILLION: Final = 10**6
FINEST: Final = Decimal("1e-9")
"""USD per million tokens that a policy can tell apart."""
_DIGITS: Final = 15
"""Of a price, before the point: what is longer is none."""
NEAREST: Final = 3
_ABOVE: Final = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_OWN: Final = {
    "input": "input_usd_per_mtok",
    "cached": "cached_input_usd_per_mtok",
    "write": "cache_write_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "reasoning": "reasoning_usd_per_mtok",
    "window": "context_window",
    "most": "max_output",
    "provider": "provider",
    "retires": "deprecation_date",
}
_THEIRS: Final = {
    "input": "input_cost_per_token",
    "cached": "cache_read_input_token_cost",
    "write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
    "reasoning": "output_cost_per_reasoning_token",
    "window": "max_input_tokens",
    "most": "max_output_tokens",
    "provider": "litellm_provider",
    "retires": "deprecation_date",
}
_HOSTS: Final = {"gemini": "googleapis"}
"""Part of a provider's address, where its name is none."""


class CannotPrice(OverspillError):
    """A table or a policy cannot be used, or has no price; says what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model at one provider."""

    model: str
    """As the table has it: with the provider before it, except for the models' own makers."""
    provider: str
    price: Price
    context_window: int | None
    max_output_tokens: int | None
    retires: str | None
    """The date from which on it is not offered, if one is known."""

    @property
    def name(self) -> str:
        """What the provider itself calls it."""
        return self.model.removeprefix(f"{self.provider}/")

    def fits(self, base_url: str) -> bool:
        """Whether this is a provider's address, as far as its name says."""
        try:
            host = _letters(urlsplit(base_url).hostname or "")
        except ValueError:
            return False  # an address that is none is nobody's
        return (_HOSTS.get(self.provider) or _letters(self.provider.removesuffix("_ai"))) in host


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """List prices of one day."""

    source: str
    date: str
    entries: tuple[Entry, ...]

    @property
    def origin(self) -> str:
        """The date and the source, in words."""
        return f"List prices of {self.date} in USD per million tokens. Source: {self.source}."

    def matching(self, words: Sequence[str]) -> Table:
        """Return the models whose name has one of these words in it; all of them for no word."""
        low = [word.lower() for word in words]
        found = [
            one for one in self.entries if not low or any(word in one.model.lower() for word in low)
        ]
        return Table(source=self.source, date=self.date, entries=tuple(found))

    def find(self, model: str, base_url: str) -> Entry:
        """Return what a model costs at an address. Raises: CannotPrice saying what there is."""
        called = [entry for entry in self.entries if model in (entry.model, entry.name)]
        here = [entry for entry in called if entry.fits(base_url)]
        meant = here or [entry for entry in called if entry.model == model]
        if meant and all(entry.price == meant[0].price for entry in meant):
            return meant[0]
        if called:
            names = ", ".join(entry.model for entry in (here or called))
            raise CannotPrice(f"knows {model!r} only as {names}")
        raise CannotPrice(f"has no model {model!r}{self._nearest(model)}")

    def _nearest(self, model: str) -> str:
        names = {entry.name: entry.model for entry in self.entries}
        near = get_close_matches(model, names, NEAREST, cutoff=0.5)
        return f" (nearest: {', '.join(names[name] for name in near)})" if near else ""


def bundled() -> Table:
    """Return the table that comes with this version."""
    return _own(_read((files(__package__) / "table.json").read_bytes(), "the bundled table"))


def read_table(path: Path) -> Table:
    """Read a table of either form. Raises: CannotPrice, OSError."""
    document = _read(path.read_bytes(), str(path))
    if "models" in document and "date" in document:
        try:
            return _own(document)
        except (KeyError, TypeError, AttributeError) as error:
            raise CannotPrice(f"{path}: is not a table of prices ({error!r}); correct it") from None
    entries = _entries(document, _THEIRS, PER_MILLION)
    if not entries:
        raise CannotPrice(f"{path}: has no prices; give our table's form or {LITELLM}")
    day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    return Table(source=f"{LITELLM}, {path} as saved that day", date=day, entries=entries)


def _read(raw: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(raw, parse_float=Decimal)
    except ValueError as error:
        raise CannotPrice(f"{where}: is not JSON ({error}); download it again") from None
    except RecursionError:
        raise CannotPrice(f"{where}: is nested too deeply; download it again") from None
    if not isinstance(document, dict):
        raise CannotPrice(f"{where}: must be one JSON object")
    return document


def _own(document: dict[str, Any]) -> Table:
    entries = _entries(document["models"], _OWN, 1)
    licence = f" ({document['licence']})" if document.get("licence") else ""
    return Table(
        source=f"{document['source']}{licence}", date=str(document["date"]), entries=entries
    )


def _entries(models: dict[str, Any], names: dict[str, str], times: int) -> tuple[Entry, ...]:
    """Return all models that are priced per token; images, seconds and pages are left out."""
    found = (_entry(model, told, names, times) for model, told in models.items())
    return tuple(entry for entry in found if entry is not None)


def _entry(model: str, told: object, names: dict[str, str], times: int) -> Entry | None:
    if not isinstance(told, dict) or model == "sample_spec":
        return None
    output = _dearest(told, times, names["output"], names["reasoning"])
    fields = {
        "inputPerMTok": _usd(told.get(names["input"]), times),
        "cachedInputPerMTok": _usd(told.get(names["cached"]), times),
        "cacheWritePerMTok": _usd(told.get(names["write"]), times),
        "outputPerMTok": output,
        "longContext": _long(told.get("above_threshold") or told, times, output),
    }
    try:
        price = Price.model_validate({name: usd for name, usd in fields.items() if usd})
    except ValidationError:
        return None
    return Entry(
        model=model,
        provider=str(told.get(names["provider"]) or "unknown"),
        price=price,
        context_window=_whole(told.get(names["window"])),
        max_output_tokens=_whole(told.get(names["most"])),
        retires=told.get(names["retires"]) or None,
    )


def _long(told: dict[str, Any], times: int, output: str | None) -> dict[str, Any] | None:
    """Return prices of long requests: of several thresholds the lowest, at the highest prices.

    `output` is the price of output below them, which stays where none is told.
    """
    steps = sorted(int(found[1]) for name in told if (found := _ABOVE.fullmatch(name)))
    if not steps:
        return None

    def dearest(name: str) -> str | None:
        return _dearest(told, times, *(f"{name}_above_{step}k_tokens" for step in steps))

    prices = {
        "inputPerMTok": dearest("input_cost_per_token"),
        "cachedInputPerMTok": dearest("cache_read_input_token_cost"),
        "outputPerMTok": dearest("output_cost_per_token") or output,
    }
    if prices["inputPerMTok"] is None:
        return None
    known = {name: usd for name, usd in prices.items() if usd}
    return {"aboveInputTokens": steps[0] * 1000, **known}


def _dearest(told: dict[str, Any], times: int, *names: str) -> str | None:
    """Return the highest of these prices; None where none is told."""
    usd = [_usd(told.get(name), times) for name in names]
    return max((one for one in usd if one), key=Decimal, default=None)


def _usd(value: object, times: int) -> str | None:
    """Return USD per million tokens as a policy has it: plain, and never rounded down."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    exact = (value * times) if isinstance(value, Decimal) else Decimal(value * times)
    if exact.adjusted() >= _DIGITS:
        return None  # no price of this world
    return format(exact.quantize(FINEST, ROUND_UP).normalize(), "f")


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
