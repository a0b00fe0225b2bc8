"""Admission reviews over HTTP, as the API server sends them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from overspill.controller.admission import application, review_policy
from overspill.controller.errors import Unavailable
from overspill.controller.settings import Settings, SidecarSettings
from tests.api.policies import policy
from tests.controller.test_inject import a_pod, a_policy

SETTINGS = Settings(
    prometheus_url="http://prometheus",
    sidecar=SidecarSettings(image="overspill:1"),
    operator_namespace="overspill-system",
    identity="me",
    namespaces=("legal",),
)


async def policies_in(namespace: str) -> list[dict[str, Any]]:
    return [a_policy()]


async def nobody_home(namespace: str) -> list[dict[str, Any]]:
    raise Unavailable("the API server did not answer")


async def send(path: str, request: object, source: Any = policies_in) -> Any:  # noqa: ANN401
    server = TestServer(application(SETTINGS, source))
    async with TestClient(server) as client:
        answer = await client.post(path, json={"request": request})
        return (await answer.json())["response"] if answer.status == 200 else answer.status


@pytest.mark.asyncio
async def test_a_matching_pod_is_answered_with_a_json_patch() -> None:
    answer = await send("/mutate", {"uid": "7", "namespace": "legal", "object": a_pod()})
    assert (answer["uid"], answer["allowed"], answer["patchType"]) == ("7", True, "JSONPatch")
    assert json.loads(base64.b64decode(answer["patch"]))[0]["path"] == "/metadata/labels"


@pytest.mark.asyncio
async def test_a_pod_in_a_namespace_that_is_not_served_passes_untouched() -> None:
    answer = await send("/mutate", {"uid": "7", "namespace": "other", "object": a_pod()})
    assert answer == {"uid": "7", "allowed": True}


@pytest.mark.asyncio
async def test_a_pod_is_let_through_when_policies_cannot_be_read() -> None:
    request = {"uid": "7", "namespace": "legal", "object": a_pod()}
    answer = await send("/mutate", request, nobody_home)
    assert answer["allowed"]
    assert "no sidecar was injected" in answer["warnings"][0]


@pytest.mark.asyncio
async def test_what_is_no_review_is_refused() -> None:
    assert await send("/validate", None) == 400


def review(new: dict[str, Any], old: dict[str, Any] | None = None, **meta: str) -> dict[str, Any]:
    request: dict[str, Any] = {"object": {"metadata": {"name": "p"} | meta, "spec": new}}
    if old is not None:
        request["oldObject"] = {"metadata": {"name": "p"}, "spec": old}
    return review_policy(request)


BAD = policy(budget__timeZone="Mars/Olympus")
REVIEWS = [
    pytest.param(review(policy()), True, id="good"),
    pytest.param(review(BAD), False, id="bad"),
    pytest.param(review(BAD, policy()), False, id="edited into bad"),
    pytest.param(review(BAD, BAD), True, id="bad already, only metadata changes"),
    pytest.param(review(BAD, policy(), deletionTimestamp="now"), True, id="on its way out"),
    pytest.param(review(policy(), name="x" * 64), False, id="name no label can hold"),
]


@pytest.mark.parametrize(("answer", "allowed"), REVIEWS)
def test_a_policy_is_admitted_if_it_can_be_obeyed(answer: dict[str, Any], allowed: bool) -> None:
    assert answer["allowed"] is allowed


def test_a_refusal_says_where_what_and_the_value() -> None:
    message = review(BAD)["status"]["message"]
    for part in ("spec.budget.timeZone", "IANA time zone", "'Mars/Olympus'"):
        assert part in message


@pytest.mark.asyncio
async def test_namespaces_that_are_not_served_are_not_even_read() -> None:
    request = {"uid": "7", "namespace": "other", "object": a_pod()}
    assert await send("/mutate", request, nobody_home) == {"uid": "7", "allowed": True}
