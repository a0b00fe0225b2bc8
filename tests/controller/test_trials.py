"""Keeping trials: written before they are acknowledged, by whichever replica is told."""

from __future__ import annotations

import asyncio
import base64
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.api import parse_policy
from overspill.api.errors import InvalidConfig, InvalidPolicy
from overspill.controller import segments
from overspill.controller.credentials import Foreign
from overspill.controller.errors import Unavailable
from overspill.controller.evidence import evidence_in
from overspill.controller.gathering import NoSuchPolicy
from overspill.controller.trials import Keeper
from overspill.learning.book import Book
from overspill.trials.record import pack
from overspill.trials.subject import subject_of
from tests.controller.api import FakeApi
from tests.controller.fakes import KEY, resource
from tests.controller.test_lending import MINE, POLICY
from tests.trials.batches import batch, trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overspill.controller.credentials import Bearer
    from overspill.controller.keys import Manifest, PolicyKey
    from overspill.controller.kube import Api
    from overspill.trials.record import Batch

FOLDER = "/api/v1/namespaces/legal/configmaps"
TRIED: dict[str, Any] = {"complexity": {"qualityFloor": "0.95"}, "trials": {}}


def tried(**changes: Any) -> Manifest:  # noqa: ANN401 - any field
    return resource(routing=TRIED, **changes)


@dataclass
class TrialApi(FakeApi):
    """One policy that tries, and what is kept of it."""

    objects: dict[str, Manifest] = field(default_factory=lambda: {POLICY: tried()})

    @property
    def segments(self) -> list[Manifest]:
        found = [one for path, one in self.objects.items() if path.startswith(FOLDER)]
        return [self.objects[f"{FOLDER}/{m.name}"] for m in segments.marks_in(found, tried())]

    @property
    def batches(self) -> list[Batch]:
        return [one for segment in self.segments for one in segments.batches_in(segment)]

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.batches]


