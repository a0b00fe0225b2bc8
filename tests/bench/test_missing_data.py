"""A clone has no recorded data: each benchmark that reads some says so, and what to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import bill, hosted, pacing, routing, scaling, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.mark.parametrize(
    ("main", "words", "flag"),
    [
        pytest.param(bill.main, (), "--traces", id="bill"),
        pytest.param(hosted.main, (), "--traces", id="hosted"),
        pytest.param(pacing.main, (), "--traces", id="pacing"),
        pytest.param(routing.main, (), "--data", id="routing"),
        pytest.param(scaling.main, (), "--traces", id="scaling"),
        pytest.param(stream.main, (), "--data", id="stream"),
        pytest.param(stream.main, ("--drift",), "--data", id="stream, traffic that turns"),
    ],
)
def test_without_data_the_remedy_is_said(
    main: Callable[[Sequence[str]], int],
    words: tuple[str, ...],
    flag: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([flag, str(tmp_path), *words]) == 2
    told = capsys.readouterr().err
    assert f"{flag} FOLDER" in told
    assert str(tmp_path) in told
