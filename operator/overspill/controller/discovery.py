"""Where the `/scale` subresource of a kind lives. Any kind that has one can be a scale target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill.controller.errors import Missing, NotFound

if TYPE_CHECKING:
    from overspill.api.policy import ScaleTargetRef
    from overspill.controller.keys import Manifest
    from overspill.controller.kube import Api


def group_path(api_version: str) -> str:
    """Return the URL path of a group and version: `v1` is the core group."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def scalable_plural(resources: Manifest, kind: str) -> str:
    """Find the plural of a kind that has `/scale` in an APIResourceList. Raises: Missing."""
    listed: dict[str, Manifest] = {r["name"]: r for r in resources.get("resources") or ()}
    plurals = [n for n, r in listed.items() if r.get("kind") == kind and "/" not in n]
    if not plurals:
        raise Missing(
            "TargetKindNotFound",
            f"the cluster serves no {kind} in {resources.get('groupVersion', 'that group')} "
            "(spec.small.scaleTargetRef); correct apiVersion or kind, or install its CRD",
        )
    found = next((plural for plural in plurals if f"{plural}/scale" in listed), None)
    if found is None:
        raise Missing(
            "NotScalable",
            f"{kind} has no /scale subresource (spec.small.scaleTargetRef); name a kind that does, "
            "such as a Deployment",
        )
    return found


class ScalePaths:
    """Finds and remembers the path of `/scale` for each kind. What is missing is asked for anew."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._plurals: dict[tuple[str, str], str] = {}

    async def of(self, namespace: str, target: ScaleTargetRef) -> str:
        """Return the URL path of one target's `/scale`. Raises: Missing."""
        kind = (target.api_version, target.kind)
        plural = self._plurals.get(kind)
        if plural is None:
            plural = self._plurals[kind] = scalable_plural(await self._resources(target), kind[1])
        prefix = group_path(target.api_version)
        return f"{prefix}/namespaces/{namespace}/{plural}/{target.name}/scale"

    async def _resources(self, target: ScaleTargetRef) -> Manifest:
        try:
            return await self._api.get(group_path(target.api_version))
        except NotFound:
            return {"groupVersion": target.api_version}
