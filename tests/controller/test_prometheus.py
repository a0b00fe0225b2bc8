"""Asking a Prometheus over HTTP: an answer in part is none."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from overspill.controller.prometheus import connect, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_S = 1_780_000_000.0
SEVEN = {"metric": {"policy": "p", "tier": "small"}, "value": [NOW_S, "7"]}


@contextmanager
def prometheus(**more: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Answers every query with one sample, and with this beside it."""
    said = {"status": "success", "data": {"resultType": "vector", "result": [SEVEN]}, **more}
    body = json.dumps(said).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/prefix/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"warnings": []}, id="no warning"),
        pytest.param({"warnings": ["PromQL warning: odd buckets"]}, id="a warning of the query"),
        pytest.param({"infos": ["PromQL info: no counter?"]}, id="an info"),
        pytest.param({"isPartial": False}, id="it is whole"),
    ],
)
def test_a_whole_answer_is_believed(more: dict[str, Any]) -> None:
    with prometheus(**more) as url:
        snapshot = poll(connect(url), 60, [], NOW_S)
    assert snapshot.failure == ""
    assert snapshot.work_tokens_per_s == {"p": 7.0}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"warnings": ["receive series from 10.0.0.7: unavailable"]}, id="Thanos"),
        pytest.param({"isPartial": True}, id="VictoriaMetrics"),
    ],
)
def test_an_answer_in_part_is_none(more: dict[str, Any]) -> None:
    """Half of the sidecars look like half of the demand."""
    with prometheus(**more) as url:
        snapshot = poll(connect(url), 60, [], NOW_S)
    assert "only in part" in snapshot.failure
    assert snapshot.work_tokens_per_s == {}
