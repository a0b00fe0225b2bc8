"""The real cluster's side of the seam, against an API server that answers from a table."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from kubernetes.aio.client import Configuration

from overspill.api.policy import ScaleTargetRef
from overspill.controller.cluster import Scale
from overspill.controller.errors import Conflict, Missing, NotFound, Refused, Unavailable
from overspill.controller.kube import Api, refusal
from overspill.controller.live import LiveCluster
from tests.controller.fakes import KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.asyncio

SMALL = ScaleTargetRef(name="small")
APPS = {
    "resources": [
        {"name": "deployments", "kind": "Deployment"},
        {"name": "deployments/scale", "kind": "Scale"},
    ]
}
SCALE_PATH = "/apis/apps/v1/namespaces/legal/deployments/small/scale"


def address(server: BaseTestServer) -> str:
    return str(server.make_url("")).rstrip("/")


class ApiServer:
    """Answers (method, path) from a table, 404 for the rest, and keeps what it was asked."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, str], list[tuple[int, Any]]] = defaultdict(list)
        self.asked: list[tuple[str, str, str, Any]] = []
        self.accepted: list[str] = []

    def answer(self, method: str, path: str, body: object, status: int = 200) -> None:
        self.table[method, path].append((status, body))

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        kind = request.headers.get("Content-Type", "")
        self.accepted.append(request.headers.get("Accept", ""))
        query = f"?{request.query_string}" if request.query_string else ""
        self.asked.append(
            (request.method, request.path + query, kind, json.loads(text) if text else None)
        )
        answers = self.table[request.method, request.path]
        status, body = answers.pop(0) if answers else (404, {"message": "not found"})
        return web.json_response(body, status=status)

    async def run(self, story: Callable[[LiveCluster], Awaitable[None]]) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        async with TestServer(app) as server, Api(Configuration(host=address(server))) as api:
            await story(LiveCluster(api))


async def test_a_scale_is_discovered_once_read_and_written() -> None:
    server = ApiServer()
    server.answer("GET", "/apis/apps/v1", APPS)
    found = {"spec": {"replicas": 2}, "status": {"replicas": 1, "selector": "app=small"}}
    server.answer("GET", SCALE_PATH, found)
    server.answer("PATCH", SCALE_PATH, found)

    async def story(cluster: LiveCluster) -> None:
        scale = await cluster.scale("legal", SMALL)
        assert scale == Scale(requested=2, reported=1, selector="app=small")
        await cluster.write_scale("legal", SMALL, 3)

    await server.run(story)
    method, path, kind, body = server.asked[-1]
    assert (method, path) == ("PATCH", f"{SCALE_PATH}?fieldManager=overspill")
    assert (kind, body) == ("application/merge-patch+json", {"spec": {"replicas": 3}})
    assert len(server.asked) == 3


async def test_a_target_that_is_not_there_is_missing_and_found_when_it_comes() -> None:
    server = ApiServer()
    server.answer("GET", "/apis/apps/v1", APPS)

    async def story(cluster: LiveCluster) -> None:
        with pytest.raises(Missing, match="Deployment small") as missing:
            await cluster.scale("legal", SMALL)
        assert missing.value.reason == "TargetNotFound"
        server.answer("GET", SCALE_PATH, {"spec": {"replicas": 1}})
        assert (await cluster.scale("legal", SMALL)).requested == 1

    await server.run(story)


async def test_a_right_that_is_missing_says_which() -> None:
    server = ApiServer()
    server.answer("GET", "/apis/apps/v1", APPS)
    server.answer("PATCH", SCALE_PATH, {"message": "cannot patch"}, status=403)

    async def story(cluster: LiveCluster) -> None:
        with pytest.raises(Missing, match="grant its service account"):
            await cluster.write_scale("legal", SMALL, 3)

    await server.run(story)


