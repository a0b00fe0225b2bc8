"""What can go wrong between the operator and the cluster, by whose turn it is.

OverspillError
├── Unavailable      nobody acts: the work is tried again after a while
├── NoCluster        a person says where the API server is
├── Missing          a person creates what the policy names; becomes a condition
└── Refused          the API server said no; `status` is its HTTP status
    ├── NotFound     404
    └── Conflict     409: somebody else was faster; read again
"""

from __future__ import annotations

from overspill.api.errors import OverspillError


class Unavailable(OverspillError):
    """The API server or Prometheus did not answer; try again."""


class NoCluster(OverspillError):
    """Neither a pod's service account nor a kubeconfig that can be used."""


class Refused(OverspillError):
    """The API server answered no."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class NotFound(Refused):
    """No such object."""


class Conflict(Refused):
    """The object changed, or was created, in between."""


class Missing(OverspillError):
    """Something the policy names is not in the cluster; `reason` is a condition's reason."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        self.message = message
        super().__init__(message)
