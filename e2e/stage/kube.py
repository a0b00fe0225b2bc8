"""kubectl, called as a user calls it."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.stage.manifests import Manifest

T = TypeVar("T")
POLL_S = 0.5


class KubectlError(RuntimeError):
    """kubectl refused; the message is what it printed."""


def kubectl(*words: str, stdin: str | None = None, timeout_s: float = 120.0) -> str:
    """Run kubectl and return what it printed. Raises: KubectlError."""
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=timeout_s
    )
    if done.returncode:
        raise KubectlError(f"kubectl {' '.join(words[:6])}: {done.stderr.strip()}")
    return done.stdout


def apply(*manifests: Manifest) -> str:
    """`kubectl apply` the objects."""
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    return kubectl("apply", "-f", "-", stdin=document)


def get(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    """One object. Raises: KubectlError where there is none."""
    found: dict[str, Any] = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


def listing(kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """All objects of a kind in a namespace."""
    words = ["get", kind, "-n", namespace, "-o", "json"]
    found = json.loads(kubectl(*words, *(["-l", selector] if selector else [])))
    items: list[dict[str, Any]] = found["items"]
    return items


def exists(kind: str, name: str, namespace: str = "default") -> bool:
    """Whether the object is there."""
    return bool(kubectl("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "name"))


def ready_pods(namespace: str, selector: str) -> list[str]:
    """Names of the pods that are Ready and not going away."""
    return [
        pod["metadata"]["name"]
        for pod in listing("pods", namespace, selector)
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in pod["status"].get("conditions", [])
        )
    ]


def _proxy(namespace: str, pod: str, port: int, path: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"


def http_get(namespace: str, pod: str, port: int, path: str) -> str:
    """GET from a pod through the API server, so that it works on every cluster."""
    return kubectl("get", "--raw", _proxy(namespace, pod, port, path))


def http_post(namespace: str, pod: str, port: int, path: str, body: object) -> str:
    """POST JSON to a pod through the API server."""
    raw = _proxy(namespace, pod, port, path)
    return kubectl("create", "--raw", raw, "-f", "-", stdin=json.dumps(body))


def until(what: str, look: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Look until something (truthy) is seen, and return it. Raises: TimeoutError with the last."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while True:
        try:
            seen = look()
        except KubectlError as error:
            seen, last = None, error
        else:
            last = seen
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not seen in {timeout_s:g} s; last look: {last!r}")
        time.sleep(POLL_S)
