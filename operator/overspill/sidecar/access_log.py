"""The access log: one JSON line a request, with the decision and what it cost. No content."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.sidecar.exchange import Exchange


def access_log(out: TextIO) -> Callable[[Exchange], None]:
    """Return what writes a line for each request that ended."""

    def write(exchange: Exchange) -> None:
        out.write(json.dumps(entry(exchange), separators=(",", ":")) + "\n")
        out.flush()

    return write


def entry(exchange: Exchange) -> dict[str, object]:
    """Return one request's line: times in seconds, money in dollars."""
    proxy, asked, tally, upstream = (
        exchange.proxy,
        exchange.asked,
        exchange.tally,
        exchange.upstream,
    )
    usage = tally.usage if tally else None
    return {
        "time": datetime.fromtimestamp(proxy.unix_s(), UTC).isoformat(timespec="milliseconds"),
        "path": exchange.request.path.decode("latin-1"),
        "status": exchange.answer.status,
        "outcome": exchange.outcome,
        "tier": exchange.tier.value,
        "reason": exchange.reason.value,
        "rule": exchange.rule or None,
        "provider": (upstream.name or None) if upstream else None,
        "endpoint": upstream.origin.authority if upstream else None,
        "model": upstream.target.model if upstream else None,
        "asked_model": asked.model if asked else None,
        "stream": asked.stream if asked else None,
        "input_tokens": usage.input_tokens if usage else None,
        "cached_tokens": usage.cached_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "cost_usd": tally.cost_usd_micros / 1e6 if tally else None,
        "failed_attempts": exchange.failures,
        "queued_s": round(exchange.queued_s, 4),
        "ttft_s": round(exchange.ttft_s, 4),
        "duration_s": round(proxy.now_s() - exchange.began_s, 4),
        "lossy": list(exchange.lossy) or None,
        "traceparent": exchange.request.header("traceparent"),
    }
