"""Traces: two forms, plain or gzipped; what cannot be used is refused with line and remedy."""

from __future__ import annotations

import gzip
import os
import re
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.simulate.trace import InvalidTrace, Trace, read_trace

if TYPE_CHECKING:
    from pathlib import Path

BINS = "bin_start_s,requests,input_tokens,output_tokens\n"
REQUESTS = "arrival_s,input_tokens,output_tokens\n"


def read(folder: Path, text: str) -> Trace:
    path = folder / "trace.csv"
    path.write_text(text)
    return read_trace(path)


def rows(trace: Trace) -> list[tuple[float, float]]:
    assert trace.step_s == 10
    return [*zip(trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        pytest.param(BINS + "0,1,5,7\n10,1,6,8\n", [(5, 7), (6, 8)], id="bins of a step"),
        pytest.param(BINS + "0,1,5,7\n10,0,1,1\n30,1,6,8\n", [(5, 7), (1, 1), (0, 0), (6, 8)],
                     id="empty bins are left out"),
        pytest.param(BINS + "0,1,5,7\n20,1,6,8\n50,1,1,1\n",
                     [(5, 7), (0, 0), (6, 8), (0, 0), (0, 0), (1, 1)],
                     id="no two neighbours have a row"),
        pytest.param(BINS + "0,1,5,7\n9.999,1,6,8\n20,1,1,1\n100000,1,2,2\n",
                     [(5, 7), (6, 8), (1, 1), *[(0, 0)] * 9997, (2, 2)], id="a late row"),
        pytest.param(BINS + "500,1,5,7\n", [(5, 7)], id="one bin, not at zero"),
        pytest.param(BINS + "0,1,20,40\n20,1,2,4\n", [(10, 20), (10, 20), (1, 2), (1, 2)],
                     id="coarse bins are spread evenly"),
        pytest.param(BINS + "0,1,30,60\n15,1,3,6\n", [(20, 40), (11, 22), (2, 4)],
                     id="bins that are no multiple of a step"),
        pytest.param(BINS + "0,1,1,2\n5,1,3,4\n10,1,5,6\n", [(4, 6), (5, 6)], id="fine bins"),
        pytest.param("rpm,output_tokens,bin_start_s,input_tokens\n9,7,0,5\n", [(5, 7)],
                     id="other columns, other order"),
        pytest.param(REQUESTS + "0.5,1,2\n9.9,3,4\n\n10.6,5,6\n", [(4, 6), (5, 6)],
                     id="requests, from the first on"),
        pytest.param(REQUESTS + "31.0,1,2\n0.5,3,4\n", [(3, 4), (0, 0), (0, 0), (1, 2)],
                     id="requests in any order"),
        pytest.param("\ufeff" + REQUESTS.replace("\n", "\r\n") + "1,2,3\r\n", [(2, 3)],
                     id="as a spreadsheet writes it"),
    ],
)  # fmt: skip
def test_a_trace_becomes_steps(tmp_path: Path, text: str, steps: list[tuple[float, float]]) -> None:
    assert rows(read(tmp_path, text)) == [pytest.approx(step) for step in steps]


