"""Whom a token vouches for: a pod that is there, by its own token, for this very purpose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from overspill.controller.credentials import KEPT_S, Credentials, Unproven
from overspill.controller.errors import NotFound

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

pytestmark = pytest.mark.asyncio
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
USER: dict[str, Any] = {
    "username": "system:serviceaccount:legal:default",
    "extra": {POD_NAME: ["api-1"], POD_UID: ["u-1"]},
}
VALID: dict[str, Any] = {"authenticated": True, "audiences": ["overspill"], "user": USER}


@dataclass
class FakeApi:
    status: dict[str, Any] = field(default_factory=lambda: VALID)
    pod_uid: str | None = "u-1"
    reviews: int = 0

    async def create(self, path: str, body: Manifest) -> Manifest:
        assert path.endswith("/tokenreviews")
        assert body["spec"]["audiences"] == ["overspill"]
        self.reviews += 1
        return {"status": self.status}

    async def get(self, path: str, **_: str) -> Manifest:
        assert path == "/api/v1/namespaces/legal/pods/api-1"
        if self.pod_uid is None:
            raise NotFound(404, path)
        return {"metadata": {"uid": self.pod_uid, "labels": {"app": "api"}}}


def _credentials(api: FakeApi, now_s: list[float]) -> Credentials:
    return Credentials(cast("Api", api), lambda: now_s[0])


async def test_a_pods_own_token_vouches_for_the_pod_and_its_labels() -> None:
    bearer = await _credentials(FakeApi(), [0.0]).pod_of("token")
    assert (bearer.namespace, bearer.pod, bearer.labels) == ("legal", "api-1", {"app": "api"})


@pytest.mark.parametrize(
    ("status", "why"),
    [
        pytest.param({}, "not valid here", id="nothing is said"),
        pytest.param({"error": "expired"}, "expired", id="not authenticated"),
        pytest.param(VALID | {"audiences": ["kube"]}, "audience", id="for somebody else"),
        pytest.param(VALID | {"user": USER | {"extra": {}}}, "projected", id="of no pod"),
        pytest.param(VALID | {"user": USER | {"username": "jane"}}, "projected", id="of a person"),
    ],
)
async def test_any_other_token_is_refused_and_says_why(status: dict[str, Any], why: str) -> None:
    with pytest.raises(Unproven, match=why):
        await _credentials(FakeApi(status=status), [0.0]).pod_of("token")


@pytest.mark.parametrize("uid", [None, "u-2"], ids=["the pod is gone", "another of its name"])
async def test_the_token_of_a_pod_that_is_gone_is_refused(uid: str | None) -> None:
    with pytest.raises(Unproven, match="is gone"):
        await _credentials(FakeApi(pod_uid=uid), [0.0]).pod_of("token")


async def test_an_answer_is_remembered_for_a_while_and_by_token() -> None:
    api, now_s = FakeApi(), [0.0]
    credentials = _credentials(api, now_s)
    await credentials.pod_of("token")
    await credentials.pod_of("token")
    assert api.reviews == 1
    await credentials.pod_of("other")
    assert api.reviews == 2
    now_s[0] = KEPT_S
    await credentials.pod_of("token")
    assert api.reviews == 3
