"""The counter where sidecars get their leases: `POST /v1/leases` of the operator's HTTPS server."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from aiohttp import web

from overspill.api import leases
from overspill.api.errors import InvalidConfig
from overspill.api.leases import LeaseAnswer, LeaseGrant, LeaseReport, LeaseRequest
from overspill.budget.lease import Grant, Report
from overspill.controller.credentials import Foreign, Unproven
from overspill.controller.errors import Refused, Unavailable
from overspill.controller.keys import PolicyKey
from overspill.controller.lending import NotLent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overspill.controller.credentials import Credentials
    from overspill.controller.lending import Lender

log = logging.getLogger(__name__)
BEARER: Final = "Bearer "
_STATUS: Final = {Unproven: 401, Foreign: 403, NotLent: 404, InvalidConfig: 400}


def serve(app: web.Application, credentials: Credentials, lender: Lender) -> None:
    """Add the counter to the application."""
    app.router.add_post(leases.PATH, _counter(credentials, lender))


def _counter(
    credentials: Credentials, lender: Lender
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            answer = await _answer(request, credentials, lender)
        except (Unproven, Foreign, NotLent, InvalidConfig) as error:
            return _refusal(_STATUS[type(error)], str(error))
        except (Refused, Unavailable) as error:
            log.warning("no lease was granted: %s", error)
            return _refusal(503, f"nothing was granted: {error}")
        return web.json_response(answer.to_json())

    return handle


async def _answer(request: web.Request, credentials: Credentials, lender: Lender) -> LeaseAnswer:
    told = request.headers.get("authorization", "")
    if not told.startswith(BEARER):
        raise Unproven("send the pod's projected token as authorization: Bearer")
    bearer = await credentials.pod_of(told.removeprefix(BEARER).strip())
    asked = leases.read(LeaseRequest, await request.read())
    namespace, _, name = asked.policy.partition("/")
    reports = [_report(one, bearer.pod) for one in asked.reports]
    grants = await lender.renew(PolicyKey(namespace, name), bearer, reports)
    return LeaseAnswer(grants=tuple(worded(one) for one in grants))


def _report(told: LeaseReport, pod: str) -> Report:
    return Report(pod=pod, **told.model_dump())


def worded(one: Grant) -> LeaseGrant:
    """Return a grant as it is sent."""
    return LeaseGrant(**asdict(one))


def _refusal(status: int, message: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps({"error": message}), content_type="application/json"
    )
