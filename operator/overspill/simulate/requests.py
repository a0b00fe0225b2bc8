"""Single requests of a trace, in the order in which they arrive, and in a policy's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from overspill.simulate.load import rungs_usd, work_tokens
from overspill.simulate.trace import InvalidTrace, bin_width_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import RoutingPolicySpec
    from overspill.simulate.load import FloatArray
    from overspill.simulate.trace import Rows

MOST: Final = 5_000_000
"""Played one by one, more would take minutes for each rule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requests:
    """Arrays have one element a request."""

    arrival_s: FloatArray
    """From the trace's first row on, never falling."""
    input_tokens: FloatArray
    output_tokens: FloatArray

    def __len__(self) -> int:
        return len(self.arrival_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traffic:
    """Requests in a policy's terms; arrays have one element a request."""

    requests: Requests
    work_tokens: FloatArray
    rungs: Mapping[str, FloatArray]
    """What each costs at each external rung, USD."""


def traffic_of(requests: Requests, spec: RoutingPolicySpec) -> Traffic:
    """Weigh and price each request as the policy does."""
    return Traffic(
        requests=requests,
        work_tokens=work_tokens(requests, spec),
        rungs=rungs_usd(requests, spec),
    )


def requests_of(rows: Rows) -> Requests:
    """Take rows for requests; a bin's are spread evenly over it, each as large as their mean.

    Raises: InvalidTrace.
    """
    counts = np.ones(len(rows.line)) if rows.requests is None else _counts(rows, rows.requests)
    total = int(counts.sum())
    if total > MOST:
        raise InvalidTrace(
            f"{rows.path}: {total:,} requests are too many to play one by one; "
            f"cut the trace to {MOST:,} at most, or leave --requests out"
        )
    each = np.repeat(np.arange(len(counts)), counts.astype(np.int64))
    arrival_s = rows.since_s[each]
    if rows.requests is not None:
        arrival_s += _offsets(counts) * bin_width_s(rows)
    order = np.argsort(arrival_s, kind="stable")
    each = each[order]
    return Requests(
        arrival_s=arrival_s[order],
        input_tokens=(rows.input_tokens / np.maximum(counts, 1))[each],
        output_tokens=(rows.output_tokens / np.maximum(counts, 1))[each],
    )


def _counts(rows: Rows, requests: FloatArray) -> FloatArray:
    """Whole requests of each bin; somebody must have asked for its tokens."""
    some = (rows.input_tokens + rows.output_tokens > 0).astype(np.float64)
    return np.maximum(np.rint(requests), some)


def _offsets(counts: FloatArray) -> FloatArray:
    """Place of each request in its bin: the middle of its share, from 0 to 1."""
    sizes = counts.astype(np.int64)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return (np.arange(len(first)) - first + 0.5) / np.repeat(counts, sizes)
