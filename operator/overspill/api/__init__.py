"""The RoutingPolicy resource and the sidecar configuration made from it.

pydantic lives only here: everything behind this boundary works on plain frozen values.
"""

from overspill.api.errors import InvalidPolicy
from overspill.api.policy import RoutingPolicySpec, parse_policy
from overspill.api.sidecar_config import SidecarConfig, parse_sidecar_config
from overspill.api.status import RoutingPolicyStatus

GROUP = "overspill.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "RoutingPolicy"
PLURAL = "routingpolicies"
SINGULAR = "routingpolicy"
SHORT_NAME = "rp"

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "PLURAL",
    "SHORT_NAME",
    "SINGULAR",
    "VERSION",
    "InvalidPolicy",
    "RoutingPolicySpec",
    "RoutingPolicyStatus",
    "SidecarConfig",
    "parse_policy",
    "parse_sidecar_config",
]
