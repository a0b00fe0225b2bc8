"""Policies as they are at this moment: what they say now binds who answers sidecars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overspill import api
from overspill.api import InvalidPolicy, parse_policy
from overspill.controller.errors import NotFound
from overspill.controller.gathering import NoSuchPolicy

if TYPE_CHECKING:
    from overspill.api.policy import RoutingPolicySpec
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api


def folder(key: PolicyKey, plural: str) -> str:
    """Return the path of our kinds in a policy's namespace."""
    return f"/apis/{api.API_VERSION}/namespaces/{key.namespace}/{plural}"


def place(key: PolicyKey, plural: str) -> str:
    """Return the path of a policy, or of what else has its name."""
    return f"{folder(key, plural)}/{key.name}"


async def policy_now(client: Api, key: PolicyKey) -> tuple[Manifest, RoutingPolicySpec]:
    """Read a policy. Raises: NoSuchPolicy, Unavailable, Refused."""
    try:
        policy = await client.get(place(key, api.PLURAL))
        return policy, parse_policy(policy.get("spec"))
    except NotFound:
        raise NoSuchPolicy(f"there is no RoutingPolicy {key}") from None
    except InvalidPolicy as error:
        raise NoSuchPolicy(f"RoutingPolicy {key} is not valid: {error}") from None
