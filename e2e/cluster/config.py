"""Configuration of every component, as values: nothing here touches the machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e2e.cluster import network

if TYPE_CHECKING:
    from pathlib import Path

NODE = "node0"
API_PORT = 26443
ETCD_PORT = 22379
ETCD_PEER_PORT = 22380
KUBELET_PORT = 20250
SERVER = f"https://{network.NODE_IP}:{API_PORT}"
PAUSE = "overspill.test/pause:1"
DOMAIN = "cluster.local"
READERS = {  # of each file; containerd reads the others
    "kubelet.json": "kubelet",
    "kube-proxy.json": "kube-proxy",
    "Corefile": "coredns",
    "resolv.conf": "kubelet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The paths and names that configuration speaks of."""

    state: Path
    runc: Path
    cni: Path
    bridge: str
    cgroup: str

    @property
    def pki(self) -> Path:
        """Certificates, keys and kubeconfigs."""
        return self.state / "pki"

    @property
    def containerd(self) -> Path:
        """containerd's socket."""
        return self.state / "containerd.sock"

    def kubeconfig(self, name: str) -> Path:
        """One component's kubeconfig."""
        return self.pki / f"{name}.kubeconfig"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def containerd(at: Places) -> str:
    """containerd.toml; all of its state in our folder, nothing in /run or /var."""
    state = at.state
    return f"""\
version = 3
root = '{state}/containerd'
state = '{state}/containerd-state'
oom_score = 0
disabled_plugins = [
  'io.containerd.nri.v1.nri', 'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp', 'io.containerd.ttrpc.v1.otelttrpc',
  'io.containerd.snapshotter.v1.blockfile', 'io.containerd.snapshotter.v1.erofs',
  'io.containerd.differ.v1.erofs',
]
[grpc]
  address = '{at.containerd}'
[ttrpc]
  address = '{at.containerd}.ttrpc'
[plugins.'io.containerd.internal.v1.opt']
  path = '{state}/opt'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{PAUSE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_selinux = false
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = ['{state}/cdi']
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = '{at.runc}'
        Root = '{state}/runc'
        SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{at.cni}']
    conf_dir = '{state}/cni'
[plugins.'io.containerd.grpc.v1.cri']
  stream_server_address = '127.0.0.1'
  stream_server_port = '0'
"""


def cni(at: Places) -> str:
    """Pods on one bridge; no masquerading, because there is no way out."""
    ipam = {
        "type": "host-local",
        "dataDir": f"{at.state}/cni-ipam",
        "ranges": [[{"subnet": network.POD_CIDR}]],
    }
    bridge = {
        "type": "bridge",
        "bridge": at.bridge,
        "isGateway": True,
        "isDefaultGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    ports = {
        "type": "portmap",
        "capabilities": {"portMappings": True},
        "snat": True,
        "backend": "nftables",
    }
    return _json({"cniVersion": "1.0.0", "name": "overspill", "plugins": [bridge, ports]})


def kubelet(at: Places, sync_frequency: str) -> str:
    """KubeletConfiguration."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": network.NODE_IP,
            "port": KUBELET_PORT,
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": 20248,
            "containerRuntimeEndpoint": f"unix://{at.containerd}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{at.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "oomScoreAdj": 0,
            "maxPods": 200,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{at.pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{at.pki}/kubelet-serving.crt",
            "tlsPrivateKeyFile": f"{at.pki}/kubelet-serving.key",
            "clusterDNS": [network.NODE_IP],
            "clusterDomain": DOMAIN,
            "resolvConf": f"{at.state}/resolv.conf",
            "podLogsDir": f"{at.state}/podlogs",
            "volumePluginDir": f"{at.state}/kubelet-plugins",
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageMaximumGCAge": "0s",
            "serializeImagePulls": False,
            # Containers that tests kill again and again start again at once.
            "featureGates": {"KubeletCrashLoopBackOffMax": True},
            "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
            "syncFrequency": sync_frequency,
            "nodeStatusUpdateFrequency": "10s",
        }
    )


def kube_proxy(at: Places) -> str:
    """KubeProxyConfiguration. kube-proxy exits when this file is rewritten, even to the same."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(at.kubeconfig("kube-proxy"))},
            "hostnameOverride": NODE,
            "clusterCIDR": "10.244.0.0/16",
            "bindAddress": network.NODE_IP,
            "healthzBindAddress": "127.0.0.1:20256",
            "metricsBindAddress": "127.0.0.1:20249",
            "oomScoreAdj": 0,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def corefile(at: Places) -> str:
    """Cluster DNS only: there is nothing else to reach."""
    return f"""\
.:53 {{
  bind {network.NODE_IP}
  errors
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {at.kubeconfig("coredns")} overspill
    ttl 5
  }}
  cache 5
}}
"""


