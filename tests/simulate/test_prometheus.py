"""Demand from Prometheus: the operator's two signals, over a range of time."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from e2e.cluster import paths
from overspill.api import parse_policy
from overspill.api.policy_file import PolicyFile
from overspill.simulate.prometheus import NoDemand, ask_load, connect
from overspill.telemetry import names
from tests.api.policies import policy
from tests.simulate.test_load import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_S = 1_700_000_007.0
BEGIN_S = 1_700_000_000.0
POLICY = PolicyFile(name="contracts", namespace="legal", spec=parse_policy(policy()))


class Memory:
    """Answers as Prometheus does: work by time, dollars at 2 cents a token."""

    def __init__(self, work_per_s: dict[float, float]) -> None:
        self.work_per_s = work_per_s
        self.asked: list[tuple[str, float, float]] = []

    def __call__(self, expr: str, first_s: float, last_s: float) -> list[dict[str, Any]]:
        self.asked.append((expr, first_s, last_s))
        price = 0.02 if names.FRONTIER_EQUIVALENT_USD in expr else 1.0
        values = [
            [at_s, str(work * price)]
            for at_s, work in self.work_per_s.items()
            if first_s <= at_s <= last_s
        ]
        return [{"metric": {}, "values": values}] if values else []


def test_rates_become_steps() -> None:
    memory = Memory({BEGIN_S - 10: 5.0, BEGIN_S: 7.5})
    found = ask_load(memory, POLICY, 20, NOW_S)
    assert found.missing_share == 0
    assert found.load.work_tokens.tolist() == [50, 75]
    assert found.load.frontier_usd.tolist() == pytest.approx([1.0, 1.5])
    assert found.load.step_s == 10
    assert found.load.economics.capacity_tokens_per_s == 2500
    assert [*found.load.rungs] == ["frontier"]


def test_both_signals_are_the_operators_of_this_policy_alone() -> None:
    memory = Memory({BEGIN_S: 1.0})
    ask_load(memory, POLICY, 10, NOW_S)
    assert [expr for expr, *_ in memory.asked] == [
        'sum(rate(overspill_work_tokens_total{policy="legal/contracts"}[60s]))',
        (
            "sum(rate(overspill_frontier_equivalent_usd_total"
            '{policy="legal/contracts", eligible="true"}[60s]))'
        ),
    ]


def test_a_long_time_is_asked_for_in_pages_that_prometheus_allows() -> None:
    memory = Memory({BEGIN_S - 10.0 * n: float(n) for n in range(25_000)})
    found = ask_load(memory, POLICY, 250_000, NOW_S)
    assert found.load.work_tokens.tolist() == [10.0 * n for n in range(25_000)][::-1]
    pages = [(first_s, last_s) for _, first_s, last_s in memory.asked]
    assert len(pages) == 6
    assert max(last_s - first_s for first_s, last_s in pages) < 11_000 * 10


def test_time_before_the_first_sample_is_left_out_and_gaps_are_told() -> None:
    memory = Memory({BEGIN_S - 40: 1.0, BEGIN_S - 30: float("nan"), BEGIN_S - 20: 3.0, BEGIN_S: 4})
    found = ask_load(memory, POLICY, 1000, NOW_S)
    assert found.load.work_tokens.tolist() == [10, 0, 30, 0, 40]
    assert found.missing_share == pytest.approx(2 / 5)


def test_with_hosts_the_known_price_is_the_hosts() -> None:
    hosted = PolicyFile(name="a", namespace="b", spec=parse_policy(policy(hosted=[HOST])))
    assert [*ask_load(Memory({BEGIN_S: 1.0}), hosted, 10, NOW_S).load.rungs] == ["hosted"]


def test_missing_is_not_zero() -> None:
    with pytest.raises(NoDemand, match="no demand of policy legal/contracts in the last 600 s"):
        ask_load(Memory({}), POLICY, 600, NOW_S)


@contextmanager
def double(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that gives one answer, and the requests it was sent."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()


def test_the_http_api_is_asked_as_it_wants_to_be() -> None:
    series = [{"metric": {}, "values": [[10, "1"]]}]
    body = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    with double(200, json.dumps(body).encode()) as (url, asked):
        assert connect(url)("sum(x)", 10.0, 30.0) == series
    asking = urlsplit(asked[0])
    assert asking.path == "/api/v1/query_range"
    assert parse_qs(asking.query) == {
        "query": ["sum(x)"], "start": ["10"], "end": ["30"], "step": ["10s"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(503, b"starting", "Code 503[)]; look whether a Prometheus", id="not ready"),
        pytest.param(401, b"Unauthorized", "Code 401[)]; write name and", id="no password"),
        pytest.param(422, b'{"status":"error","errorType":"execution","error":"query processing '
                     b'would load too many samples into memory in query execution"}',
                     "Code 422: query processing would load too many samples .*; try again with "
                     "less time in --since", id="too much at once"),
        pytest.param(200, b"<html>", "JSONDecodeError", id="something else"),
        pytest.param(200, b'{"status": "ok"}', "something else than samples", id="other JSON"),
        pytest.param(200, b"[]", "something else than samples", id="a list"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(status: int, body: bytes, said: str) -> None:
    with double(status, body) as (url, _), pytest.raises(NoDemand, match=said):
        connect(url)("sum(x)", 10.0, 30.0)


@pytest.mark.parametrize(
    "series",
    [
        pytest.param({"metric": {}}, id="no samples"),
        pytest.param({"values": [[BEGIN_S, "much"]]}, id="no number"),
        pytest.param({"values": [[BEGIN_S - 1000, "1"]]}, id="not asked for, before"),
        pytest.param({"values": [[BEGIN_S + 1000, "1"]]}, id="not asked for, after"),
    ],
)
def test_odd_samples_are_no_demand(series: dict[str, Any]) -> None:
    with pytest.raises(NoDemand, match="something else than samples"):
        ask_load(lambda *_: [series], POLICY, 20, NOW_S)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "http://[::1", "ftp://x"])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(NoDemand, match="is no address"):
        connect(url)


@pytest.mark.parametrize(
    ("warning", "refused"),
    [
        pytest.param("receive series from store-1: connection refused", True, id="a store is down"),
        pytest.param('PromQL warning: metric name "x" is odd', False, id="of the query"),
    ],
)
def test_a_part_of_demand_is_not_all_of_it(warning: str, refused: bool) -> None:
    body = {"status": "success", "data": {"result": []}, "warnings": [warning]}
    with double(200, json.dumps(body).encode()) as (url, _):
        if not refused:
            assert connect(url)("sum(x)", 10.0, 30.0) == []
            return
        with pytest.raises(NoDemand, match=r"in part only .*store-1.*; see to it"):
            connect(url)("sum(x)", 10.0, 30.0)


def test_nobody_there_is_told() -> None:
    with pytest.raises(NoDemand, match="ConnectionError"):
        connect("http://127.0.0.1:1")("sum(x)", 10.0, 30.0)


@pytest.mark.parametrize(
    "url", ["http://me:p%40ss@127.0.0.1:1/x@y", "http://me:a@b@127.0.0.1:1", "http://me:pw@[::1"]
)
def test_no_password_is_told(url: str) -> None:
    with pytest.raises(NoDemand) as refused:
        connect(url)("sum(x)", 10.0, 30.0)
    told = str(refused.value)
    assert "me:" not in told
    assert "127.0.0.1" in told or "[::1" in told


@contextmanager
def prometheus(binary: Path, folder: Path) -> Iterator[str]:
    """A real Prometheus that scrapes nothing and takes what it is sent."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    command = [
        str(binary),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-otlp-receiver",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            assert any("ready to receive web requests" in line for line in process.stderr)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.stderr.read()