async def test_a_scale_that_is_refused_for_what_it_says_is_told_and_not_tried_in_silence() -> None:
    server = ApiServer()
    server.answer("GET", "/apis/apps/v1", APPS)
    refused = {"message": "admission webhook denied: at most 2 replicas"}
    server.answer("PATCH", SCALE_PATH, refused, status=422)

    async def story(cluster: LiveCluster) -> None:
        with pytest.raises(Missing, match="at most 2 replicas"):
            await cluster.write_scale("legal", SMALL, 3)

    await server.run(story)


async def test_a_pod_that_may_not_be_stamped_holds_nothing_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = ApiServer()
    for name in ("a", "b"):
        refused = {"message": "admission webhook denied: no change of this pod"}
        server.answer("PATCH", f"/api/v1/namespaces/legal/pods/{name}", refused, status=400)

    async def story(cluster: LiveCluster) -> None:
        for name in ("a", "b"):
            await cluster.annotate_pod("legal", name, "overspill.dev/config-revision", "r")

    await server.run(story)
    assert len(server.asked) == 2
    assert len(caplog.records) == 1


HPAS_PATH = "/apis/autoscaling/v2/namespaces/legal/horizontalpodautoscalers"
NODE_PATH = "/api/v1/nodes/n1"


async def test_autoscalers_and_labels_of_a_node_are_read_from_the_cache() -> None:
    server = ApiServer()
    server.answer("GET", HPAS_PATH, {"items": [{"metadata": {"name": "a"}}]})
    server.answer("GET", NODE_PATH, {"metadata": {"labels": {"gpu": "l4"}}})

    async def story(cluster: LiveCluster) -> None:
        assert await cluster.autoscalers("legal") == [{"metadata": {"name": "a"}}]
        assert await cluster.node_labels("n1") == {"gpu": "l4"}
        assert await cluster.node_labels("gone") is None

    await server.run(story)
    assert [asked[1].endswith("?resourceVersion=0") for asked in server.asked] == [True] * 3


async def test_a_right_to_look_around_that_is_missing_is_told_once_and_holds_nothing_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = ApiServer()
    for path in (HPAS_PATH, NODE_PATH) * 2:
        server.answer("GET", path, {"message": "cannot"}, status=403)

    async def story(cluster: LiveCluster) -> None:
        for _ in range(2):
            assert await cluster.autoscalers("legal") == []
            assert await cluster.node_labels("n1") is None

    await server.run(story)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "another autoscaler of a small tier would not be seen",
        "costs by node label are not in force",
    ]


async def test_a_config_map_is_applied_and_a_stamp_removed_by_null() -> None:
    server = ApiServer()
    server.answer("PATCH", "/api/v1/namespaces/legal/configmaps/overspill-p", {})

    async def story(cluster: LiveCluster) -> None:
        meta = {"namespace": "legal", "name": "overspill-p"}
        await cluster.apply_config_map({"metadata": meta})
        await cluster.annotate_pod("legal", "gone", "overspill.dev/config-revision", None)
        await cluster.patch_status(KEY, {"state": "Ready"})

    await server.run(story)
    applied, stamp, status = server.asked
    assert applied[2] == "application/apply-patch+yaml"
    assert applied[1].endswith("?fieldManager=overspill&force=true")
    assert stamp[3] == {"metadata": {"annotations": {"overspill.dev/config-revision": None}}}
    assert status[3] == {"status": {"state": "Ready"}}


async def test_an_event_that_is_refused_fails_nothing() -> None:
    server = ApiServer()
    server.answer("POST", "/api/v1/namespaces/legal/events", {"message": "no"}, status=403)

    async def story(cluster: LiveCluster) -> None:
        await cluster.post_event({"metadata": {"namespace": "legal"}, "reason": "ScaledUp"})

    await server.run(story)
    assert len(server.asked) == 1


async def test_policies_are_served_once_their_definition_is_installed() -> None:
    server = ApiServer()

    async def story(cluster: LiveCluster) -> None:
        assert not await cluster.serves_policies()
        path, policies = "/apis/overspill.dev/v1alpha1", {"name": "routingpolicies"}
        server.answer("GET", path, {"resources": [policies]})
        assert not await cluster.serves_policies()  # kopf never looks again for what it lacks
        server.answer("GET", path, {"resources": [policies, {"name": "budgetledgers"}]})
        assert await cluster.serves_policies()

    await server.run(story)


