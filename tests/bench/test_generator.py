"""The harness around the load generator, against programs that do not do what they should."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from bench import generator
from bench.processes import Broken

if TYPE_CHECKING:
    from pathlib import Path

TARGET = generator.Target("http://127.0.0.1:9/v1")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs as the load generator."""
    made = tmp_path / "load"
    monkeypatch.setattr(generator, "BINARY", made)
    return made


def _says(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_load_that_does_not_end_is_a_broken_run(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _says(program, "read never < /dev/zero")
    monkeypatch.setattr(generator, "SLACK_S", 0.05)
    with pytest.raises(Broken, match="did not end within"):
        generator.load(TARGET, (), warmup_s=0.0, seconds=0.05)


def test_streams_that_were_never_told_of_are_a_broken_run(program: Path) -> None:
    _says(program, "exit 1")
    with (
        pytest.raises(Broken, match="before its streams were open"),
        generator.held_streams(TARGET, 2),
    ):
        pass


class _Stats(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"requests": 2, "streams": 1}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_this_machine_is_asked_by_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), _Stats) as server:
        threading.Thread(target=server.handle_request).start()
        assert generator.served(server.server_port) == 3
