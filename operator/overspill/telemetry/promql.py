"""PromQL put together from metric names: a metric or label that does not exist is refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from overspill.telemetry import names

POLICY_ONLY: Final = (names.POLICY,)


@dataclass(frozen=True, slots=True)
class Match:
    """What a label must be, such as `tier="small"`."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f'{self.label}{self.operator}"{self.value}"'


def equal(label: str, value: str) -> Match:
    """The label is this."""
    return Match(label, "=", value)


def among(label: str, *values: str) -> Match:
    """The label is one of these, or fits one of these patterns."""
    return Match(label, "=~", "|".join(values))


def none_of(label: str, *values: str) -> Match:
    """The label is none of these, nor fits one of these patterns."""
    return Match(label, "!~", "|".join(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which policies are looked at, and over which window counters are. All methods return PromQL.

    Each raises ValueError where a metric does not exist or lacks a label.
    """

    window: str
    """Such as `10m`, or a variable of Grafana's."""
    policies: Match | None = None
    """None: all of them."""

    def rate(self, counter: str, *matches: Match, by: tuple[str, ...] = ()) -> str:
        """How much a second, summed over all but the labels in `by`."""
        return self._summed("rate", counter, matches, by)

    def increase(self, counter: str, *matches: Match, by: tuple[str, ...] = ()) -> str:
        """How much in the window, summed over all but the labels in `by`."""
        return self._summed("increase", counter, matches, by)

    def rate_of_count(self, histogram: str, *, by: tuple[str, ...] = ()) -> str:
        """How many observations a second."""
        _check(histogram, by)
        counted = self._selected(f"{histogram}_count", histogram, ())
        return _aggregated("sum", f"rate({counted}[{self.window}])", by)

    def quantile(self, share: float, histogram: str, *, by: tuple[str, ...] = ()) -> str:
        """At most so much took this share of what was seen; nothing where nothing was seen."""
        _check(histogram, by)
        counted = self._selected(f"{histogram}_bucket", histogram, ())
        rates = _aggregated("sum", f"rate({counted}[{self.window}])", (*by, "le"))
        return f"histogram_quantile({share:g}, {rates}) >= 0"  # not a number is not >= 0

    def now(
        self,
        gauge: str,
        *matches: Match,
        by: tuple[str, ...] = POLICY_ONLY,
        how: str = "max",
    ) -> str:
        """What a gauge says. One leader shows each policy: the most of two is right in between."""
        _check(gauge, (*by, *(match.label for match in matches)))
        return _aggregated(how, self._selected(gauge, gauge, matches), by)

    def values(self, gauge: str, label: str) -> str:
        """How many series of each policy have each value, which becomes a label."""
        selected = self._selected(gauge, gauge, ())
        return f'count_values by ({names.POLICY}) ("{label}", {selected})'

    def _summed(
        self, function: str, counter: str, matches: tuple[Match, ...], by: tuple[str, ...]
    ) -> str:
        if not counter.endswith("_total"):
            raise ValueError(f"{counter} is no counter; take one whose name ends in _total")
        _check(counter, (*by, *(match.label for match in matches)))
        selected = self._selected(counter, counter, matches)
        return _aggregated("sum", f"{function}({selected}[{self.window}])", by)

    def _selected(self, series: str, metric: str, matches: tuple[Match, ...]) -> str:
        _check(metric, ())
        restricted = self.policies is not None and self.policies.label in names.LABELS[metric]
        every = (self.policies, *matches) if restricted else matches
        return f"{series}{{{', '.join(map(str, every))}}}" if every else series


def per_hour(rate: str) -> str:
    """Return a rate a second as one an hour."""
    return f"3600 * {rate}"


def share(part: str, whole: str) -> str:
    """Return part ÷ whole, label by label; nothing where the whole is 0: it is not known then."""
    return f"{part} / ({whole} > 0)"


def share_of_all(part: str, whole: str) -> str:
    """Return each part ÷ the one whole, which has no labels; nothing where the whole is 0."""
    return f"{part} / on () group_left () ({whole} > 0)"


def on_the_leader(gauge: str) -> str:
    """What the operator's leader says; nothing where none leads. Others show no news, as 0."""
    _check(gauge, ())
    return f"max({gauge} and {names.LEADER} == 1)"


def _aggregated(how: str, expr: str, by: tuple[str, ...]) -> str:
    return f"{how} by ({', '.join(by)}) ({expr})" if by else f"{how}({expr})"


def _check(metric: str, labels: tuple[str, ...]) -> None:
    known = names.LABELS.get(metric)
    if known is None:
        raise ValueError(f"{metric} is no metric of overspill.telemetry.names; add it to LABELS")
    if strange := sorted(set(labels) - set(known)):
        raise ValueError(f"{metric} has no label {strange[0]}; it has {', '.join(known) or 'none'}")
