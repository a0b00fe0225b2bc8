"""Putting the sidecar into an app pod: a pure function from pod and policies to a JSON patch.

The pod keeps its containers; they learn where to send model calls by environment variables, and
never see a provider's key. A pod that already has the sidecar is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from overspill.api.leases import AUDIENCE
from overspill.api.objects import names_a_key
from overspill.api.sidecar_config import CONFIG_FILE, CREDENTIALS_DIR, TOKEN_FILE
from overspill.controller.keys import (
    INJECT_ANNOTATION,
    POLICY_LABEL,
    SIDECAR,
    config_map_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from overspill.controller.keys import Manifest
    from overspill.controller.settings import SidecarSettings

VOLUME: Final = "overspill"
MOUNT: Final = "/etc/overspill"
PROXY_PORT: Final = 4000
ADMIN_PORT: Final = 4001
SIDECAR_UID: Final = 10001
LABEL_LENGTH: Final = 63
TOKEN_SOURCE: Final = {
    "serviceAccountToken": {"path": TOKEN_FILE, "audience": AUDIENCE, "expirationSeconds": 3600}
}
"""Of use with the operator's lease service only; the kubelet renews it."""

_BASE: Final = f"http://127.0.0.1:{PROXY_PORT}"
_CLIENTS: Final = (
    ("OPENAI_BASE_URL", f"{_BASE}/v1", "OPENAI_API_KEY"),
    ("ANTHROPIC_BASE_URL", _BASE, "ANTHROPIC_API_KEY"),
)
_PLACEHOLDER_KEY: Final = "overspill"
"""The official clients refuse to start without a key; the sidecar has the real one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What to change about a pod; no operations mean that it stays as it is."""

    operations: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = ()


def inject(pod: Manifest, policies: Iterable[Manifest], settings: SidecarSettings) -> Injection:
    """Say how the pod gets the sidecar of the policy that selects it.

    Policies are read leniently: one that is refused for its budget still injects, so that a
    restarted app does not lose its way. Where several match, the oldest counts.
    """
    labels = (pod.get("metadata") or {}).get("labels") or {}
    matching = sorted((p for p in policies if selects(p, labels)), key=_age)
    if not matching or _opted_out(pod) or _has_sidecar(pod):
        return Injection()
    name = matching[0]["metadata"]["name"]
    if (pod.get("spec") or {}).get("hostNetwork"):
        message = "pods on the host's network share its ports and cannot have a sidecar"
        return Injection(warnings=(f"RoutingPolicy {name}: not injected: {message}",))
    if len(name) > LABEL_LENGTH:
        message = f"its name is longer than {LABEL_LENGTH} characters, the limit of a label"
        return Injection(warnings=(f"RoutingPolicy {name}: not injected: {message}",))
    environment, warnings = _environment(pod)
    operations = [*_label(pod, name), *_sidecar(pod, settings), *_volume(pod, matching[0])]
    return Injection(
        operations=(*operations, *environment), warnings=(*_rivals(matching), *warnings)
    )


