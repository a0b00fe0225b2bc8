"""One cluster with Prometheus and Overspill for the whole run; a namespace for each test."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pytest

from e2e.stage import guest, kube, overspill, prometheus
from e2e.stage.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


@pytest.fixture(scope="session", autouse=True)
def _installed() -> Iterator[None]:
    guest.refuse(*prometheus.MADE, *overspill.MADE)
    with contextlib.ExitStack() as undo:  # what was installed by half, too
        if not os.environ.get("KEEP"):
            undo.callback(prometheus.uninstall)
            undo.callback(overspill.uninstall)
        prometheus.install()
        overspill.install()
        yield


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A namespace named after the test, removed afterwards."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    scene = Scene(name[:40].strip("-"))
    guest.refuse(f"namespace/{scene.ns}")
    yield scene
    scene.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the sidecars and the cluster say beside a failure."""
    report = yield
    if report.when == "call" and report.failed:
        scene = item.funcargs.get("scene")
        ns = scene.ns if isinstance(scene, Scene) else "default"
        report.sections.append(("cluster", _evidence(ns)))
    return report


def _evidence(ns: str) -> str:
    commands = (
        ("logs", "-n", ns, "-l", "app=app", "-c", "overspill-sidecar", "--tail=40", "--prefix"),
        ("get", "rp", "-A", "-o", "yaml"),
        ("get", "pods,deployments", "-A", "-o", "wide"),
        ("get", "events", "-A", "--sort-by=.lastTimestamp"),
        ("logs", "-n", overspill.NS, "-l", overspill.APP, "--tail=80", "--prefix"),
    )
    said = []
    for words in commands:
        try:
            said.append(f"$ kubectl {' '.join(words)}\n{kube.kubectl(*words)}")
        except kube.KubectlError as error:
            said.append(str(error))
    return "\n".join(said)