def test_times_of_few_digits_do_not_add_up_to_another_width(tmp_path: Path) -> None:
    text = "".join(f"{1.7e9 + n * 100 / 3:.2f},1,{n},1\n" for n in range(3000))
    trace = read(tmp_path, BINS + text)
    assert len(trace.input_tokens) == pytest.approx(10_000, abs=1)
    assert np.sum(trace.input_tokens) == pytest.approx(3000 * 2999 / 2)


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(gzip.compress((BINS + "0,1,5,7\n").encode()))
    assert rows(read_trace(path)) == [(5, 7)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param((BINS + "0,1,5,7\n").encode(), id="plain"),
        pytest.param(gzip.compress((BINS + "0,1,5,7\n").encode()), id="gzipped"),
    ],
)
def test_a_pipe_is_read_as_a_file_is(tmp_path: Path, content: bytes) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    assert rows(read_trace(tmp_path / "pipe")) == [(5, 7)]
    writer.join()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "line 1: has no column arrival_s, input_tokens, output_tokens (got '')",
                     id="empty"),
        pytest.param("time,input_tokens\n", "line 1: has no column arrival_s, output_tokens "
                     "(got 'time,input_tokens'); name the columns", id="wrong columns"),
        pytest.param("bin_start_s,input_tokens\n", "line 1: has no column output_tokens",
                     id="a column lacks"),
        pytest.param(BINS, "has no rows; give one a bin", id="no rows"),
        pytest.param(BINS + "0,1,5,7\n10,1,x,8\n",
                     "line 3: input_tokens is 'x'; write a number, from 0 to", id="no number"),
        pytest.param(BINS + "0,1,5,-7\n", "line 2: output_tokens is '-7'", id="negative"),
        pytest.param(BINS + "0,1,5,nan\n", "line 2: output_tokens is 'nan'", id="not a number"),
        pytest.param(REQUESTS + "inf,1,1\n", "line 2: arrival_s is 'inf'", id="infinite"),
        pytest.param(REQUESTS + "2024-05-01T00:00:00Z,1,1\n",
                     "line 2: arrival_s is '2024-05-01T00:00:00Z'; write seconds", id="a date"),
        pytest.param(REQUESTS + "0,1,1e300\n", "line 2: output_tokens is '1e300'; write a number",
                     id="more than can be added up"),
        pytest.param(BINS + "0,nan,1,1\n", "line 2: requests is 'nan'", id="requests of a bin"),
        pytest.param(BINS + "0,,1,1\n", "line 2: requests is ''", id="missing is not zero"),
        pytest.param(REQUESTS.strip() + ",output_tokens\n0,1,2,3\n",
                     "line 1: has two columns output_tokens; leave one", id="a column twice"),
        pytest.param(REQUESTS + "1,2\n", "line 2: output_tokens is missing", id="short row"),
        pytest.param(BINS + "0,1,5,7\n20,1,5,7\n10,1,5,7\n",
                     "line 4: bin_start_s is 10 after 20; sort the bins by time", id="unsorted"),
        pytest.param(BINS + "0,1,5,7\n0,1,5,7\n", "line 3: bin_start_s is 0 after 0",
                     id="a bin twice"),
        pytest.param(BINS + "0,1,5,7\n10,1,5,7\n25,1,5,7\n",
                     "line 4: bin_start_s is 25, between two bins of 10 s", id="two widths"),
        pytest.param(BINS + "1700000010,1,5,7\n1700000000,1,5,7\n",
                     "line 3: bin_start_s is 1700000000 after 1700000010; sort", id="all digits"),
        pytest.param(BINS + "1700000000000,1,5,7\n1700000010000,1,5,7\n",
                     "line 2: bin_start_s is '1700000000000'; write seconds, a number, from 0 to",
                     id="a few milliseconds"),
        pytest.param(BINS + "0,1,5,7\n0.25,1,5,7\n",
                     "line 3: a bin of 0.25 s; give bins of 1 s or more, or call the column",
                     id="requests called bins"),
        pytest.param(REQUESTS + "0,1,1\n1700000000000,1,1\n",
                     "line 3: arrival_s is '1700000000000'; write seconds", id="milliseconds"),
        pytest.param(REQUESTS + "0,1,1\n1700000000,1,1\n",
                     "line 3: arrival_s is 19,676 days after the first; write seconds",
                     id="from two beginnings"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidTrace, match=re.escape(said)) as refused:
        read(tmp_path, text)
    assert str(tmp_path / "trace.csv") in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(b"arrival_s")[:-9], id="cut gzip"),
        pytest.param(b"\xff\xfe\x00a", id="not UTF-8"),
        pytest.param(b"\x1f\x8bnonsense", id="only looks like gzip"),
        pytest.param(gzip.compress(b"arrival_s")[:10] + b"\xff" * 20, id="broken gzip"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "trace.csv").write_bytes(content)
    with pytest.raises(InvalidTrace, match="give CSV text, plain or gzipped"):
        read_trace(tmp_path / "trace.csv")


@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=50).filter(lambda some: some[0] > 0),
    st.sampled_from([1, 5, 7, 10, 15, 60, 600]),
)
def test_no_token_is_lost(
    tmp_path_factory: pytest.TempPathFactory, tokens: list[int], width_s: int
) -> None:
    kept = [(i * width_s, n) for i, n in enumerate(tokens) if n or i < 2]
    text = BINS + "".join(f"{start_s},1,{n},{2 * n}\n" for start_s, n in kept)
    trace = read(tmp_path_factory.mktemp("trace"), text)
    assert np.sum(trace.input_tokens) == pytest.approx(sum(tokens))
    assert np.sum(trace.output_tokens) == pytest.approx(2 * sum(tokens))