def files(at: Places, sync_frequency: str) -> dict[Path, str]:
    """Every configuration file and its content."""
    return {
        at.state / "containerd.toml": containerd(at),
        at.state / "cni" / "10-overspill.conflist": cni(at),
        at.state / "kubelet.json": kubelet(at, sync_frequency),
        at.state / "kube-proxy.json": kube_proxy(at),
        at.state / "Corefile": corefile(at),
        at.state / "resolv.conf": f"nameserver {network.NODE_IP}\n",
    }


def etcd_args(at: Places) -> list[str]:
    """No fsync: the state is thrown away anyway."""
    client, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return [
        f"--data-dir={at.state}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def apiserver_args(at: Places) -> list[str]:
    """Webhook admission is on by default, and ClusterIPs are reachable from where it runs."""
    pki = at.pki
    return [
        f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
        f"--bind-address={network.NODE_IP}",
        f"--advertise-address={network.NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--cert-dir={pki}/apiserver-made",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki}/sa.key",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={network.SERVICE_CIDR}",
        "--allow-privileged=true",
    ]


def _kubeconfig_args(at: Places, name: str) -> list[str]:
    uses = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    return [f"--{use}={at.kubeconfig(name)}" for use in uses]


def controller_manager_args(at: Places) -> list[str]:
    """A quick one: e2e tests wait for it."""
    return [
        *_kubeconfig_args(at, "kube-controller-manager"),
        "--bind-address=127.0.0.1",
        "--secure-port=20257",
        f"--cert-dir={at.pki}/controller-manager-made",
        f"--service-account-private-key-file={at.pki}/sa.key",
        f"--root-ca-file={at.pki}/ca.crt",
        f"--cluster-signing-cert-file={at.pki}/ca.crt",
        f"--cluster-signing-key-file={at.pki}/ca.key",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
    ]


def scheduler_args(at: Places) -> list[str]:
    """The default scheduler."""
    return [
        *_kubeconfig_args(at, "kube-scheduler"),
        "--bind-address=127.0.0.1",
        "--secure-port=20259",
        f"--cert-dir={at.pki}/scheduler-made",
        "--leader-elect=false",
    ]


def kubelet_args(at: Places) -> list[str]:
    """Without --containerd, cAdvisor looks in /run/containerd and loses container labels."""
    return [
        f"--config={at.state}/kubelet.json",
        f"--kubeconfig={at.kubeconfig('kubelet')}",
        f"--hostname-override={NODE}",
        f"--node-ip={network.NODE_IP}",
        f"--root-dir={at.state}/kubelet",
        f"--containerd={at.containerd}",
    ]


def dns_rights() -> str:
    """What CoreDNS may read, as a List to apply."""
    api = "rbac.authorization.k8s.io"
    name = {"name": "overspill-e2e-dns"}
    lists = ["list", "watch"]
    core = {"apiGroups": [""], "resources": ["services", "pods", "namespaces", "nodes"]}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]}
    role = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRole",
        "metadata": name,
        "rules": [core | {"verbs": lists}, slices | {"verbs": lists}],
    }
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name["name"]},
        "subjects": [{"kind": "User", "name": "overspill:coredns", "apiGroup": api}],
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
