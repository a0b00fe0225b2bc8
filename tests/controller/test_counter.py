"""The counter: who may speak, what is answered, and why where nothing is."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from overspill.api import parse_policy
from overspill.controller import counter
from overspill.controller.credentials import Bearer, Unproven
from overspill.controller.lending import Lender
from overspill.controller.trials import Keeper
from overspill.trials.record import pack
from overspill.trials.subject import subject_of
from tests.controller.fakes import START_S, resource
from tests.controller.test_lending import MINE, POLICY
from tests.controller.test_trials import TRIED, TrialApi, tried
from tests.trials.batches import batch

if TYPE_CHECKING:
    from overspill.controller.credentials import Credentials
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api

LEASE = {"lease": "a-1", "seq": 1, "spentUsdMicros": 0, "keepUsdMicros": 0, "needUsdMicros": 5}
LEASES = {"policy": "legal/contracts", "reports": [LEASE]}
BATCHES = base64.b64encode(pack([batch()])).decode()
TRIALS = {
    "policy": "legal/contracts",
    "subject": subject_of(parse_policy(tried()["spec"])),
    "batches": BATCHES,
}


@dataclass
class FakeCredentials:
    """One token is good."""

    pods: dict[str, Bearer] = field(default_factory=lambda: {"good": MINE})

    async def pod_of(self, token: str) -> Bearer:
        if token not in self.pods:
            raise Unproven("the token is not valid here")
        return self.pods[token]


async def said(api: TrialApi, path: str, body: object, token: str = "good") -> tuple[int, Any]:
    app = web.Application()
    client = cast("Api", api)
    lender, keeper = Lender(client, lambda: START_S), Keeper(client, gather_s=0.001)
    counter.serve(app, cast("Credentials", FakeCredentials()), lender, keeper)
    async with TestClient(TestServer(app)) as http:
        headers = {"authorization": f"Bearer {token}"}
        async with http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()


@pytest.mark.asyncio
async def test_leases_are_granted_and_trials_are_kept() -> None:
    api = TrialApi()
    status, answer = await said(api, "/v1/leases", LEASES)
    assert (status, answer["grants"][0]["lease"]) == (200, "a-1")
    assert await said(api, "/v1/trials", TRIALS) == (200, {"kept": 1})
    assert api.names == ["a-1"]


@pytest.mark.parametrize(("path", "body"), [("/v1/leases", LEASES), ("/v1/trials", TRIALS)])
@pytest.mark.asyncio
async def test_who_cannot_say_which_pod_it_is_gets_nothing(path: str, body: object) -> None:
    assert (await said(TrialApi(), path, body, token="bad"))[0] == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        pytest.param("/v1/leases", {"policy": "a/b"}, 400, "reports", id="half a request"),
        pytest.param(
            "/v1/trials", {"policy": "a/b", "subject": ""}, 400, "batches", id="no batches"
        ),
        pytest.param(
            "/v1/trials",
            TRIALS | {"batches": base64.b64encode(b"words").decode()},
            400,
            "trials that cannot be read",
            id="batches that are none",
        ),
        pytest.param(
            "/v1/trials", TRIALS | {"policy": "x"}, 404, "no RoutingPolicy", id="no policy"
        ),
        pytest.param(
            "/v1/leases",
            LEASES | {"policy": "legal/../../legal/routingpolicies/contracts"},
            404,
            "no RoutingPolicy",
            id="a path for a policy",
        ),
        pytest.param(
            "/v1/trials", TRIALS | {"policy": "other/tries"}, 403, "restart it", id="foreign"
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_says_why(path: str, body: object, status: int, why: str) -> None:
    elsewhere = POLICY.replace("legal", "other").replace("contracts", "tries")
    api = TrialApi()
    api.objects[elsewhere] = resource(routing=TRIED)
    code, answer = await said(api, path, body)
    assert code == status
    assert why in answer["error"]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(None, id="there is none"),
        pytest.param({"budget": {"limit": "a secret"}}, id="one that is not valid"),
        pytest.param(resource()["spec"] | {"budget": None}, id="one without a budget"),
        pytest.param(resource()["spec"], id="a good one"),
    ],
)
@pytest.mark.parametrize(("path", "body"), [("/v1/leases", LEASES), ("/v1/trials", TRIALS)])
@pytest.mark.asyncio
async def test_a_pod_learns_nothing_of_policies_of_other_namespaces(
    path: str, body: dict[str, object], spec: Manifest | None
) -> None:
    api = TrialApi()
    if spec is not None:
        api.objects[POLICY.replace("legal", "other")] = resource() | {"spec": spec}
    told = await said(api, path, body | {"policy": "other/contracts"})
    assert told == (
        403,
        {
            "error": "pod legal/a does not carry the sidecar of policy other/contracts; "
            "restart it, so that it is injected anew"
        },
    )


@pytest.mark.asyncio
async def test_too_much_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "MOST_BYTES", 50)
    code, answer = await said(TrialApi(), "/v1/trials", TRIALS)
    assert code == 400
    assert "send less at once" in answer["error"]


@pytest.mark.asyncio
async def test_while_nothing_can_be_written_the_sidecar_comes_again() -> None:
    assert (await said(TrialApi(down=True), "/v1/trials", TRIALS))[0] == 503