def push(url: str, totals: dict[float, float]) -> None:
    """Send the two counters, by OpenTelemetry's protocol in JSON."""
    metrics = [
        (names.WORK_TOKENS, 1.0, {"policy": "legal/contracts"}),
        (names.FRONTIER_EQUIVALENT_USD, 2e-5, {"policy": "legal/contracts", "eligible": "true"}),
        (names.FRONTIER_EQUIVALENT_USD, 1e-3, {"policy": "legal/contracts", "eligible": "false"}),
        (names.WORK_TOKENS, 9.0, {"policy": "legal/other"}),
    ]
    told = [
        {
            "name": name,
            "sum": {
                "aggregationTemporality": 2,
                "isMonotonic": True,
                "dataPoints": [
                    {
                        "asDouble": total * factor,
                        "timeUnixNano": str(int(at_s * 1e9)),
                        "attributes": [
                            {"key": key, "value": {"stringValue": value}}
                            for key, value in labels.items()
                        ],
                    }
                    for at_s, total in totals.items()
                ],
            },
        }
        for name, factor, labels in metrics
    ]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": told}]}]}
    request = urllib.request.Request(
        f"{url}/api/v1/otlp/v1/metrics",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@pytest.mark.skipif(
    not paths.binary("prometheus").exists(), reason="no Prometheus here; `make e2e` builds one"
)
def test_a_real_prometheus_gives_back_what_was_counted(tmp_path: Path) -> None:
    scrapes_s = BEGIN_S + np.arange(0, 3600, 15)
    totals = np.cumsum(15 * np.where(np.arange(len(scrapes_s)) < 120, 200.0, 3000.0))
    with prometheus(paths.binary("prometheus"), tmp_path) as url:
        push(url, dict(zip(scrapes_s.tolist(), totals.tolist(), strict=True)))
        found = ask_load(connect(url), POLICY, 3600, float(scrapes_s[-1]))
    work = found.load.work_tokens
    assert found.missing_share == 0
    assert work[10] == pytest.approx(2_000)
    assert work[-10] == pytest.approx(30_000)
    assert work.sum() == pytest.approx(totals[-1] - totals[0], rel=0.02)
    assert found.load.frontier_usd == pytest.approx(work * 2e-5)
