"""Names that Kubernetes gives: they become parts of paths and selectors, so they are held to that.

A name such as `../../kube-system/deployments/coredns` would lead the operator out of the policy's
namespace, with rights that whoever wrote the policy does not have.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from overspill.api.base import Name

_OBJECT: Final = r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?"
_KEY: Final = r"(?!\.\.|\.$)[-._A-Za-z0-9]+"
_LABEL_VALUE: Final = r"([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?"
_LABEL_LENGTH: Final = 63
_POLICY: Final = re.compile(f"{_OBJECT}/{_OBJECT}")


def _matching(pattern: str, remedy: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(remedy)
        return value

    return AfterValidator(check)


ObjectName = Annotated[
    Name, _matching(_OBJECT, "must be a name of a Kubernetes object: a-z, 0-9, - and .")
]
DataKey = Annotated[Name, _matching(_KEY, "must be a key: letters, digits, -, _ and .")]
"""Of a Secret or a ConfigMap."""
Kind = Annotated[Name, _matching(r"[A-Za-z][A-Za-z0-9]*", "must be a kind, such as Deployment")]
ApiVersion = Annotated[
    Name, _matching(rf"({_OBJECT}/)?v[a-z0-9]+", "must be a group and version, such as apps/v1")
]


def names_a_key(provider: str, secret: str, key: str) -> bool:
    """Whether a Secret's key can be mounted for a provider of this name."""
    return all(
        re.fullmatch(pattern, text)
        for pattern, text in ((_OBJECT, provider), (_OBJECT, secret), (_KEY, key))
    )


def names_a_policy(text: str) -> bool:
    """Whether this may be the namespace and name of a policy."""
    return _POLICY.fullmatch(text) is not None


def check_labels(labels: dict[str, str]) -> None:
    """Raise ValueError where a label is none: the API server would refuse a selector with it."""
    for key, value in labels.items():
        prefix, slash, name = key.rpartition("/")
        named = re.fullmatch(_LABEL_VALUE, name) and 0 < len(name) <= _LABEL_LENGTH
        if not named or (slash and not re.fullmatch(_OBJECT, prefix)):
            raise ValueError(f"matchLabels: {key!r} is no key of a label; correct it")
        if not re.fullmatch(_LABEL_VALUE, value) or len(value) > _LABEL_LENGTH:
            raise ValueError(f"matchLabels: {value!r} is no value of a label; correct it")
