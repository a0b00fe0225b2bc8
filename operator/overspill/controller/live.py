"""The real cluster behind the `Cluster` seam."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from overspill import api
from overspill.api import ledger as kinds
from overspill.controller import kube, observation
from overspill.controller.discovery import ScalePaths
from overspill.controller.errors import Conflict, Missing, NotFound, Refused, Unavailable
from overspill.controller.keys import FIELD_MANAGER, POLICY_LABEL
from overspill.controller.policies import place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.policy import ScaleTargetRef
    from overspill.controller.cluster import Scale
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api

FORBIDDEN: Final = 403

log = logging.getLogger(__name__)


class LiveCluster:
    """`Cluster` over the API server."""

    def __init__(self, client: Api) -> None:
        self._api = client
        self._scales = ScalePaths(client)
        self._told: set[str] = set()

    async def stored_policy(self, key: PolicyKey) -> Manifest | None:
        """Read a policy, not from a cache."""
        try:
            return await self._api.get(place(key, api.PLURAL))
        except NotFound:
            return None

    async def scale(self, namespace: str, target: ScaleTargetRef) -> Scale:
        """Read `/scale`; a target that is not there is Missing."""
        path = await self._scales.of(namespace, target)
        try:
            return observation.scale_of(await self._api.get(path))
        except NotFound:
            raise Missing(
                "TargetNotFound",
                f"{target.kind} {target.name} (spec.small.scaleTargetRef) does not exist in "
                f"namespace {namespace}; create it or correct the name",
            ) from None
        except Refused as error:
            if error.status != FORBIDDEN:
                raise
            raise _forbidden(target, error) from None

    async def write_scale(self, namespace: str, target: ScaleTargetRef, replicas: int) -> None:
        """Merge `spec.replicas` into `/scale`."""
        path = await self._scales.of(namespace, target)
        patch = {"spec": {"replicas": replicas}}
        try:
            await self._api.patch(path, patch, fieldManager=FIELD_MANAGER)
        except (NotFound, Conflict):
            raise  # the next look sees what is there
        except Refused as error:
            if error.status == FORBIDDEN:
                raise _forbidden(target, error) from None
            raise _refused(target, replicas, error) from None

    async def pods(self, namespace: str, selector: str) -> list[Manifest]:
        """List from the API server's cache."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        return await self._api.items(path, labelSelector=selector, resourceVersion="0")

    async def injected_uids(self, key: PolicyKey) -> frozenset[str]:
        """List from the API server's cache."""
        path = f"/api/v1/namespaces/{key.namespace}/pods"
        selector = f"{POLICY_LABEL}={key.name}"
        found = await self._api.metadata(path, labelSelector=selector, resourceVersion="0")
        return frozenset(pod["metadata"]["uid"] for pod in found)

    async def autoscalers(self, namespace: str) -> list[Manifest]:
        """List from the API server's cache."""
        path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
        try:
            return await self._api.items(path, resourceVersion="0")
        except Refused as error:
            self._tell_once("another autoscaler of a small tier would not be seen", error)
            return []

    async def node_labels(self, name: str) -> Mapping[str, str] | None:
        """Read from the API server's cache."""
        try:
            node = await self._api.get(f"/api/v1/nodes/{name}", resourceVersion="0")
        except NotFound:
            return None
        except Refused as error:
            self._tell_once("costs by node label are not in force", error)
            return None
        labels: dict[str, str] = node["metadata"].get("labels") or {}
        return labels

    def _tell_once(self, consequence: str, error: Refused) -> None:
        """A right that is missing is missing at every look."""
        if consequence not in self._told:
            self._told.add(consequence)
            log.warning("%s: %s", consequence, error)

    async def service(self, namespace: str, name: str) -> Manifest | None:
        """Read a Service, None where there is none."""
        return await self._cached(f"/api/v1/namespaces/{namespace}/services/{name}")

    async def config_map(self, namespace: str, name: str) -> Manifest | None:
        """Read a ConfigMap, None where there is none."""
        return await self._cached(f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    async def _cached(self, path: str) -> Manifest | None:
        """Read from the API server's cache."""
        try:
            return await self._api.get(path, resourceVersion="0")
        except NotFound:
            return None

    async def apply_config_map(self, manifest: Manifest) -> None:
        """Server-side apply; what we own wins over other field managers."""
        meta = manifest["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/configmaps/{meta['name']}"
        await self._api.patch(
            path, manifest, kube.APPLY_PATCH, fieldManager=FIELD_MANAGER, force="true"
        )

    async def trial_marks(self, namespace: str, selector: str) -> list[Manifest]:
        """List from the API server's cache."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        return await self._api.metadata(path, labelSelector=selector, resourceVersion="0")

    async def delete_config_map(self, meta: Manifest) -> None:
        """Delete it by uid and resourceVersion."""
        path = f"/api/v1/namespaces/{meta['namespace']}/configmaps/{meta['name']}"
        try:
            await self._api.delete(path, meta)
        except (NotFound, Conflict):
            log.debug("ConfigMap %s is gone, or has been written to", meta["name"])

    async def annotate_pod(
        self, namespace: str, name: str, annotation: str, value: str | None
    ) -> None:
        """Merge one annotation; null removes it."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        patch = {"metadata": {"annotations": {annotation: value}}}
        try:
            await self._api.patch(path, patch, fieldManager=FIELD_MANAGER)
        except NotFound:
            log.debug("pod %s/%s is gone", namespace, name)
        except Refused as error:  # the kubelet brings the file all the same, only later
            self._tell_once("some pods see changes of their policy a minute late", error)

    async def patch_status(self, key: PolicyKey, patch: Manifest) -> None:
        """Merge into /status."""
        path = f"{place(key, api.PLURAL)}/status"
        try:
            await self._api.patch(path, {"status": patch}, fieldManager=FIELD_MANAGER)
        except NotFound:
            log.debug("policy %s is gone", key)

    async def delete_ledger(self, key: PolicyKey, manifest: Manifest) -> None:
        """Delete it by uid and resourceVersion."""
        try:
            await self._api.delete(place(key, kinds.PLURAL), manifest["metadata"])
        except (NotFound, Conflict):
            log.debug("the ledger of %s is gone, or has been written to", key)

    async def post_event(self, manifest: Manifest) -> None:
        """Create an Event; one that is refused is logged and dropped."""
        path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/events"
        try:
            await self._api.create(path, manifest)
        except (Refused, Unavailable) as error:
            log.warning("Event %s was not recorded: %s", manifest["reason"], error)

    async def policies(self, namespace: str) -> list[Manifest]:
        """List the policies of one namespace from the API server's cache."""
        path = f"{_group()}/namespaces/{namespace}/{api.PLURAL}"
        return await self._api.items(path, resourceVersion="0")

    async def serves_policies(self) -> bool:
        """Whether both CustomResourceDefinitions are installed: kopf looks for them only once."""
        try:
            served = await self._api.get(_group())
        except NotFound:
            return False
        return {api.PLURAL, kinds.PLURAL} <= {r["name"] for r in served.get("resources") or ()}


def _group() -> str:
    return f"/apis/{api.API_VERSION}"


def _forbidden(target: ScaleTargetRef, error: Refused) -> Missing:
    return Missing(
        "Forbidden",
        f"the operator may not scale {target.kind} {target.name}; grant its service account "
        f"get and patch on that /scale: {error}",
    )


def _refused(target: ScaleTargetRef, replicas: int, error: Refused) -> Missing:
    return Missing(
        "Forbidden",
        f"the API server refuses {replicas} replicas of {target.kind} {target.name}; change what "
        f"refuses them, or spec.small.replicas: {error}",
    )
