"""Configuration keeps to the cluster's own folder and names."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import config, debian, images, kind, kwok, oci, paths, pki, teardown
from e2e.cluster.__main__ import chosen_kind, environment, parser
from e2e.cluster.errors import Unusable
from e2e.cluster.network import Network
from e2e.cluster.progress import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE = Path("/state/x")
AT = config.Places(
    state=STATE,
    runc=Path("/bin/runc"),
    cni=Path("/cni"),
    bridge="x-br",
    cgroup="e2e-x",
)


def test_containerd_keeps_its_state_in_the_run_folder() -> None:
    made = tomllib.loads(config.containerd(AT))
    assert made["root"].startswith("/state/x/")
    assert made["state"].startswith("/state/x/")
    assert made["grpc"]["address"] == str(AT.containerd)


def test_json_files_are_json_and_the_sync_frequency_arrives() -> None:
    files = {path.name: text for path, text in config.files(AT, "10s").items()}
    kubelet = json.loads(files["kubelet.json"])
    assert kubelet["syncFrequency"] == "10s"
    assert kubelet["cgroupRoot"] == "/e2e-x"
    assert json.loads(files["10-overspill.conflist"])["plugins"][0]["bridge"] == "x-br"
    assert json.loads(files["kube-proxy.json"])["mode"] == "nftables"


def test_no_flag_is_given_twice() -> None:
    made = (config.apiserver_args, config.etcd_args, config.kubelet_args, config.scheduler_args)
    for flags in (make(AT) for make in (*made, config.controller_manager_args)):
        names = [flag.split("=")[0] for flag in flags]
        assert len(names) == len(set(names))


def test_a_certificate_with_names_serves_and_one_without_calls() -> None:
    assert "extendedKeyUsage=serverAuth" in pki.extension_file(["DNS:a", "IP:1.2.3.4"])
    assert "subjectAltName=DNS:a,IP:1.2.3.4" in pki.extension_file(["DNS:a", "IP:1.2.3.4"])
    assert "subjectAltName" not in pki.extension_file([])


def test_kubeconfig_names_the_users_own_certificate() -> None:
    made = json.loads(pki.kubeconfig(Path("/pki"), "admin", "https://a:1"))
    assert made["users"][0]["user"]["client-certificate"] == "/pki/admin.crt"


@pytest.mark.parametrize(
    ("environ", "root", "docker", "kind"),
    [
        ({}, True, True, "kind"),
        ({}, True, False, "own"),
        ({}, False, True, "kind"),
        ({"KUBECONFIG": "/production"}, True, False, "own"),
        ({"KUBECONFIG": "/k", "CLUSTER": "own"}, True, False, "own"),
        ({"KUBECONFIG": "/k", "CLUSTER": "existing"}, True, True, "existing"),
        ({"CLUSTER": "kind"}, True, True, "kind"),
        ({"CLUSTER": "existing"}, False, False, "existing"),
    ],
)
def test_which_cluster(environ: Mapping[str, str], root: bool, docker: bool, kind: str) -> None:
    assert chosen_kind(environ, linux_root=root, docker=docker) == kind


@pytest.mark.parametrize("asked", ["", "own", "kind", "minikube"])
def test_where_no_cluster_is_possible_one_line_says_the_way_out(asked: str) -> None:
    with pytest.raises(Unusable) as refused:
        chosen_kind({"CLUSTER": asked}, linux_root=False, docker=False)
    assert "\n" not in str(refused.value)


def test_a_command_in_the_namespace_sees_no_proxy() -> None:
    environ = {"HTTPS_PROXY": "x", "no_proxy": "y", "HOME": "/h", "KUBECONFIG": "/other"}
    inside = environment(environ, Path("/k"), "own", isolated=True)
    assert inside == {"HOME": "/h", "KUBECONFIG": "/k", "CLUSTER": "own"}
    assert "HTTPS_PROXY" in environment(environ, Path("/k"), "kind", isolated=False)


def test_names_fit_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERSPILL_CLUSTER_NAME", "twelve-chars")
    assert len(Network(paths.cluster_name()).bridge) <= 15
    monkeypatch.setenv("OVERSPILL_CLUSTER_NAME", "../x")
    with pytest.raises(Unusable):
        paths.cluster_name()


def test_the_cache_lies_where_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OVERSPILL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert paths.cache() == Path("/c/overspill")
    monkeypatch.setenv("OVERSPILL_CACHE", "/o")
    assert paths.run("x") == Path("/o/run/x")


@pytest.mark.parametrize("variable", ["OVERSPILL_CACHE", "XDG_CACHE_HOME"])
def test_a_cache_behind_a_link_is_known_by_the_path_that_the_kernel_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "large-disk")
    monkeypatch.delenv("OVERSPILL_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    assert paths.cache().is_relative_to(tmp_path.resolve() / "large-disk")


def test_only_missing_packages_are_asked_for() -> None:
    status = "gcc ii \nnftables rc \n"
    assert debian.lacking(("gcc", "nftables", "kmod"), status) == ["nftables", "kmod"]


def test_only_mounts_of_this_cluster_are_detached_and_the_deepest_first() -> None:
    points = ("/run/x", "/run/x/a", "/run/x/a/b", "/run/xy/a")
    info = "\n".join(f"1 2 0:1 / {point} rw - tmpfs t rw" for point in points)
    assert teardown.mounts(info, Path("/run/x")) == ["/run/x/a/b", "/run/x/a"]


def test_mounts_are_found_below_a_folder_with_a_space_in_its_name() -> None:
    info = r"1 2 0:1 / /home/a\040b/run/x/a rw - tmpfs t rw"
    assert teardown.mounts(info, Path("/home/a b/run/x")) == ["/home/a b/run/x/a"]


def test_pip_settings_come_from_files_and_the_environment_wins() -> None:
    listing = ":env:.index-url='u2'\nglobal.index-url='u1'\nglobal.trusted-host='h'\n"
    assert images.pip_settings(listing) == {"PIP_INDEX_URL": "u2", "PIP_TRUSTED_HOST": "h"}


def test_only_what_is_set_is_lent_to_run(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    pip = {"PIP_INDEX_URL": "u", "PIP_CERT": "/gone", "PIP_NO_COLOR": "1"}
    seen = images.secrets(pip, {"SSL_CERT_FILE": str(bundle), "HOME": "/h"})
    assert seen == {"PIP_INDEX_URL": "u", "ca.crt": str(bundle)}


def test_fake_nodes_are_tainted_and_have_gpus() -> None:
    items = json.loads(kwok.nodes(3))["items"]
    assert [item["metadata"]["name"] for item in items] == ["kwok-0", "kwok-1", "kwok-2"]
    assert items[0]["spec"]["taints"][0]["effect"] == "NoSchedule"
    assert items[0]["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def test_kind_gets_the_sync_frequency() -> None:
    assert re.search(r"^  syncFrequency: 10s$", kind.configuration("10s"), re.MULTILINE)


@pytest.mark.parametrize(("seconds", "text"), [(4.9, "4s"), (64, "1m04s"), (600, "10m00s")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_exec_passes_everything_after_the_dashes() -> None:
    options = parser().parse_args(["exec", "--", "kubectl", "get", "-A", "--", "x"])
    assert options.words[-5:] == ["kubectl", "get", "-A", "--", "x"]


def test_a_packed_image_is_the_same_whenever_it_is_packed(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        (root / "file").write_text("x")
        packed = oci.layer(tmp_path / f"{name}.layer", {".": root})
        home = tmp_path / f"{name}.layout"
        digests.append(oci.layout(home, "overspill.test/x:1", packed, {"Cmd": ["x"]}))
    assert digests[0] == digests[1]
    oci.archive(home, tmp_path / "x.tar")
    assert oci.image_name(tmp_path / "x.tar") == "overspill.test/x:1"
