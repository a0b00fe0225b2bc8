"""Whom a sidecar's token vouches for: a pod, and the policy whose sidecar it carries."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.api.errors import OverspillError
from overspill.api.leases import AUDIENCE
from overspill.controller.errors import NotFound
from overspill.controller.inject import selects
from overspill.controller.keys import POLICY_LABEL, PolicyKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

KEPT_S: Final = 60.0
"""How long an answer about a token holds: a pod that is deleted loses its money that late."""
TOKENS_KEPT: Final = 4096
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_POD_NAME: Final = "authentication.kubernetes.io/pod-name"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_ACCOUNT: Final = "system:serviceaccount:"


class Unproven(OverspillError):
    """The token is not valid, or vouches for no pod (401)."""


class Foreign(OverspillError):
    """The pod is not one of that policy's (403)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A pod that a token vouches for."""

    namespace: str
    pod: str
    labels: dict[str, str]


class Credentials:
    """Asks the API server, and remembers for a while. Raises: Unavailable, Refused too."""

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._known: dict[bytes, tuple[float, Bearer]] = {}

    async def pod_of(self, token: str) -> Bearer:
        """Return the pod of a token. Raises: Unproven."""
        digest, now_s = hashlib.sha256(token.encode()).digest(), self._clock()
        until_s, bearer = self._known.get(digest, (0.0, None))
        if bearer is not None and now_s < until_s:
            return bearer
        bearer = await self._ask(token)
        if len(self._known) >= TOKENS_KEPT:
            self._known.clear()
        self._known[digest] = (now_s + KEPT_S, bearer)
        return bearer

    async def _ask(self, token: str) -> Bearer:
        asked = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        status = (await self._api.create(_REVIEWS, asked)).get("status") or {}
        if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or ()):
            why = status.get("error") or f"it is not for the audience {AUDIENCE}"
            raise Unproven(f"the token is not valid here: {why}; restart the pod for a fresh one")
        namespace, name, uid = _pod_in(status.get("user") or {})
        try:
            path = f"/api/v1/namespaces/{namespace}/pods/{name}"
            meta = (await self._api.get(path, resourceVersion="0"))["metadata"]
        except NotFound:
            meta = {}
        if meta.get("uid") != uid:
            raise Unproven(f"the pod {namespace}/{name} that the token was made for is gone")
        return Bearer(namespace=namespace, pod=name, labels=meta.get("labels") or {})


def check_label(bearer: Bearer, key: PolicyKey) -> None:
    """Refuse a pod that says itself that it is none of that policy's. Raises: Foreign.

    Before the policy is read: what is wrong with one is no business of other namespaces.
    """
    labelled = bearer.labels.get(POLICY_LABEL) == key.name
    if bearer.namespace != key.namespace or not labelled:
        raise Foreign(
            f"pod {bearer.namespace}/{bearer.pod} does not carry the sidecar of policy {key}; "
            "restart it, so that it is injected anew"
        )


def check(bearer: Bearer, key: PolicyKey, policy: Manifest) -> None:
    """Refuse a pod that does not carry that policy's sidecar. Raises: Foreign."""
    check_label(bearer, key)
    if not selects(policy, bearer.labels):
        raise Foreign(
            f"policy {key} does not select pod {bearer.pod} (spec.workload.selector); "
            "restart the pod, or widen the selector"
        )


def _pod_in(user: Manifest) -> tuple[str, str, str]:
    account, extra = user.get("username") or "", user.get("extra") or {}
    names, uids = extra.get(_POD_NAME) or [], extra.get(_POD_UID) or []
    if not account.startswith(_ACCOUNT) or len(names) != 1 or len(uids) != 1:
        raise Unproven("the token is not a pod's projected service account token")
    namespace = account.removeprefix(_ACCOUNT).partition(":")[0]
    return namespace, names[0], uids[0]