def selects(policy: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a policy's selector matches a pod's labels."""
    workload = (policy.get("spec") or {}).get("workload") or {}
    wanted = (workload.get("selector") or {}).get("matchLabels") or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _age(policy: Manifest) -> tuple[str, str]:
    meta = policy["metadata"]
    return meta.get("creationTimestamp") or "", meta["name"]


def _opted_out(pod: Manifest) -> bool:
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return annotations.get(INJECT_ANNOTATION) == "false"


def _has_sidecar(pod: Manifest) -> bool:
    spec = pod.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return any(container.get("name") == SIDECAR for container in containers)


def _rivals(matching: Sequence[Manifest]) -> Iterator[str]:
    first, *others = [policy["metadata"]["name"] for policy in matching]
    if others:
        yield (
            f"several RoutingPolicies select this pod; {first} is the oldest and counts, "
            f"{', '.join(others)} does not; narrow their workload.selector"
        )


def _label(pod: Manifest, policy: str) -> Iterator[Manifest]:
    labels = (pod.get("metadata") or {}).get("labels") or {}
    yield _add("/metadata/labels", labels | {POLICY_LABEL: policy})


def _sidecar(pod: Manifest, settings: SidecarSettings) -> Iterator[Manifest]:
    container = sidecar_container(settings)
    if (pod.get("spec") or {}).get("initContainers"):
        yield _add("/spec/initContainers/0", container)
    else:
        yield _add("/spec/initContainers", [container])


def sidecar_container(settings: SidecarSettings) -> Manifest:
    """Return a native sidecar: starts before the app, ends after it, does not keep a Job open."""
    container: Manifest = {
        "name": SIDECAR,
        "image": settings.image,
        "restartPolicy": "Always",
        "args": ["sidecar", "--config", f"{MOUNT}/{CONFIG_FILE}"],
        "ports": [{"name": "overspill", "containerPort": ADMIN_PORT, "protocol": "TCP"}],
        # The app's containers start when this succeeds: no call meets a closed port.
        "startupProbe": _probe("/healthz", periodSeconds=1, failureThreshold=60),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2),
        "resources": settings.resources,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": SIDECAR_UID,
            "runAsGroup": SIDECAR_UID,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": VOLUME, "mountPath": MOUNT, "readOnly": True}],
    }
    if settings.env:
        container["env"] = [
            {"name": name, "value": str(value)} for name, value in settings.env.items()
        ]
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    return container


def _probe(path: str, **periods: int) -> Manifest:
    return {"httpGet": {"path": path, "port": ADMIN_PORT}, "timeoutSeconds": 2, **periods}


def _volume(pod: Manifest, policy: Manifest) -> Iterator[Manifest]:
    volume = {
        "name": VOLUME,
        "projected": {
            # Only the sidecar mounts it, as a user that owns nothing and may be in no group.
            "defaultMode": 0o444,
            "sources": [_config_source(policy), TOKEN_SOURCE, *_key_sources(policy)],
        },
    }
    if (pod.get("spec") or {}).get("volumes"):
        yield _add("/spec/volumes/-", volume)
    else:
        yield _add("/spec/volumes", [volume])


def _config_source(policy: Manifest) -> Manifest:
    name = config_map_name(policy["metadata"]["name"])
    items = [{"key": CONFIG_FILE, "path": CONFIG_FILE}]
    return {"configMap": {"name": name, "optional": True, "items": items}}


def _key_sources(policy: Manifest) -> Iterator[Manifest]:
    """Yield each provider's key; one that is missing, or cannot be, keeps no pod from starting."""
    spec = policy["spec"]
    for provider in (*(spec.get("hosted") or ()), *(spec.get("frontier") or ())):
        credentials = provider.get("credentials") or {}
        if "name" not in provider or "secretName" not in credentials:
            continue
        name, secret = provider["name"], credentials["secretName"]
        key = credentials.get("key", "api-key")
        if not names_a_key(name, secret, key):
            continue
        items = [{"key": key, "path": f"{CREDENTIALS_DIR}/{name}"}]
        yield {"secret": {"name": secret, "optional": True, "items": items}}


def _environment(pod: Manifest) -> tuple[list[Manifest], list[str]]:
    operations: list[Manifest] = []
    warnings: list[str] = []
    for index, container in enumerate((pod.get("spec") or {}).get("containers") or ()):
        added, kept = _variables(container)
        warnings += kept
        if added:
            env = [*(container.get("env") or ()), *added]
            operations.append(_add(f"/spec/containers/{index}/env", env))
    return operations, warnings


def _variables(container: Manifest) -> tuple[list[Manifest], list[str]]:
    """Add what each client needs; a base URL that the app sets itself is respected."""
    given = {variable["name"]: variable for variable in container.get("env") or ()}
    added: list[Manifest] = []
    warnings: list[str] = []
    for base_name, base, key_name in _CLIENTS:
        if base_name in given:
            if given[base_name].get("value") != base:
                warnings.append(
                    f"container {container['name']} sets {base_name} itself, so its calls pass by "
                    f"Overspill; remove it, or set it to {base}"
                )
            continue
        added.append({"name": base_name, "value": base})
        if key_name not in given:
            added.append({"name": key_name, "value": _PLACEHOLDER_KEY})
    return added, warnings


def _add(path: str, value: Any) -> Manifest:  # noqa: ANN401 - any JSON value
    return {"op": "add", "path": path, "value": value}
