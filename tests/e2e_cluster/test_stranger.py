"""A kubelet that is not ours keeps its device plugins."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from e2e.cluster import stranger, teardown
from e2e.cluster.errors import Unusable
from e2e.cluster.own import Own

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, of this test only."""
    monkeypatch.setenv("OVERSPILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stranger, "PLUGINS", tmp_path)
    (tmp_path / "kubelet_internal_checkpoint").touch()
    return tmp_path


@pytest.fixture
def listener(plugins: Path) -> Iterator[socket.socket]:
    """Another cluster's kubelet."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(plugins / "kubelet.sock"))
        made.listen()
        yield made


@pytest.mark.usefixtures("listener")
def test_no_cluster_is_made_beside_it(plugins: Path) -> None:
    for make in (Own("x").build, lambda: Own("x").up("1m")):
        with pytest.raises(Unusable, match="CLUSTER=existing"):
            make()
    teardown.forget_plugins()
    assert (plugins / "kubelet_internal_checkpoint").exists()
    assert (plugins / "kubelet.sock").exists()


def test_what_a_kubelet_that_has_ended_left_is_no_stranger(
    plugins: Path, listener: socket.socket
) -> None:
    listener.close()
    stranger.refuse()
    teardown.forget_plugins()
    assert list(plugins.iterdir()) == []
