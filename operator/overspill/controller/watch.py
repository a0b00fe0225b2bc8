"""kopf's part: watching policies, injected pods and EndpointSlices, and waking the work queue.

Only `on.event` handlers and indices: no finalizer and no annotation is ever put on an object, so
nothing waits for an operator that is away. All are coroutines: kopf runs others in threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import kopf

from overspill import api
from overspill.api import ledger as kinds
from overspill.controller import observation
from overspill.controller.keys import PAUSED_ANNOTATION, POLICY_LABEL, Manifest, PolicyKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from overspill.controller.cluster import InjectedPod, Slice
    from overspill.controller.workqueue import WorkQueue

SERVICE_LABEL: Final = "kubernetes.io/service-name"
SETTLE_S: Final = 0.2
"""Changes that come in a burst are looked at once."""

_POLICIES: Final = (api.GROUP, api.VERSION, api.PLURAL)
_LEDGERS: Final = (api.GROUP, api.VERSION, kinds.PLURAL)
_PODS: Final = ("", "v1", "pods")
_SLICES: Final = ("discovery.k8s.io", "v1", "endpointslices")
_INJECTED: Final = {POLICY_LABEL: kopf.PRESENT}
_OF_SERVICE: Final = {SERVICE_LABEL: kopf.PRESENT}


class Indices:
    """`Watched` over kopf's indices."""

    NAMES: Final = ("policies", "by_service", "by_target", "injected", "slices", "ledgers")

    def __init__(self) -> None:
        self._indices: dict[str, Any] = {name: {} for name in self.NAMES}
        self.whole = False
        """Whether every kind was listed once: before, what is not in here may well be there."""

    def bind(self, handed: Mapping[str, object]) -> None:
        """Take the indices that kopf hands to every handler."""
        self._indices = {name: handed[name] for name in self.NAMES}

    def policy(self, key: PolicyKey) -> Manifest | None:
        """Return the policy as last seen, or None."""
        return next(iter(self._stored("policies", key)), None)

    def injected(self, key: PolicyKey) -> Sequence[InjectedPod]:
        """Pods labelled with that policy."""
        return list(self._stored("injected", key))

    def slices(self, namespace: str, service: str) -> Sequence[Slice]:
        """EndpointSlices of a Service."""
        return list(self._stored("slices", (namespace, service)))

    def scaling(self, namespace: str, kind: str, name: str) -> Sequence[Manifest]:
        """Policies whose scale target is of that kind and name."""
        policies = self._stored("by_target", (namespace, kind, name))
        keys = {PolicyKey(namespace, policy) for policy in policies}
        return [policy for key in sorted(keys) if (policy := self.policy(key)) is not None]

    def ledger(self, key: PolicyKey) -> Manifest | None:
        """Return the policy's BudgetLedger as last seen, or None."""
        return next(iter(self._stored("ledgers", key)), None)

    def all_keys(self) -> Iterable[PolicyKey]:
        """Every policy there is, and every one that left a pod with its name or a ledger.

        None while lists are still coming in.
        """
        if not self.whole:
            return ()
        named = [
            name for index in ("policies", "injected", "ledgers") for name in self._indices[index]
        ]
        return {PolicyKey(*key) for key in named}

    def behind(self, namespace: str, service: str) -> Iterable[PolicyKey]:
        """Policies whose small tier is that Service."""
        names = self._stored("by_service", (namespace, service))
        return [PolicyKey(namespace, name) for name in names]

    def _stored(self, index: str, key: tuple[str, ...]) -> Iterable[Any]:
        values: Iterable[Any] = self._indices[index].get(tuple(key), ())
        return values


def registry(
    watched: Indices,
    queue: WorkQueue[PolicyKey],
    *,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
) -> kopf.OperatorRegistry:
    """Return kopf's handlers. Each says only which policy deserves another look."""
    handlers = kopf.OperatorRegistry()
    _index(handlers)
    _wake(handlers, watched, queue)

    @kopf.on.startup(registry=handlers)
    async def _configure(settings: kopf.OperatorSettings, **kwargs: object) -> None:
        configure(settings)
        watched.bind(kwargs)
        await start()

    @kopf.on.cleanup(registry=handlers)
    async def _finish(**_: object) -> None:
        await stop()

    @kopf.on.login(registry=handlers)
    async def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - passed on
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    return handlers