class Listening(Keeper):
    """Told by sidecars that go by the policy as it is, unless they say otherwise."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__(cast("Api", api), gather_s=0.001)
        self._policies = api

    async def keep(
        self, key: PolicyKey, bearer: Bearer, batches: Sequence[Batch], subject: str = ""
    ) -> int:
        if (found := self._policies.objects.get(POLICY)) and not subject:
            with suppress(InvalidPolicy):
                subject = subject_of(parse_policy(found["spec"]))
        return await super().keep(key, bearer, batches, subject)


def keeper(api: FakeApi) -> Listening:
    return Listening(api)


def named(*names: str) -> list[Batch]:
    return [batch(name=name) for name in names]


def large(name: str, trials: int = 110) -> Batch:
    """Some 50 kB: no two words are alike."""
    chance = random.Random(name)
    words = (
        " ".join("".join(chance.choices("abcdefghij", k=6)) for _ in range(120))
        for _ in range(trials)
    )
    return batch(*map(trial, words), name=name)


@pytest.mark.asyncio
async def test_what_is_told_is_kept_and_goes_with_its_policy() -> None:
    api = TrialApi()
    told = [batch(trial(), name="a-1"), batch(name="a-2")]
    assert await keeper(api).keep(KEY, MINE, told) == 2
    assert api.batches == told
    (segment,) = api.segments
    assert segment["metadata"]["name"] == "overspill-contracts-trials-1"
    assert segment["metadata"]["labels"]["overspill.dev/trials"] == "contracts"
    assert segment["metadata"]["ownerReferences"][0]["uid"] == "u1"


@pytest.mark.asyncio
async def test_what_comes_twice_is_kept_once() -> None:
    api = TrialApi()
    first, other = keeper(api), keeper(api)
    assert await first.keep(KEY, MINE, named("a-1", "a-1", "a-2")) == 2
    assert await first.keep(KEY, MINE, named("a-1", "a-3")) == 1
    assert await other.keep(KEY, MINE, named("a-2", "a-3")) == 0
    assert api.names == ["a-1", "a-2", "a-3"]


@pytest.mark.asyncio
async def test_a_write_that_was_done_and_not_heard_of_is_not_done_again() -> None:
    api = TrialApi()
    kept = keeper(api)
    api.after_write = Unavailable("the connection broke")
    with pytest.raises(Unavailable):
        await kept.keep(KEY, MINE, named("a-1"))
    api.after_write = None
    assert await kept.keep(KEY, MINE, named("a-1", "a-2")) == 1
    assert api.names == ["a-1", "a-2"]


@pytest.mark.asyncio
async def test_500_sidecars_that_tell_at_once_cost_a_few_writes() -> None:
    api = TrialApi()
    kept = keeper(api)
    told = (kept.keep(KEY, MINE, named(f"s{n}")) for n in range(500))
    assert sum(await asyncio.gather(*told)) == 500
    assert len(api.names) == 500
    assert api.writes <= 3


@pytest.mark.asyncio
async def test_a_full_segment_is_followed_by_the_next_and_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENTS", 3)
    api = TrialApi()
    for number in range(5):
        await keeper(api).keep(KEY, MINE, [large(f"b{number}")])
    assert api.names == ["b2", "b3", "b4"]
    sizes = [len(segments.raw_in(one)) for one in api.segments]
    assert all(size <= segments.SEGMENT_BYTES for size in sizes)


@pytest.mark.asyncio
async def test_much_that_is_told_at_once_is_spread_over_segments() -> None:
    api = TrialApi()
    told = [large(f"b{number}", 50) for number in range(8)]
    assert await keeper(api).keep(KEY, MINE, told) == 8
    assert api.batches == told
    assert len(api.segments) > 1


@pytest.mark.asyncio
async def test_another_small_model_begins_another_segment() -> None:
    api = TrialApi()
    kept = keeper(api)
    await kept.keep(KEY, MINE, named("a-1"))
    api.objects[POLICY] = tried(small__model="qwen")
    await kept.keep(KEY, MINE, named("a-2"))
    assert [segments.batches_in(one)[0].name for one in api.segments] == ["a-1", "a-2"]
    noted = {segments.subject_noted(one["metadata"]) for one in api.segments}
    assert len(noted) == 2


@pytest.mark.asyncio
async def test_a_policy_that_is_made_again_begins_anew() -> None:
    api = TrialApi()
    kept = keeper(api)
    await kept.keep(KEY, MINE, named("a-1"))
    api.objects = {POLICY: tried(uid="u2")}
    assert await kept.keep(KEY, MINE, named("a-1")) == 1
    (owner,) = api.objects[f"{FOLDER}/overspill-contracts-trials-1"]["metadata"]["ownerReferences"]
    assert owner["uid"] == "u2"


@pytest.mark.asyncio
async def test_a_corrupt_segment_is_no_reason_to_keep_nothing() -> None:
    api = TrialApi()
    await keeper(api).keep(KEY, MINE, named("a-1"))
    api.segments[0]["binaryData"] = {"batches": base64.b64encode(b"nonsense").decode()}
    assert await keeper(api).keep(KEY, MINE, named("a-2")) == 1
    assert api.names == ["a-2"]


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        pytest.param(None, "there is no RoutingPolicy", id="no policy"),
        pytest.param(resource(), "no spec.routing.trials", id="no trials"),
        pytest.param(resource(budget={"limit": 5}), "is not valid", id="not valid"),
    ],
)
@pytest.mark.asyncio
async def test_nothing_is_kept_that_nobody_wants(policy: Manifest | None, why: str) -> None:
    api = TrialApi(objects={POLICY: policy} if policy else {})
    with pytest.raises(NoSuchPolicy, match=why):
        await keeper(api).keep(KEY, MINE, named("a-1"))


@pytest.mark.asyncio
async def test_a_pod_of_somebody_else_is_not_heard_and_keeps_nobody_from_telling() -> None:
    api = TrialApi()
    kept = keeper(api)
    foreign, mine = await asyncio.gather(
        kept.keep(KEY, replace(MINE, namespace="other"), named("x-1")),
        kept.keep(KEY, MINE, named("a-1")),
        return_exceptions=True,
    )
    assert isinstance(foreign, Foreign)
    assert mine == 1
    assert api.names == ["a-1"]


@pytest.mark.asyncio
async def test_a_batch_that_fits_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MOST_BYTES", 10_000)
    with pytest.raises(InvalidConfig, match="batch b is too large"):
        await keeper(TrialApi()).keep(KEY, MINE, [large("b")])


async def _told(api: TrialApi, moves: Sequence[tuple[int, list[str]]]) -> list[object]:
    keepers = [keeper(api) for _ in range(3)]
    told = (keepers[replica].keep(KEY, MINE, named(*names)) for replica, names in moves)
    return await asyncio.gather(*told, return_exceptions=True)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.lists(st.sampled_from([f"n{n}" for n in range(12)]), min_size=1, max_size=4),
        ),
        max_size=12,
    ),
    st.sampled_from([90, 200, 64 * 1024]),
)
@settings(deadline=None, max_examples=60)
def test_rival_replicas_lose_nothing_and_double_nothing(
    moves: list[tuple[int, list[str]]], segment_bytes: int
) -> None:
    """With segments so small that each batch needs one, too; a name counts once for who reads."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segments, "SEGMENT_BYTES", segment_bytes)
        api = TrialApi()
        answers = asyncio.run(_told(api, moves))
    heard = [told for told, said in zip(moves, answers, strict=True) if isinstance(said, int)]
    assert {name for _, names in heard for name in names} <= set(api.names)
    if segment_bytes == 64 * 1024:
        assert len(api.names) == len(set(api.names))


