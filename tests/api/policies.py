"""A complete policy to start from; tests change one thing at a time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

_FULL: dict[str, Any] = {
    "mode": "Enforce",
    "workload": {"selector": {"matchLabels": {"app": "contracts-api"}}},
    "small": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "glm-small"},
        "service": {"name": "glm-small", "port": 8000},
        "model": "glm-5.1-air",
        "contextWindow": 32768,
        "replicas": {"min": 0, "max": 16},
        "replicaHourlyCost": "2.49",
        "capacity": {
            "outputTokensPerSecond": 2500,
            "inputTokenWeight": "0.1",
            "maxConcurrency": 32,
        },
        "startupSeconds": 180,
    },
    "frontier": [
        {
            "name": "opus",
            "api": "Anthropic",
            "baseURL": "https://api.anthropic.com",
            "model": "claude-opus-4-8",
            "credentials": {"secretName": "anthropic", "key": "api-key"},
            "price": {"inputPerMTok": "5", "cachedInputPerMTok": "0.5", "outputPerMTok": "25"},
        }
    ],
    "routing": {
        "rules": [
            {
                "name": "partner",
                "when": {"header": {"name": "x-priority", "value": "high"}},
                "tier": "Frontier",
            }
        ],
        "overflow": {"firstTokenDeadline": "2s"},
    },
    "budget": {
        "limit": "500",
        "period": "Day",
        "timeZone": "UTC",
        "pacing": "Greedy",
        "onExhausted": "SmallOnly",
    },
}


def policy(**changes: object) -> dict[str, Any]:
    """Return the full policy with `a__b__0__c=value` set at that path; `None` removes the field."""
    spec = deepcopy(_FULL)
    for path, value in changes.items():
        *parents, last = path.split("__")
        node: Any = spec
        for part in parents:
            node = node[int(part)] if part.isdigit() else node[part]
        if value is None:
            del node[last]
        elif last.isdigit():
            node[int(last)] = value
        else:
            node[last] = value
    return spec