def _index(handlers: kopf.OperatorRegistry) -> None:
    """Keep of each object only what a look needs."""

    @kopf.index(*_POLICIES, id="policies", registry=handlers)
    async def _policies(namespace: str | None, name: str, body: kopf.Body, **_: object) -> object:
        return {(namespace, name): dict(body)}

    @kopf.index(*_POLICIES, id="by_service", registry=handlers)
    async def _by_service(namespace: str | None, name: str, spec: kopf.Spec, **_: object) -> object:
        return {(namespace, _service(spec)): name}

    @kopf.index(*_POLICIES, id="by_target", registry=handlers)
    async def _by_target(namespace: str | None, name: str, spec: kopf.Spec, **_: object) -> object:
        return {(namespace, *_target(spec)): name}

    @kopf.index(*_PODS, id="injected", labels=_INJECTED, registry=handlers)
    async def _injected(
        namespace: str | None, labels: kopf.Labels, body: kopf.Body, **_: object
    ) -> object:
        return {(namespace, labels[POLICY_LABEL]): observation.injected_pod(dict(body))}

    @kopf.index(*_SLICES, id="slices", labels=_OF_SERVICE, registry=handlers)
    async def _slices(
        namespace: str | None, labels: kopf.Labels, body: kopf.Body, **_: object
    ) -> object:
        return {(namespace, labels[SERVICE_LABEL]): observation.slice_of(dict(body))}

    @kopf.index(*_LEDGERS, id="ledgers", registry=handlers)
    async def _ledgers(namespace: str | None, name: str, body: kopf.Body, **_: object) -> object:
        return {(namespace, name): dict(body)}


def _wake(handlers: kopf.OperatorRegistry, watched: Indices, queue: WorkQueue[PolicyKey]) -> None:
    """Have a policy looked at when it, its pods or its endpoints change.

    kopf calls these once it has listed all kinds, and the first call says so.
    """
    seen: dict[PolicyKey, object] = {}

    @kopf.on.event(*_POLICIES, registry=handlers)
    async def _policy_changed(body: kopf.Body, event: kopf.RawEvent, **_: object) -> None:
        watched.whole = True
        policy = dict(body)
        key, asked = PolicyKey.of(policy), fingerprint(policy)
        if event["type"] == "DELETED":
            seen.pop(key, None)
        elif seen.get(key) == asked:
            return  # our own status coming back
        else:
            seen[key] = asked
        queue.add(key)

    @kopf.on.event(*_PODS, labels=_INJECTED, registry=handlers)
    async def _pod_changed(namespace: str | None, labels: kopf.Labels, **_: object) -> None:
        watched.whole = True
        queue.add(PolicyKey(namespace or "", labels[POLICY_LABEL]), SETTLE_S)

    @kopf.on.event(*_SLICES, labels=_OF_SERVICE, registry=handlers)
    async def _endpoints_changed(namespace: str | None, labels: kopf.Labels, **_: object) -> None:
        watched.whole = True
        for key in watched.behind(namespace or "", labels[SERVICE_LABEL]):
            queue.add(key, SETTLE_S)


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up: bounded requests, server-side filters, nothing posted or persisted by it."""
    settings.scanning.disabled = True  # no rights on namespaces and CRDs are needed
    settings.posting.enabled = False
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 5
    settings.watching.connect_timeout = 5
    settings.watching.chunk_size = 500
    settings.execution.default_backoff = 10
    settings.watching.label_selectors[_PODS] = POLICY_LABEL
    settings.watching.label_selectors[_SLICES] = SERVICE_LABEL
    settings.persistence.finalizer = f"{api.GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=api.GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=api.GROUP)


def fingerprint(policy: Manifest) -> object:
    """Return what must change about a policy for it to deserve a look: never its status."""
    meta = policy["metadata"]
    paused = (meta.get("annotations") or {}).get(PAUSED_ANNOTATION)
    return (meta.get("uid"), meta.get("generation"), paused, meta.get("deletionTimestamp"))


def _service(spec: kopf.Spec) -> str:
    small = spec.get("small") or {}
    name = (small.get("service") or {}).get("name")
    return str(name or "")


def _target(spec: kopf.Spec) -> tuple[str, str]:
    ref = (spec.get("small") or {}).get("scaleTargetRef") or {}
    return str(ref.get("kind") or "Deployment"), str(ref.get("name") or "")
