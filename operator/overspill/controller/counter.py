"""The counter of the operator's HTTPS server: `POST /v1/leases` and `POST /v1/trials`.

Sidecars come to any replica, with their pod's token, and are told why where they get nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import web

from overspill.api import leases, trials
from overspill.api.errors import InvalidConfig
from overspill.api.leases import LeaseAnswer, LeaseGrant, LeaseReport, LeaseRequest
from overspill.api.objects import names_a_policy
from overspill.api.trials import TrialReceipt, TrialReport
from overspill.budget.lease import Grant, Report
from overspill.controller.credentials import Foreign, Unproven
from overspill.controller.errors import Refused, Unavailable
from overspill.controller.gathering import NoSuchPolicy
from overspill.controller.keys import PolicyKey
from overspill.trials.record import unpack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from overspill.api.base import Model
    from overspill.controller.credentials import Bearer, Credentials
    from overspill.controller.lending import Lender
    from overspill.controller.trials import Keeper

    Clerk: TypeAlias = Callable[[bytes, Bearer], Awaitable[Model]]
    """Answers what a pod says; raises what `_STATUS` names, Refused and Unavailable."""

log = logging.getLogger(__name__)
BEARER: Final = "Bearer "
MOST_BYTES: Final = 4 * 2**20
"""Of what a sidecar may say at once."""
_STATUS: Final = {Unproven: 401, Foreign: 403, NoSuchPolicy: 404, InvalidConfig: 400}


def serve(app: web.Application, credentials: Credentials, lender: Lender, keeper: Keeper) -> None:
    """Add the counter to the application."""
    app.router.add_post(leases.PATH, _counter(credentials, _lending(lender)))
    app.router.add_post(trials.PATH, _counter(credentials, _keeping(keeper)))


def _counter(
    credentials: Credentials, clerk: Clerk
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            bearer = await credentials.pod_of(_token(request))
            answer = await clerk(await _body(request), bearer)
        except (Unproven, Foreign, NoSuchPolicy, InvalidConfig) as error:
            return _refusal(_STATUS[type(error)], str(error))
        except (Refused, Unavailable) as error:
            log.warning("%s: nothing was written: %s", request.path, error)
            return _refusal(503, f"nothing was granted or kept: {error}")
        return web.json_response(answer.to_json())

    return handle


def _token(request: web.Request) -> str:
    told = request.headers.get("authorization", "")
    if not told.startswith(BEARER):
        raise Unproven("send the pod's projected token as authorization: Bearer")
    return told.removeprefix(BEARER).strip()


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > MOST_BYTES:
        raise InvalidConfig(f"the request has more than {MOST_BYTES} bytes; send less at once")
    return await request.read()


def _lending(lender: Lender) -> Clerk:
    async def answer(raw: bytes, bearer: Bearer) -> LeaseAnswer:
        asked = leases.read(LeaseRequest, raw)
        reports = [_report(one, bearer.pod) for one in asked.reports]
        grants = await lender.renew(_key(asked.policy), bearer, reports)
        return LeaseAnswer(grants=tuple(worded(one) for one in grants))

    return answer


def _keeping(keeper: Keeper) -> Clerk:
    async def answer(raw: bytes, bearer: Bearer) -> TrialReceipt:
        told = leases.read(TrialReport, raw, "trials")
        try:
            batches = await asyncio.to_thread(unpack, told.batches)
        except ValueError as error:
            raise InvalidConfig(f"batches: {error}") from None
        kept = await keeper.keep(_key(told.policy), bearer, batches, told.subject)
        return TrialReceipt(kept=kept)

    return answer


def _key(policy: str) -> PolicyKey:
    if not names_a_policy(policy):  # a pod says it, and it becomes part of a path
        raise NoSuchPolicy(f"there is no RoutingPolicy {policy}")
    namespace, _, name = policy.partition("/")
    return PolicyKey(namespace, name)


def _report(told: LeaseReport, pod: str) -> Report:
    return Report(pod=pod, **told.model_dump())


def worded(one: Grant) -> LeaseGrant:
    """Return a grant as it is sent."""
    return LeaseGrant(**asdict(one))


def _refusal(status: int, message: str) -> web.Response:
    return web.Response(
        status=status, text=json.dumps({"error": message}), content_type="application/json"
    )
