"""On a cluster of the user's own nothing is taken for ours that was there before."""

from __future__ import annotations

import pytest

from e2e.demo import __main__ as demo
from e2e.stage import guest, kube, overspill, prometheus
from e2e.stage.scene import Scene


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What kubectl is asked, in a cluster that has the namespaces monitoring and demo."""
    asked: list[tuple[str, ...]] = []

    def kubectl(*words: str, stdin: str | None = None, timeout_s: float = 0.0) -> str:
        asked.append(words)
        there = [one for one in ("namespace/monitoring", "namespace/demo") if one in words]
        return "".join(f"{one}\n" for one in there)

    monkeypatch.setattr(kube, "kubectl", kubectl)
    monkeypatch.setenv("CLUSTER", "existing")
    return asked


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("cluster", ["existing", ""])
def test_what_is_there_is_named(monkeypatch: pytest.MonkeyPatch, cluster: str) -> None:
    monkeypatch.setenv("CLUSTER", cluster)
    with pytest.raises(guest.Occupied, match="has namespace/monitoring, which would"):
        guest.refuse("namespace/monitoring", "clusterrole/prometheus")
    guest.refuse("namespace/free")


@pytest.mark.parametrize("cluster", ["own", "kind"])
def test_a_cluster_of_ours_may_be_kept_and_used_again(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, cluster: str
) -> None:
    monkeypatch.setenv("CLUSTER", cluster)
    guest.refuse("namespace/monitoring")
    assert asked == []


def test_the_demo_neither_installs_nor_removes_anything_there(
    asked: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main() == 2
    assert "namespace/demo" in capsys.readouterr().out
    assert {words[0] for words in asked} == {"get"}


def test_a_demo_that_fails_removes_all_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    removed = []

    def fails(*_: object) -> int:
        raise kube.KubectlError("the API server is away")

    monkeypatch.delenv("KEEP", raising=False)
    monkeypatch.setenv("CLUSTER", "own")
    monkeypatch.setattr(demo, "play", fails)
    monkeypatch.setattr(Scene, "remove", fails)
    monkeypatch.setattr(overspill, "uninstall", lambda: removed.append("overspill"))
    monkeypatch.setattr(prometheus, "uninstall", lambda: removed.append("prometheus"))
    with pytest.raises(kube.KubectlError):
        demo.main()
    assert removed == ["overspill", "prometheus"]
