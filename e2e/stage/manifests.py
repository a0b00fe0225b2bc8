"""Kubernetes objects of the stage, as plain values."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

Manifest = dict[str, Any]

# Built here for own and kind clusters; name pushed ones where KUBECONFIG is somebody else's.
MODELS_IMAGE = os.environ.get("MODELS_IMAGE", "overspill.test/models:e2e")
APP_IMAGE = os.environ.get("APP_IMAGE", "overspill.test/app:e2e")
SMALL_MODEL = "glm-small"
FRONTIER_MODEL = "claude-opus-4-8"
KEY = "sk-only-the-sidecar-knows"
APP_KEY = "sk-the-apps-own"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallServer:
    """Physics of one small-tier replica, and its price."""

    slots: int = 16
    output_tokens_per_s: int = 1600
    max_stream_tokens_per_s: int = 100
    prefill_tokens_per_s: int = 40000
    startup_s: float = 4.0
    hourly_cost: str = "19.92"
    """Eight GPUs at 2.49: dear enough that idle replicas stop while a test looks on."""
    max_replicas: int = 5


def namespace(name: str) -> Manifest:
    """An empty namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _meta(name: str, ns: str) -> Manifest:
    return {"name": name, "namespace": ns, "labels": {"app": name}}


def deployment(name: str, ns: str, container: Manifest, replicas: int = 1) -> Manifest:
    """One container, hardened, with a short grace period."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name, ns),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 20,
                    "automountServiceAccountToken": False,
                    "containers": [
                        {"imagePullPolicy": "IfNotPresent", "securityContext": RESTRICTED}
                        | {"name": name}
                        | container
                    ],
                },
            },
        },
    }


def service(name: str, ns: str, port: int) -> Manifest:
    """A Service in front of the pods of that name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta(name, ns),
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": port}]},
    }


def secret(name: str, ns: str) -> Manifest:
    """The provider's key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _meta(name, ns),
        "stringData": {"api-key": KEY},
    }


def _ready(path: str, port: int) -> Manifest:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, "failureThreshold": 2}


def small(ns: str, server: SmallServer, replicas: int = 0) -> list[Manifest]:
    """The small tier: a Deployment that behaves like a GPU server, and its Service."""
    args = [
        "small",
        f"--model={SMALL_MODEL}",
        f"--slots={server.slots}",
        f"--output-tokens-per-s={server.output_tokens_per_s}",
        f"--max-stream-tokens-per-s={server.max_stream_tokens_per_s}",
        f"--prefill-tokens-per-s={server.prefill_tokens_per_s}",
        f"--startup-s={server.startup_s:g}",
        "--port=8000",
    ]
    container = {
        "image": MODELS_IMAGE,
        "args": args,
        "ports": [{"containerPort": 8000}],
        "readinessProbe": _ready("/health", 8000),
    }
    return [deployment("small", ns, container, replicas), service("small", ns, 8000)]


def frontier(ns: str) -> list[Manifest]:
    """A frontier that speaks the Anthropic Messages wire, and the Secret with its key."""
    container = {
        "image": MODELS_IMAGE,
        "args": [
            "anthropic",
            f"--model={FRONTIER_MODEL}",
            f"--api-key={KEY}",
            "--price-input=5",
            "--price-output=25",
            "--port=8000",
        ],
        "ports": [{"containerPort": 8000}],
        "readinessProbe": _ready("/health", 8000),
    }
    return [
        deployment("frontier", ns, container),
        service("frontier", ns, 8000),
        secret("anthropic", ns),
    ]


def app(ns: str, replicas: int = 1) -> Manifest:
    """The user's app. Nothing in it knows Overspill."""
    container = {
        "image": APP_IMAGE,
        "env": [{"name": "OPENAI_API_KEY", "value": APP_KEY}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": _ready("/stats", 8080),
    }
    return deployment("app", ns, container, replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanges:
    """What a test varies."""

    mode: str = "Enforce"
    server: SmallServer = field(default_factory=SmallServer)
    min_replicas: int = 0
    guess_tokens_per_s: int | None = None
    """What the policy believes of a replica; else what is so."""
    limit: str = "500"
    on_exhausted: str = "SmallOnly"
    pacing: str = "Greedy"
    time_zone: str = "UTC"
    routing: Manifest = field(default_factory=dict)
    """Beside the rules."""
    experiment: Manifest | None = None
    rules: tuple[Manifest, ...] = (
        {
            "name": "partner",
            "when": {"header": {"name": "x-priority", "value": "high"}},
            "tier": "Frontier",
        },
    )


def policy(ns: str, changes: PolicyChanges | None = None) -> Manifest:
    """The RoutingPolicy over all of the above."""
    change = changes or PolicyChanges()
    server = change.server
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "RoutingPolicy",
        "metadata": {"name": "chat", "namespace": ns},
        "spec": {
            "mode": change.mode,
            "workload": {"selector": {"matchLabels": {"app": "app"}}},
            "small": {
                "scaleTargetRef": {"kind": "Deployment", "name": "small"},
                "service": {"name": "small", "port": 8000},
                "model": SMALL_MODEL,
                "replicas": {"min": change.min_replicas, "max": server.max_replicas},
                "replicaHourlyCost": server.hourly_cost,
                "capacity": {
                    "outputTokensPerSecond": change.guess_tokens_per_s
                    or server.output_tokens_per_s,
                    "inputTokenWeight": "0.04",
                    "maxConcurrency": server.slots,
                },
                "startupSeconds": max(1, round(server.startup_s) + 3),
            },
            "frontier": [
                {
                    "name": "opus",
                    "api": "Anthropic",
                    "baseURL": f"http://frontier.{ns}.svc:8000",
                    "model": FRONTIER_MODEL,
                    "credentials": {"secretName": "anthropic"},
                    "price": {"inputPerMTok": "5", "outputPerMTok": "25"},
                }
            ],
            "routing": {"rules": list(change.rules), **change.routing},
            "budget": {
                "limit": change.limit,
                "timeZone": change.time_zone,
                "onExhausted": change.on_exhausted,
                "pacing": change.pacing,
            },
            **({"experiment": change.experiment} if change.experiment else {}),
        },
    }
