"""Asking Prometheus over HTTP so that an answer is whole or none: missing is not zero."""

from __future__ import annotations

from typing import Final

import requests

_OF_THE_QUERY: Final = "PromQL "
_SHOWN: Final = 300


class AnsweredInPart(requests.RequestException):
    """Some of the stores behind this address did not answer: what is missing would be zero."""


def whole_answers() -> requests.Session:
    """Return a session that raises AnsweredInPart, and ValueError where an answer is no JSON."""
    session = requests.Session()
    session.hooks["response"].append(_refuse_a_part)
    return session


def _refuse_a_part(response: requests.Response, **_: object) -> None:
    """Thanos and remote reads say so by warnings, VictoriaMetrics by a field of its own.

    What PromQL warns of is the query's business.
    """
    told = response.json() if response.ok else None
    if not isinstance(told, dict):
        return
    warned = [one for one in told.get("warnings") or () if not str(one).startswith(_OF_THE_QUERY)]
    if warned or told.get("isPartial"):
        raise AnsweredInPart("; ".join(map(str, warned))[:_SHOWN] or "isPartial")
