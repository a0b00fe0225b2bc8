"""Demand as Prometheus remembers it, by the metrics that the operator scales by."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from overspill.api.errors import OverspillError
from overspill.scaling.economics import economics_of
from overspill.simulate.load import FloatArray, Load
from overspill.simulate.trace import STEP_S
from overspill.telemetry import queries
from overspill.telemetry.session import AnsweredInPart, whole_answers

if TYPE_CHECKING:
    from overspill.api.policy_file import PolicyFile

AskRange = Callable[[str, float, float], list[dict[str, Any]]]
"""PromQL, first and last time (Unix seconds): series with one sample each `STEP_S`."""
_TIMEOUT_S: Final = 30
_WINDOW_S: Final = 60
"""The operator's own: what happens within it is evened out."""
_ADDRESS: Final = re.compile(r"https?://[^/\s]", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"//[^/?#]*@")
_REASON: Final = re.compile(r'"error":\s*"((?:[^"\\]|\\.){1,300})')
"""In the JSON that Prometheus answers with where it will not."""
_SHORTER: Final = "try again with less time in --since"
_STRANGE: Final = "answered something else than samples; look whether a Prometheus is there"
_PAGE_STEPS: Final = 10_000
"""Prometheus refuses more than 11,000 samples a series."""


class NoDemand(OverspillError):
    """Prometheus gave nothing to simulate; says what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Demand from the first sample on."""

    load: Load
    missing_share: float
    """Part of the steps without a sample; their demand is taken to be none."""


def connect(url: str) -> AskRange:
    """Return a way to ask this Prometheus, which raises NoDemand. Raises: NoDemand."""
    place = without_password(url)
    if not _ADDRESS.match(url):
        raise NoDemand(f"{place!r} is no address; write one such as http://prometheus:9090")
    try:
        client = PrometheusConnect(
            url=url.rstrip("/"),
            timeout=_TIMEOUT_S,
            retry=Retry(total=0),
            session=whole_answers(),
        )
    except ValueError as error:  # brackets that do not close
        raise NoDemand(f"{place!r} is no address ({error}); correct it") from None

    def ask(expr: str, first_s: float, last_s: float) -> list[dict[str, Any]]:
        first, last = (datetime.fromtimestamp(at_s, UTC) for at_s in (first_s, last_s))
        try:
            found: list[dict[str, Any]] = client.custom_query_range(
                expr, first, last, f"{STEP_S:g}s"
            )
        except AnsweredInPart as error:
            raise NoDemand(
                f"{place} answered in part only ({error}); see to it that all of its stores "
                "answer, and try again"
            ) from None
        except (requests.RequestException, PrometheusApiClientException, ValueError) as error:
            raise NoDemand(f"{place} did not answer ({_brief(error)}); {_remedy(error)}") from None
        except (KeyError, TypeError):
            raise NoDemand(f"{place} {_STRANGE}") from None
        return found

    return ask


def without_password(url: str) -> str:
    """Leave out who asks, and by which password: tables and pictures are shown to others."""
    return _CREDENTIALS.sub("//", url, count=1)


def _brief(error: Exception) -> str:
    """Name the failure: requests' own text is half a screen. Of Prometheus' own, say its reason."""
    if not isinstance(error, PrometheusApiClientException):
        return type(error).__name__
    status, _, body = str(error).partition(" (")  # HTTP Status Code 503 (b'...')
    reason = _REASON.search(body)
    return f"{status}: {reason[1]}" if reason else status


def _remedy(error: Exception) -> str:
    """Prometheus is there where it says what is wrong."""
    said = str(error)
    if "Status Code 401" in said or "Status Code 403" in said:
        return "write name and password into the address: https://NAME:PASSWORD@HOST"
    return _SHORTER if _REASON.search(said) else "look whether a Prometheus is there"


def ask_load(ask: AskRange, policy: PolicyFile, since_s: float, now_s: float) -> Found:
    """Ask for work and dollars of the last `since_s` seconds. Raises: NoDemand."""
    key, steps = f"{policy.namespace}/{policy.name}", math.ceil(since_s / STEP_S)
    ends_s = (math.floor(now_s / STEP_S) - np.arange(float(steps))[::-1]) * STEP_S
    work = _samples(ask, queries.work_tokens_per_s_of(key, _WINDOW_S), ends_s)
    usd = _samples(ask, queries.frontier_equivalent_usd_per_s_of(key, _WINDOW_S), ends_s)
    known = np.flatnonzero(np.isfinite(work) & np.isfinite(usd))
    if not len(known):
        raise NoDemand(
            f"Prometheus has no demand of policy {key} in the last {since_s:g} s; look whether "
            "name and namespace are right, and whether sidecars are scraped"
        )
    work, usd = work[known[0] :], usd[known[0] :]
    missing = ~np.isfinite(work) | ~np.isfinite(usd)
    work[missing], usd[missing] = 0.0, 0.0
    return Found(load=_load(policy, work, usd), missing_share=float(missing.mean()))


def _load(policy: PolicyFile, work_per_s: FloatArray, usd_per_s: FloatArray) -> Load:
    """Price as the sidecars did: by the first host where there is one."""
    usd = usd_per_s * STEP_S
    return Load(
        step_s=STEP_S,
        work_tokens=work_per_s * STEP_S,
        frontier_usd=usd,
        economics=economics_of(policy.spec),
        rungs={"hosted" if policy.spec.hosted else "frontier": usd},
    )


def _samples(ask: AskRange, expr: str, ends_s: FloatArray) -> FloatArray:
    """Return the value at each time, NaN where there is none."""
    values = np.full(len(ends_s), np.nan)
    for begin in range(0, len(ends_s), _PAGE_STEPS):
        page = ends_s[begin : begin + _PAGE_STEPS]
        for series in ask(expr, float(page[0]), float(page[-1])):
            try:
                _fill(values[begin : begin + len(page)], float(page[0]), series["values"])
            except (KeyError, TypeError, ValueError, IndexError):
                raise NoDemand(f"Prometheus {_STRANGE}") from None
    return values


def _fill(page: FloatArray, first_s: float, samples: list[tuple[float, str]]) -> None:
    """Put samples in their places. Raises: TypeError, ValueError, IndexError for what is none."""
    for at_s, value in samples:
        place = round((float(at_s) - first_s) / STEP_S)
        if place < 0:
            raise IndexError
        page[place] = float(value)
