"""Whose samples they are: Prometheus goes by where a pod is, and not by what it says."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import pytest
import yaml

from e2e.cluster import paths
from tests.charts.helm import ROOT, of_kind, template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRAPE = ROOT / "manifests" / "prometheus" / "scrape.yaml"
CLAIMED = 'overspill_x_total{policy="legal/contracts",tier="small"} 7\n'
POD = {
    "__meta_kubernetes_namespace": "other",
    "__meta_kubernetes_pod_name": "mallory",
    "__meta_kubernetes_pod_phase": "Running",
    "__meta_kubernetes_pod_labelpresent_overspill_dev_policy": "true",
    "__meta_kubernetes_pod_label_overspill_dev_policy": "mine",
    "__meta_kubernetes_pod_label_app_kubernetes_io_name": "overspill",
}


class Sidecar(BaseHTTPRequestHandler):
    """Claims to be of another namespace's policy."""

    asked: ClassVar[threading.Semaphore] = threading.Semaphore(0)

    def do_GET(self) -> None:
        """Answer a scrape."""
        body = CLAIMED.encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.asked.release()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def prometheus(folder: Path, jobs: list[dict[str, Any]]) -> Iterator[str]:
    """A real Prometheus with these jobs."""
    config = {"global": {"scrape_interval": "100ms", "scrape_timeout": "100ms"}}
    (folder / "prometheus.yml").write_text(yaml.safe_dump({**config, "scrape_configs": jobs}))
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    command = [
        str(paths.binary("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://{address}"
        finally:
            process.terminate()


@pytest.mark.skipif(
    not paths.binary("prometheus").exists(), reason="no Prometheus here; `make e2e` builds one"
)
def test_a_pod_makes_no_demand_for_a_policy_of_another_namespace(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sidecar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_address[1]}"
    jobs = yaml.safe_load(SCRAPE.read_text())
    for job, port in zip(jobs, ("4001", "8080"), strict=True):
        del job["kubernetes_sd_configs"]
        labels = {**POD, "__meta_kubernetes_pod_container_port_number": port}
        job["static_configs"] = [{"targets": [here], "labels": labels}]
    try:
        with prometheus(tmp_path, jobs) as url:
            for _ in range(3):  # when it comes again, the samples before are written
                assert Sidecar.asked.acquire(timeout=60)
            with urllib.request.urlopen(
                f"{url}/api/v1/query?query={quote('overspill_x_total')}"
            ) as told:
                found = [one["metric"] for one in json.load(told)["data"]["result"]]
    finally:
        server.shutdown()
        server.server_close()
    assert [(one["job"], one["policy"]) for one in found] == [("overspill-sidecars", "other/mine")]
    assert "exported_policy" not in found[0]


def test_a_pod_monitor_says_the_same() -> None:
    monitors = of_kind(
        template(prometheus={"url": "http://p", "podMonitor": {"enabled": True}}), "PodMonitor"
    )
    sidecars, operator = sorted(monitors, key=lambda one: one["metadata"]["name"], reverse=True)
    (endpoint,) = sidecars["spec"]["podMetricsEndpoints"]
    job = yaml.safe_load(SCRAPE.read_text())[0]
    told = job["relabel_configs"][-1]
    assert endpoint["relabelings"] == [
        {
            "sourceLabels": told["source_labels"],
            "separator": told["separator"],
            "targetLabel": told["target_label"],
        }
    ]
    assert endpoint["metricRelabelings"] == job["metric_relabel_configs"]
    assert "honorLabels" not in endpoint
    assert "namespaceSelector" not in operator["spec"], "else any namespace's pod could be one"
