"""The kind cluster, against a kind that only notes what it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.cluster import build, stock
from e2e.cluster.kind import Kind

if TYPE_CHECKING:
    from pathlib import Path

FAKE = """#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >> asked
case "$1 $2" in
  "create cluster") echo overspill > clusters ;;
  "delete cluster") rm clusters ;;
  "get clusters") cat clusters 2>/dev/null || echo "No kind clusters found." >&2 ;;
  "get kubeconfig") echo "a kubeconfig" ;;
esac
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was asked of kind, a line each."""
    fake = tmp_path / "kind"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    monkeypatch.setenv("OVERSPILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "kind", lambda: fake)
    monkeypatch.setattr(build, "binaries", lambda _: None)
    monkeypatch.setattr(stock, "prometheus", lambda: tmp_path / "prometheus.tar")
    return tmp_path / "asked"


def test_up_creates_once_and_loads_prometheus(asked: Path) -> None:
    cluster = Kind("overspill")
    cluster.up("10s")
    created = [line for line in asked.read_text().splitlines() if line.startswith("create")]
    assert len(created) == 1
    assert "--name overspill" in created[0]
    assert f"--kubeconfig {cluster.kubeconfig}" in created[0]
    assert "syncFrequency: 10s" in (cluster.state / "kind.yaml").read_text()
    assert "load image-archive" in asked.read_text()

    cluster.up("10s")
    assert asked.read_text().count("create cluster") == 1
    assert cluster.kubeconfig.read_text() == "a kubeconfig\n"


def test_down_leaves_nothing(asked: Path) -> None:
    cluster = Kind("overspill")
    cluster.up("10s")
    cluster.down()
    assert "delete cluster --name overspill" in asked.read_text()
    assert not cluster.state.exists()