@pytest.mark.asyncio
async def test_what_an_earlier_small_model_said_is_no_trial_of_the_next() -> None:
    """For some seconds after an edit sidecars go on as before, and tell of it."""
    api = TrialApi()
    before = subject_of(parse_policy(tried()["spec"]))
    api.objects[POLICY] = tried(small__model="qwen")
    told = (
        keeper(api).keep(KEY, MINE, named("a-1"), before),
        keeper(api).keep(KEY, MINE, named("b-1")),
    )
    assert list(await asyncio.gather(*told)) == [0, 1]
    assert api.names == ["b-1"]


@pytest.mark.asyncio
async def test_nothing_is_remembered_of_a_policy_that_is_gone() -> None:
    api = TrialApi()
    kept = keeper(api)
    await kept.keep(KEY, MINE, named("a-1"))
    del api.objects[POLICY]
    with pytest.raises(NoSuchPolicy):
        await kept.keep(KEY, MINE, named("a-2"))
    assert not kept._known


@pytest.mark.asyncio
async def test_no_batch_ended_later_than_it_was_told() -> None:
    """One pod's clock that is a day ahead must not make all that others tell look old."""
    api, now_s = TrialApi(), 0.0
    keeper = Keeper(cast("Api", api), gather_s=0.001, clock=lambda: now_s)
    subject = subject_of(parse_policy(tried()["spec"]))
    for minute in range(90):
        now_s = 60.0 * minute
        told = [
            batch(name=f"{pod}-{minute}", at_frontier=40, ended_s=now_s + ahead_s)
            for pod, ahead_s in (("right", 0.0), ("fast", 86_400.0))
        ]
        await keeper.keep(KEY, MINE, told, subject)
    found = evidence_in(Book.of(api.batches), {})
    assert found is not None
    assert found.at_frontier_per_h == pytest.approx(2 * 40 * 60)


@pytest.mark.asyncio
async def test_prompts_that_are_all_alike_fill_segments_that_can_be_read_and_learned_from() -> None:
    """What is alike packs a hundred to one: by bytes alone a segment would take many thousands."""
    api, prompt = (
        TrialApi(),
        " ".join(f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "klmn"),
    )
    alike = [trial(prompt, small=float(number % 2)) for number in range(48)]
    told = [batch(*alike, name=f"a-{number}") for number in range(160)]
    kept = keeper(api)
    for start in range(0, len(told), 80):
        await kept.keep(KEY, MINE, told[start : start + 80])
    assert api.names == [one.name for one in told][-len(api.names) :]
    assert all(sum(len(b.trials) for b in segments.batches_in(one)) <= 256 for one in api.segments)
    assert len(api.segments) == segments.SEGMENTS


@pytest.mark.asyncio
async def test_a_report_of_many_segments_that_comes_twice_is_kept_once() -> None:
    api, told = TrialApi(), [large(f"a-{number}") for number in range(5)]
    kept = keeper(api)
    assert await kept.keep(KEY, MINE, told) == 5
    assert await kept.keep(KEY, MINE, told) == 0
    assert len(api.segments) == 5


def alike(words: int, trials: int, name: str) -> Batch:
    """Of words that lie side by side, which pack a thousand to one."""
    one = msgspec.structs.replace(trial(), words=[1] * words)
    return batch(*[one] * trials, name=name)


@pytest.mark.asyncio
async def test_what_packs_well_takes_no_more_memory_of_who_learns_than_what_does_not() -> None:
    """All policies' trials are read by one operator: one pod must not bring it down for all."""
    api = TrialApi()
    told = [alike(1281, 48, f"a-{at}") for at in range(4)]
    assert await keeper(api).keep(KEY, MINE, told) == 4
    assert len(api.segments) == 4, "each is full of words, and of few bytes"
    assert api.names == ["a-0", "a-1", "a-2", "a-3"]
    with pytest.raises(InvalidConfig, match="send fewer trials in one"):
        await keeper(api).keep(KEY, MINE, [alike(4096, 48, "b-1")])


@pytest.mark.asyncio
async def test_of_more_batches_than_any_sidecar_tells_at_once_none_is_kept() -> None:
    api = TrialApi()
    with pytest.raises(InvalidConfig, match="257 batches at once; send 256 at most"):
        await keeper(api).keep(KEY, MINE, named(*(f"a-{at}" for at in range(257))))
    assert api.segments == []


@pytest.mark.parametrize(
    "written",
    [
        pytest.param([alike(4096, 17, "a-1")], id="words"),
        pytest.param([alike(1, 300, "a-1"), alike(1, 300, "a-2")], id="trials"),
        pytest.param(named(*(f"a-{at}" for at in range(3000))), id="batches"),
    ],
)
def test_a_segment_that_no_operator_wrote_is_left_out(written: list[Batch]) -> None:
    """Who may write ConfigMaps of his namespace must not bring down the operator of all."""
    with pytest.raises(segments.Corrupt, match="more than any operator wrote"):
        segments.unpacked(pack(written))
