"""Single requests of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from overspill.api import parse_policy
from overspill.simulate import requests
from overspill.simulate.requests import Requests, requests_of, traffic_of
from overspill.simulate.trace import InvalidTrace, read_rows
from tests.api.policies import policy
from tests.simulate.test_load import HOST

if TYPE_CHECKING:
    from pathlib import Path

BINS = "bin_start_s,requests,input_tokens,output_tokens\n"
REQUESTS = "arrival_s,input_tokens,output_tokens\n"


def read(folder: Path, text: str) -> Requests:
    path = folder / "trace.csv"
    path.write_text(text)
    return requests_of(read_rows(path, counted=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(REQUESTS + "7,1,2\n5,3,4\n", [(0, 3, 4), (2, 1, 2)], id="in their order"),
        pytest.param(BINS + "0,2,10,4\n10,1,6,8\n", [(2.5, 5, 2), (7.5, 5, 2), (15, 6, 8)],
                     id="bins: evenly, of mean size"),
        pytest.param(BINS + "0,0,0,0\n10,1,6,8\n", [(15, 6, 8)], id="nobody in a bin"),
        pytest.param(BINS + "0,0.2,5,7\n10,1.6,6,8\n", [(5, 5, 7), (12.5, 3, 4), (17.5, 3, 4)],
                     id="whole requests, and all tokens"),
        pytest.param(BINS + "0,0,0,0\n", [], id="nobody at all"),
    ],
)  # fmt: skip
def test_a_trace_becomes_requests(
    tmp_path: Path, text: str, expected: list[tuple[float, float, float]]
) -> None:
    found = read(tmp_path, text)
    columns = (found.arrival_s, found.input_tokens, found.output_tokens)
    assert [*zip(*(column.tolist() for column in columns), strict=True)] == expected
    assert len(found) == len(expected)


def test_bins_must_say_how_many_requests_they_hold(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrace, match=r"line 1: has no column requests; say how many"):
        read(tmp_path, "bin_start_s,input_tokens,output_tokens\n0,1,1\n")


def test_too_many_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST", 1000)
    with pytest.raises(
        InvalidTrace, match=r"1,001 requests are too many .* cut the trace to 1,000"
    ):
        read(tmp_path, BINS + "0,1001,1,1\n")


def test_each_is_weighed_and_priced_as_the_policy_does(tmp_path: Path) -> None:
    found = traffic_of(
        read(tmp_path, REQUESTS + "0,1000,100\n1,0,10\n"), parse_policy(policy(hosted=[HOST]))
    )
    assert found.work_tokens.tolist() == [200, 10]
    assert found.rungs["frontier"].tolist() == pytest.approx([0.0075, 0.00025])
    assert found.rungs["hosted"].tolist() == pytest.approx([0.00012, 0.000002])