async def test_an_api_server_that_is_away_is_unavailable() -> None:
    async with Api(Configuration(host="http://127.0.0.1:9")) as api:
        with pytest.raises(Unavailable, match="did not answer"):
            await api.get("/readyz")


async def test_an_answer_that_is_no_json_is_unavailable() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text="<html>log in first</html>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server, Api(Configuration(host=address(server))) as api:
        with pytest.raises(Unavailable, match="no JSON"):
            await api.get("/apis")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../../kube-system/deployments/coredns", id="up"),
        pytest.param("%2e%2e/%2e%2e/kube-system/deployments/coredns", id="up, encoded"),
        pytest.param("small?x=", id="a query"),
    ],
)
async def test_no_name_leads_out_of_its_namespace(name: str) -> None:
    server = ApiServer()
    server.answer("GET", "/apis/apps/v1", APPS)

    async def story(cluster: LiveCluster) -> None:
        target = ScaleTargetRef.model_construct(api_version="apps/v1", kind="Deployment", name=name)
        with pytest.raises(Refused, match="none that Kubernetes gives"):
            await cluster.scale("legal", target)

    await server.run(story)
    assert [path for _, path, _, _ in server.asked] == ["/apis/apps/v1"]


STATUSES = [
    pytest.param(404, NotFound, id="not found"),
    pytest.param(409, Conflict, id="conflict"),
    pytest.param(422, Refused, id="invalid"),
    pytest.param(429, Unavailable, id="too many"),
    pytest.param(503, Unavailable, id="overloaded"),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_a_status_says_whose_turn_it_is(status: int, kind: type[Exception]) -> None:
    assert type(refusal(status, "m")) is kind


@pytest.mark.parametrize("status", [200, 404, 409])
async def test_a_ledger_is_deleted_as_it_was_read_or_not_at_all(status: int) -> None:
    server = ApiServer()
    path = "/apis/overspill.dev/v1alpha1/namespaces/legal/budgetledgers/contracts"
    server.answer("DELETE", path, {"message": "said"}, status)
    meta = {"uid": "u", "resourceVersion": "7", "name": "contracts"}

    async def story(cluster: LiveCluster) -> None:
        await cluster.delete_ledger(KEY, {"metadata": meta})

    await server.run(story)
    ((_, _, _, body),) = server.asked
    assert body == {"preconditions": {"uid": "u", "resourceVersion": "7"}}


async def test_lists_of_metadata_carry_no_data() -> None:
    server = ApiServer()
    path = "/api/v1/namespaces/legal/configmaps"
    server.answer("GET", path, {"items": [{"metadata": {"name": "x"}}]})

    async def story(cluster: LiveCluster) -> None:
        assert await cluster.trial_marks("legal", "a=b") == [{"metadata": {"name": "x"}}]

    await server.run(story)
    assert server.accepted[-1].startswith("application/json;as=PartialObjectMetadataList")


async def test_the_pods_that_are_there_are_asked_for_by_the_policys_label() -> None:
    server = ApiServer()
    path = "/api/v1/namespaces/legal/pods"
    server.answer("GET", path, {"items": [{"metadata": {"name": "x", "uid": "1-2"}}]})

    async def story(cluster: LiveCluster) -> None:
        assert await cluster.injected_uids(KEY) == {"1-2"}

    await server.run(story)
    assert "labelSelector=overspill.dev/policy=contracts" in unquote(server.asked[-1][1])


async def test_a_segment_that_is_gone_already_is_no_error_to_delete() -> None:
    async def story(cluster: LiveCluster) -> None:
        meta = {"name": "x", "namespace": "legal", "uid": "u", "resourceVersion": "1"}
        await cluster.delete_config_map(meta)

    server = ApiServer()
    await server.run(story)
    assert server.asked[-1][3] == {"preconditions": {"uid": "u", "resourceVersion": "1"}}
