"""Every pin of the cluster, and what is built from it."""

from __future__ import annotations

from dataclasses import dataclass

GO = "1.26.0"
KUBERNETES = "v1.36.3"
CONTAINERD = "v2.3.7"
KIND = "v0.33.0"

_VERSION_PACKAGE = "k8s.io/component-base/version"
KUBERNETES_LDFLAGS = " ".join(
    f"-X {_VERSION_PACKAGE}.{name}={value}"
    for name, value in (
        ("gitVersion", KUBERNETES),
        ("gitMajor", "1"),
        ("gitMinor", KUBERNETES.split(".")[1]),
        ("gitTreeState", "clean"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSet:
    """Binaries that share one go.mod, in modules/NAME.

    `binaries` maps a file name to its main package. One `cgo` value for nearly all sets keeps
    Go's build cache shared: kubelet links in 19 s instead of 240 s.
    """

    name: str
    module: str
    version: str
    binaries: dict[str, str]
    tags: str = ""
    ldflags: str = ""
    cgo: bool = False
    staging: bool = False  # k8s.io/kubernetes points k8s.io/* at ./staging: replace each
    target_os: str = ""  # for what runs in a pod, wherever it is built
    folder: str = "bin"  # CNI plugins have one of their own: `bridge` is also a tool of iproute2
    everywhere: bool = False  # needed on any cluster, not only on our own


def _under(module: str, *paths: str) -> dict[str, str]:
    return {path.rsplit("/", 1)[-1]: f"{module}/{path}" for path in paths}


_KUBE = "k8s.io/kubernetes"
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"
_BUILDKIT = "github.com/moby/buildkit"
_PROMETHEUS = "github.com/prometheus/prometheus"

SETS = (
    ModuleSet(
        name="kube",
        module=_KUBE,
        version=KUBERNETES,
        binaries=_under(
            f"{_KUBE}/cmd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
        ),
        ldflags=KUBERNETES_LDFLAGS,
        staging=True,
    ),
    ModuleSet(
        name="kubectl",
        module=_KUBE,
        version=KUBERNETES,
        binaries=_under(f"{_KUBE}/cmd", "kubectl"),
        ldflags=KUBERNETES_LDFLAGS,
        staging=True,
        everywhere=True,
    ),
    ModuleSet(
        name="etcd",
        module="go.etcd.io/etcd/server/v3",
        version="v3.6.8",
        binaries={"etcd": "go.etcd.io/etcd/server/v3"},
    ),
    ModuleSet(
        name="containerd",
        module=_CONTAINERD,
        version=CONTAINERD,
        binaries=_under(f"{_CONTAINERD}/cmd", "containerd", "containerd-shim-runc-v2", "ctr"),
        tags="no_btrfs no_zfs no_devmapper no_aufs",
        ldflags=f"-X {_CONTAINERD}/version.Version={CONTAINERD}",
    ),
    ModuleSet(
        name="runc",
        module="github.com/opencontainers/runc",
        version="v1.4.3",
        binaries={"runc": "github.com/opencontainers/runc"},
        tags="seccomp",  # without it a pod with seccompProfile RuntimeDefault cannot start
        cgo=True,
    ),
    ModuleSet(
        name="cni",
        module=_CNI,
        version="v1.9.1",
        binaries=_under(
            f"{_CNI}/plugins", "main/bridge", "main/loopback", "ipam/host-local", "meta/portmap"
        ),
        folder="cni",
    ),
    ModuleSet(
        name="coredns",
        module="github.com/coredns/coredns",
        version="v1.14.7",
        binaries={"coredns": "github.com/coredns/coredns"},
    ),
    ModuleSet(
        name="buildkit",
        module=_BUILDKIT,
        version="v0.34.2",
        binaries=_under(f"{_BUILDKIT}/cmd", "buildkitd", "buildctl"),
        tags="no_btrfs no_zfs",
    ),
    ModuleSet(
        name="helm",
        module="helm.sh/helm/v3",
        version="v3.22.0",
        binaries=_under("helm.sh/helm/v3/cmd", "helm"),
        everywhere=True,
    ),
    ModuleSet(
        name="kwok",
        module="sigs.k8s.io/kwok",
        version="v0.8.0",
        binaries=_under("sigs.k8s.io/kwok/cmd", "kwok"),
        everywhere=True,
    ),
    ModuleSet(
        name="prometheus",
        module=_PROMETHEUS,
        version="v0.316.0",
        binaries=_under(f"{_PROMETHEUS}/cmd", "prometheus"),
        # every other service discovery brings a cloud's SDK
        tags="remove_all_sd enable_kubernetes_sd",
        target_os="linux",
        everywhere=True,
    ),
)


def module_set(binary: str) -> ModuleSet:
    """The set a binary belongs to. Raises: KeyError for an unknown name."""
    for candidate in SETS:
        if binary in candidate.binaries:
            return candidate
    raise KeyError(binary)
