"""The command, on whatever standard output it has."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from overspill.cli import main

POLICY = Path(__file__).parents[1] / "manifests" / "examples" / "contracts.yaml"
REQUEST = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_letter_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(REQUEST)))
    assert main(["explain", "-", "--policy", str(POLICY)]) == 0
    sys.stdout.flush()
    assert b"contracts ? small: SmallFits" in written.getvalue()
