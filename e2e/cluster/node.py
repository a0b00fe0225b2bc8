"""The control plane and the node: what is started, in which order, and how it is found again."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.cluster import build, command, config, kernel, network, oci, paths, stock, versions
from e2e.cluster.cgroups import Tree
from e2e.cluster.config import Places
from e2e.cluster.errors import Failed
from e2e.cluster.network import Network
from e2e.cluster.pki import MASTERS, Authority
from e2e.cluster.process import Process, known

if TYPE_CHECKING:
    from collections.abc import Sequence

COMPONENTS = (
    *("containerd", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kubelet", "kube-proxy", "coredns"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One cluster by name; made of nothing but what lies in its run folder and its namespace."""

    name: str

    @property
    def state(self) -> Path:
        """Its run folder."""
        return paths.run(self.name)

    @property
    def network(self) -> Network:
        """Its network namespace."""
        return Network(self.name)

    @property
    def cgroup(self) -> Tree:
        """Its cgroup tree."""
        return Tree(f"e2e-{self.name}")

    @property
    def places(self) -> Places:
        """What its configuration names."""
        return Places(
            state=self.state,
            runc=build.part(versions.module_set("runc"), "runc"),
            cni=paths.cache() / "cni",
            bridge=self.network.bridge,
            cgroup=self.cgroup.name,
        )

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.places.kubeconfig("admin")

    @property
    def _environment(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.kubeconfig), **network.NO_PROXY}

    def process(self, name: str) -> Process:
        """One of its processes."""
        return Process(name, self.state)

    def start(self, name: str, *arguments: str) -> None:
        """Start a component in the namespace."""
        binary = build.part(versions.module_set(name), name)
        self.process(name).start([binary, *arguments], self.network.enter)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """kubectl as administrator. Raises: Failed."""
        return command.run(
            [*self.network.enter, "kubectl", *words], stdin=stdin, env=self._environment
        )

    def answers(self, *words: str) -> bool:
        """Whether that kubectl command succeeds."""
        return command.succeeds([*self.network.enter, "kubectl", *words], env=self._environment)

    # -- up
    def up(self, sync_frequency: str) -> None:
        """Start what does not run, and wait until the node takes pods. Raises: Failed."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "boot").write_text(kernel.boot_id())
        kernel.save(saved_settings())
        self.network.up()
        self.cgroup.make()
        self._write_configuration(sync_frequency)
        at = self.places
        self.start("containerd", f"--config={at.state}/containerd.toml")
        self.start("etcd", *config.etcd_args(at))
        self._make_certificates()
        self.start("kube-apiserver", *config.apiserver_args(at))
        command.wait("containerd", lambda: command.succeeds(self.ctr("version")), 30)
        for image in (stock.pause(), stock.prometheus()):
            self.load(image)
        command.wait("API server", lambda: self.answers("get", "--raw", "/readyz"), 90)
        self._start_the_rest(at)
        command.wait("node Ready", self.ready, 90)
        wanted = ("get", "serviceaccount/default", "configmap/kube-root-ca.crt", "-n", "default")
        command.wait("default service account", lambda: self.answers(*wanted), 60)

    def _start_the_rest(self, at: Places) -> None:
        self.start("kube-controller-manager", *config.controller_manager_args(at))
        self.start("kube-scheduler", *config.scheduler_args(at))
        self.start("kubelet", *config.kubelet_args(at))
        self.start("kube-proxy", f"--config={at.state}/kube-proxy.json")
        self.kubectl("apply", "-f", "-", stdin=config.dns_rights())
        self.start("coredns", "-conf", f"{at.state}/Corefile")

    def _write_configuration(self, sync_frequency: str) -> None:
        """On change only, and then its reader starts again."""
        for file, text in config.files(self.places, sync_frequency).items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists() or file.read_text() != text:
                file.write_text(text)
                self.process(config.READERS.get(file.name, "containerd")).stop()

    def _make_certificates(self) -> None:
        pki = Authority(self.places.pki)
        done = pki.path("done")
        if done.exists():
            return
        pki.make()
        service = "kubernetes.default.svc"
        names = ["kubernetes", "kubernetes.default", service, f"{service}.{config.DOMAIN}"]
        addresses = (network.KUBERNETES_IP, network.NODE_IP, "127.0.0.1")
        serving = [f"DNS:{n}" for n in (*names, "localhost")] + [f"IP:{ip}" for ip in addresses]
        pki.issue("apiserver", "/CN=kube-apiserver", serving)
        pki.issue("kubelet-client", f"{MASTERS}/CN=kube-apiserver-kubelet-client")
        node = f"/O=system:nodes/CN=system:node:{config.NODE}"
        pki.issue("kubelet-serving", node, [f"DNS:{config.NODE}", f"IP:{network.NODE_IP}"])
        users = {
            "admin": f"{MASTERS}/CN=admin",
            "kubelet": node,
            "coredns": "/CN=overspill:coredns",
        }
        parts = ("kube-proxy", "kube-controller-manager", "kube-scheduler")
        users |= {part: f"/CN=system:{part}" for part in parts}
        for name, subject in users.items():
            pki.kubeconfig(name, subject, config.SERVER)
        done.touch()

    # -- looking
    def ready(self) -> bool:
        """Whether the node reports Ready."""
        path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        try:
            return self.kubectl("get", "node", config.NODE, "-o", path).strip() == "True"
        except Failed:
            return False

    def pids(self) -> dict[str, int | None]:
        """Every component, and kwok if it runs here, with its pid."""
        names = [*COMPONENTS, *(p.name for p in _others(self.state))]
        return {name: self.process(name).pid() for name in names}

    # -- images
    def ctr(self, *words: str) -> list[str]:
        """A ctr command line for this node's images."""
        return ["ctr", "-a", str(self.places.containerd), "-n", "k8s.io", *words]

    def holds(self, image: str) -> bool:
        """Whether the node has that image."""
        return image in command.run(self.ctr("images", "ls", "-q")).split()

    def load(self, archive: Path) -> None:
        """Import an archive unless the node has it already. Raises: Failed."""
        mark = self.state / "loaded" / archive.name
        stamp = str(archive.stat().st_mtime_ns)
        known = mark.exists() and mark.read_text() == stamp
        if known and self.holds(oci.image_name(archive)):
            return
        command.run(self.ctr("images", "import", "--local", str(archive)))
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(stamp)


def _others(state: Path) -> Sequence[Process]:
    return [process for process in known(state) if process.name not in COMPONENTS]


def saved_settings() -> Path:
    """One file for all clusters of this machine."""
    return paths.cache() / "run" / "kernel.json"


def forget(state: Path) -> None:
    """Remove a run folder, keeping its logs for a look afterwards."""
    kept = paths.cache() / "logs" / state.name
    if (state / "log").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(state / "log", kept)
    shutil.rmtree(state, ignore_errors=True)


def bundles(state: Path) -> list[Path]:
    """Folders of running container tasks."""
    return sorted((state / "containerd-state" / "io.containerd.runtime.v2.task").glob("*/*"))


def shim_socket(bundle: Path) -> Path | None:
    """The socket of a container's shim, which lies outside of our folder."""
    try:
        address = json.loads((bundle / "bootstrap.json").read_text())["address"]
    except (OSError, ValueError, KeyError):
        return None
    return Path(str(address).removeprefix("unix://"))
