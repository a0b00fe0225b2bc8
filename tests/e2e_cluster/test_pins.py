"""The committed go.mod files say what versions.py says."""

from __future__ import annotations

import re

import pytest

from e2e.cluster import build, pin, versions

SETS = [pytest.param(chosen, id=chosen.name) for chosen in versions.SETS]


@pytest.mark.parametrize("chosen", SETS)
def test_every_set_is_pinned_by_go_mod_and_go_sum(chosen: versions.ModuleSet) -> None:
    home = build.MODULES / chosen.name
    text = (home / "go.mod").read_text()
    assert re.search(rf"{re.escape(chosen.module)} {re.escape(chosen.version)}\b", text)
    assert all(package in text for package in chosen.binaries.values())
    assert f"{chosen.module} {chosen.version} h1:" in (home / "go.sum").read_text()


def test_a_binary_belongs_to_one_set() -> None:
    names = [name for chosen in versions.SETS for name in chosen.binaries]
    assert len(names) == len(set(names))
    assert versions.module_set("kubelet").name == "kube"
    with pytest.raises(KeyError):
        versions.module_set("dockerd")


def test_go_mod_asks_for_the_tools_and_replaces_staging_modules() -> None:
    upstream = """
replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
	example.com/x => ../x
)
"""
    staging = pin.staging_modules(upstream)
    assert staging == ["k8s.io/api", "k8s.io/client-go"]
    text = pin.go_mod(versions.module_set("kubectl"), staging)
    assert "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)" in text
    minor = versions.KUBERNETES.removeprefix("v1.")
    assert f"replace k8s.io/api => k8s.io/api v0.{minor}\n" in text


def test_the_cache_key_follows_what_makes_the_binary() -> None:
    chosen = versions.module_set("helm")
    key = build.cache_key(chosen, "x/cmd/helm", b"mod", b"sum", "amd64")
    assert key == build.cache_key(chosen, "x/cmd/helm", b"mod", b"sum", "amd64")
    assert key.startswith(f"{chosen.version}-")
    others = {
        build.cache_key(chosen, "x/cmd/other", b"mod", b"sum", "amd64"),
        build.cache_key(chosen, "x/cmd/helm", b"mod2", b"sum", "amd64"),
        build.cache_key(chosen, "x/cmd/helm", b"mod", b"sum2", "amd64"),
        build.cache_key(chosen, "x/cmd/helm", b"mod", b"sum", "arm64"),
        build.cache_key(versions.module_set("kwok"), "x/cmd/helm", b"mod", b"sum", "amd64"),
        key,
    }
    assert len(others) == 6
