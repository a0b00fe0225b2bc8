"""Where a target is scaled: found once, remembered, and asked for anew while it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from overspill.api.policy import ScaleTargetRef
from overspill.controller.discovery import ScalePaths
from overspill.controller.errors import Missing
from tests.controller.api import FakeApi

if TYPE_CHECKING:
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api


def served(group: str, **kinds: str) -> Manifest:
    """What a group serves: plurals of kinds, all of them with `/scale`."""
    names = [(name, kind) for plural, kind in kinds.items() for name in (plural, f"{plural}/scale")]
    return {"groupVersion": group, "resources": [{"name": n, "kind": k} for n, k in names]}


def target(api_version: str, kind: str) -> ScaleTargetRef:
    return ScaleTargetRef.model_validate({"apiVersion": api_version, "kind": kind, "name": "glm"})


DEPLOYMENT = target("apps/v1", "Deployment")


def cluster() -> FakeApi:
    apps = served("apps/v1", deployments="Deployment", statefulsets="StatefulSet")
    core = served("v1", replicationcontrollers="ReplicationController")
    return FakeApi(objects={"/apis/apps/v1": apps, "/api/v1": core})


def paths_in(api: FakeApi) -> ScalePaths:
    return ScalePaths(cast("Api", api))


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        pytest.param(
            DEPLOYMENT, "/apis/apps/v1/namespaces/legal/deployments/glm/scale", id="a group"
        ),
        pytest.param(
            target("v1", "ReplicationController"),
            "/api/v1/namespaces/legal/replicationcontrollers/glm/scale",
            id="the core group",
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_target_is_scaled_where_its_kind_is_served(
    wanted: ScaleTargetRef, path: str
) -> None:
    assert await paths_in(cluster()).of("legal", wanted) == path


@pytest.mark.asyncio
async def test_what_was_found_is_not_asked_for_again_and_kinds_are_told_apart() -> None:
    api = cluster()
    paths = paths_in(api)
    found = [await paths.of("legal", DEPLOYMENT)]
    found += [await paths.of("legal", target("apps/v1", "StatefulSet"))]
    api.down = True
    assert await paths.of("legal", DEPLOYMENT) == found[0]
    assert found[0] != found[1]


@pytest.mark.asyncio
async def test_a_kind_that_is_installed_later_is_found_then() -> None:
    api = FakeApi()
    paths = paths_in(api)
    with pytest.raises(Missing, match="serves no Deployment in apps/v1"):
        await paths.of("legal", DEPLOYMENT)
    api.objects = cluster().objects
    assert await paths.of("legal", DEPLOYMENT)
