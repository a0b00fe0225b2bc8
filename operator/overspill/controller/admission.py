"""Admission reviews: the API server asks, a pure function answers.

Served by every replica, leader or not: a pod must never wait for an election.
"""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from overspill.api import InvalidPolicy, parse_policy
from overspill.controller import bodies
from overspill.controller.errors import Refused, Unavailable
from overspill.controller.inject import LABEL_LENGTH, Injection, inject

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from overspill.controller.keys import Manifest
    from overspill.controller.settings import Settings

log = logging.getLogger(__name__)

UNPROCESSABLE: Final = 422


def validate(policy: Manifest) -> tuple[str, ...]:
    """List what is wrong with a policy: path, value and remedy, one sentence a fault."""
    name = (policy.get("metadata") or {}).get("name") or ""
    problems = []
    if len(name) > LABEL_LENGTH:
        problems.append(
            f"metadata.name: {len(name)} characters; choose one of at most {LABEL_LENGTH}, "
            "because it becomes a label of pods"
        )
    try:
        parse_policy(policy.get("spec"))
    except InvalidPolicy as error:
        problems += error.problems
    return tuple(problems)


def review_policy(request: Manifest) -> Manifest:
    """Answer for a RoutingPolicy. Edits that leave the spec as it is always pass."""
    new, old = request.get("object") or {}, request.get("oldObject") or {}
    leaving = bool((new.get("metadata") or {}).get("deletionTimestamp"))
    if leaving or (old and old.get("spec") == new.get("spec")):
        return allowed()
    problems = validate(new)
    return denied("; ".join(problems)) if problems else allowed()


def review_pod(request: Manifest, policies: Sequence[Manifest], settings: Settings) -> Manifest:
    """Answer for a pod: always allowed, perhaps with the sidecar."""
    answer = inject(request.get("object") or {}, policies, settings.sidecar)
    return patched(answer)


def allowed(warnings: Sequence[str] = ()) -> Manifest:
    """Let it pass."""
    return {"allowed": True} | ({"warnings": list(warnings)} if warnings else {})


def denied(message: str) -> Manifest:
    """Refuse it; the message reaches the person at kubectl."""
    status = {"code": UNPROCESSABLE, "reason": "Invalid", "message": message}
    return {"allowed": False, "status": status}


def patched(injection: Injection) -> Manifest:
    """Let it pass with a JSON patch."""
    answer = allowed(injection.warnings)
    if not injection.operations:
        return answer
    patch = json.dumps(list(injection.operations)).encode()
    return answer | {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}


def application(
    settings: Settings, policies_in: Callable[[str], Awaitable[list[Manifest]]]
) -> web.Application:
    """Return the HTTPS application. `policies_in` reads the policies of a namespace."""

    async def mutate(request: Manifest) -> Manifest:
        if not settings.serves(request.get("namespace") or ""):
            return allowed()  # its policies are not ours to read
        try:
            policies = await policies_in(request.get("namespace") or "")
        except (Refused, Unavailable) as error:
            log.warning("a pod was let through without a look: %s", error)
            return allowed(["Overspill could not read its policies; no sidecar was injected"])
        return review_pod(request, policies, settings)

    async def check(request: Manifest) -> Manifest:
        return review_policy(request)

    app = web.Application(client_max_size=bodies.MOST_BYTES, middlewares=[bodies.bounded()])
    app.router.add_post("/mutate", _reviewing(mutate))
    app.router.add_post("/validate", _reviewing(check))
    return app


def _reviewing(
    answer: Callable[[Manifest], Awaitable[Manifest]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Unwrap an AdmissionReview, answer it, and wrap the answer."""

    async def handle(request: web.Request) -> web.Response:
        try:
            review = await request.json()
            asked = review["request"]
            uid = asked["uid"]
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest(text="not an AdmissionReview") from None
        response = {"uid": uid} | await answer(asked)
        return web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        )

    return handle
