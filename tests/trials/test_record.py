"""What sidecars tell of trials: packed small, read back as it was, refused where it cannot be."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.routing.features import MEASURES, WORDS, features
from overspill.trials.record import STEPS, VERSION, Trial, pack, unpack
from tests.trials.batches import PROMPT, batch, trial


def test_it_is_read_back_as_it_was() -> None:
    told = [batch(trial(), trial("hello"), trial("")), batch(name="b-1")]
    assert unpack(pack(told)) == told


def test_what_a_sidecar_told_before_it_knew_what_lost_trials_stood_for_is_read() -> None:
    _, (told,) = msgspec.msgpack.decode(zlib.decompress(pack([batch(trial(), lost_paid=3)])))
    (found,) = unpack(zlib.compress(msgspec.msgpack.encode([VERSION, [told[:-2]]])))
    assert (found.lost_paid, found.missed_paid) == (3, 0.0)


@given(st.text(max_size=400))
def test_words_and_shape_are_those_of_the_prompt(prompt: str) -> None:
    seen, kept = features(prompt), trial(prompt)
    assert set(kept.places) == seen.words
    assert kept.measures == pytest.approx(seen.shape, abs=0.5 / STEPS + 1e-9)


def test_a_trial_takes_about_half_a_kilobyte() -> None:
    prompts = [" ".join(f"word{n * k % 977}" for k in range(120)) for n in range(1, 101)]
    assert len(pack([batch(*map(trial, prompts))])) < 600 * len(prompts)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"small": 1.1}, id="a quality above 1"),
        pytest.param({"frontier": -0.1}, id="a quality below 0"),
        pytest.param({"seen": 0.0}, id="a chance of nothing"),
        pytest.param({"seen": 1e-300}, id="a chance next to nothing"),
        pytest.param({"seen": 0.2}, id="seen more often than sent"),
        pytest.param({"score": float("nan")}, id="a score that is no number"),
    ],
)
def test_a_trial_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="trial"):
        unpack(pack([batch(trial(PROMPT, **changes))]))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"ended_s": float("nan")}, id="no time"),
        pytest.param({"ended_s": 1e300}, id="after all time"),
        pytest.param({"trial_rate": 1e-300}, id="next to no trials"),
        pytest.param({"variance": float("inf")}, id="a variance without bounds"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    """One of these would keep the operator from looking at its policy."""
    with pytest.raises(ValueError, match="trials"):
        unpack(pack([batch(**changes)]))


def test_a_word_beyond_the_last_place_is_refused() -> None:
    far = Trial(
        words=[WORDS], shape=[0] * MEASURES, score=0.0, small=1.0, frontier=1.0, sent=1.0, seen=1.0
    )
    with pytest.raises(ValueError, match="a-1"):
        unpack(pack([batch(far)]))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nothing",
        zlib.compress(b"nothing"),
        zlib.compress(msgspec.msgpack.encode([VERSION + 1, []])),
        zlib.compress(bytes(2**23)),
        pack([batch(trial())])[:-9],
    ],
)
def test_what_is_no_report_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="trials"):
        unpack(raw)
