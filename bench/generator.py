"""The Go end of the benchmarks: the upstream that takes no time, and the load."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.processes import Broken, cores, free_port, pinned, running
from bench.report import OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE = Path(__file__).parent / "load"
BINARY = OUT / "load"
START_LIMIT_S = 180.0
SLACK_S = 60.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""All that is asked here is on this machine, which a proxy of the environment cannot reach."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked."""

    url: str
    model: str = "glm"


def build() -> None:
    """Compile the load generator. Raises: Broken."""
    OUT.mkdir(parents=True, exist_ok=True)
    words = ["go", "build", "-trimpath", "-o", str(BINARY), "."]
    try:
        done = subprocess.run(words, check=False, cwd=SOURCE, capture_output=True, text=True)
    except FileNotFoundError:
        raise Broken("Go is needed to build the load generator; install it and try again") from None
    if done.returncode:
        raise Broken(f"the load generator does not build\n{done.stderr}")


@contextlib.contextmanager
def upstream(idle_s: float = 75.0) -> Iterator[int]:
    """Run the upstream, which closes connections that idle; yields its port."""
    port = free_port()
    words = [str(BINARY), "upstream", "--listen", f"127.0.0.1:{port}", "--idle", f"{idle_s}s"]
    with running(words, cores()[1], OUT / "upstream.log"):
        wait_for(Target(f"http://127.0.0.1:{port}/v1"))
        yield port


def get(url: str | urllib.request.Request) -> bytes:
    """Ask once, by no proxy. Raises: OSError, HTTPException."""
    with _DIRECT.open(url, timeout=10) as answer:
        body: bytes = answer.read()
        return body


def served(port: int) -> int:
    """Requests that the upstream has begun to answer so far."""
    counts = json.loads(get(f"http://127.0.0.1:{port}/stats"))
    return int(counts["requests"]) + int(counts["streams"])


def wait_for(target: Target, child: subprocess.Popen[str] | None = None) -> None:
    """Wait until it answers a completion. Raises: Broken."""
    deadline_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            _ask(target)
            return
        except (OSError, http.client.HTTPException) as error:
            if child and child.poll() is not None:
                raise Broken(f"ended with {child.returncode} instead of serving") from None
            if time.monotonic() > deadline_s:
                raise Broken(f"no answer within {START_LIMIT_S:g} s: {error}") from None
            time.sleep(0.1)


def _ask(target: Target) -> None:
    message = {"role": "user", "content": "ready?"}
    body = json.dumps({"model": target.model, "messages": [message]}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
    get(urllib.request.Request(f"{target.url}/chat/completions", body, headers))


def _words(target: Target, options: Sequence[str]) -> list[str]:
    return [str(BINARY), "load", "--url", target.url, "--model", target.model, *options]


def load(target: Target, options: Sequence[str], *, warmup_s: float, seconds: float) -> Any:  # noqa: ANN401 - JSON
    """Run one load to its end and return what it measured. Raises: Broken."""
    window = ["--warmup", f"{warmup_s}s", "--duration", f"{seconds}s"]
    words = _words(target, [*options, *window])
    limit_s = warmup_s + seconds + SLACK_S
    try:
        with pinned(cores()[1]):
            done = subprocess.run(
                words, check=False, capture_output=True, text=True, timeout=limit_s
            )
    except subprocess.TimeoutExpired:
        raise Broken(f"the load did not end within {limit_s:g} s") from None
    if done.returncode:
        raise Broken(done.stderr.strip())
    return json.loads(done.stdout)


@contextlib.contextmanager
def held_streams(target: Target, count: int) -> Iterator[Any]:
    """Hold so many streams open, each after its first event; yields how many opened.

    Raises: Broken.
    """
    words = _words(target, ["--case", "idle", "--connections", str(count)])
    with pinned(cores()[1]):
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with child:
        assert child.stdout
        assert child.stdin
        try:
            said = child.stdout.readline()
            if not said:
                raise Broken("the load ended before its streams were open")
            yield json.loads(said)
        finally:
            child.stdin.close()
            child.wait(SLACK_S)
