"""The schedules that e2e tests and the demo send."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.app.asks import Ask, dump, load, replay, steady

TRACE = Path(__file__).parents[2] / "e2e" / "data" / "azure-2023-conv.csv.gz"


def test_a_replayed_trace_is_deterministic_and_in_order() -> None:
    one = replay(TRACE, seconds=100, share_at=lambda _: 0.1, high_share=0.1)
    two = replay(TRACE, seconds=100, share_at=lambda _: 0.1, high_share=0.1)
    assert one == two
    assert [ask.at_s for ask in one] == sorted(ask.at_s for ask in one)
    assert 0 <= one[0].at_s <= one[-1].at_s <= 100


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_of_the_trace_is_kept(share: float) -> None:
    kept = len(replay(TRACE, seconds=100, share_at=lambda _: share, high_share=0.0))
    assert kept == pytest.approx(19366 * share, rel=0.05)


def test_a_schedule_survives_the_way_to_the_app() -> None:
    asks = steady(per_s=4, seconds=3, every_nth_high=5)
    assert load(dump(asks)) == asks
    assert len(asks) == 12


def test_a_prompt_has_the_size_it_claims() -> None:
    prompt = Ask(at_s=0, input_tokens=500, output_tokens=7).prompt()
    assert prompt.startswith("[[in=500]][[out=7]]")
    assert len(prompt) == pytest.approx(2000, rel=0.01)
