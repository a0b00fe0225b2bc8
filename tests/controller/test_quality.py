"""The promise in a cluster: trials come in, lessons are learned, plans go out."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from overspill.api import parse_sidecar_config
from overspill.controller import segments
from overspill.controller.errors import Refused, Unavailable
from overspill.learning.lesson import TAUGHT_BY
from overspill.learning.promise import FEWEST
from overspill.routing.score import Score
from overspill.trials.lot import Plan, draw
from overspill.trials.record import pack
from tests.controller.fakes import KEY, Stage, resource
from tests.controller.test_lending import MINE, POLICY
from tests.controller.test_trials import FOLDER, TrialApi, keeper
from tests.trials.batches import batch, trial

if TYPE_CHECKING:
    from overspill.api import SidecarConfig
    from overspill.api.sidecar_config import PlanConfig
    from overspill.trials.record import Batch

pytestmark = pytest.mark.asyncio

NAMES = ("Anna", "Ben", "Cleo", "Dora", "Emil", "Fritz", "Greta", "Hans")
FLOOR: dict[str, Any] = {
    "complexity": {"qualityFloor": "0.9"},
    "trials": {"sampleRate": "0.5"},
}
SHARE: dict[str, Any] = {"complexity": {"frontierShare": "0.2"}, "trials": {}}


@dataclass
class Scene:
    """A cluster, one app whose prompts are easy or hard, and a sidecar that tells of trials."""

    routing: dict[str, Any] = field(default_factory=lambda: FLOOR)
    small_on_easy: float = 1.0
    stage: Stage = field(default_factory=Stage)
    api: TrialApi = field(default_factory=TrialApi)
    chance: Random = field(default_factory=lambda: Random(1))
    told: int = 0
    frontier: int = 0
    """Requests that it answered of those of the last batch."""

    def __post_init__(self) -> None:
        self.edit(generation=1)

    def edit(self, generation: int, **changes: object) -> None:
        self.stage.cluster.edit(generation, routing=self.routing, **changes)
        self.api.objects[POLICY] = self.stage.cluster.policies[KEY]

    @property
    def config(self) -> SidecarConfig:
        published = self.stage.cluster.config_maps["overspill-contracts"]
        return parse_sidecar_config(published["data"]["policy.json"])

    @property
    def plan(self) -> PlanConfig:
        assert self.config.complexity is not None
        assert self.config.complexity.plan is not None
        return self.config.complexity.plan

    @property
    def score(self) -> Score | None:
        assert self.config.complexity is not None
        text = self.config.complexity.score
        return None if text is None else Score.load(text)

    @property
    def taught(self) -> bool:
        return self.score is not None and self.score.trained_on == TAUGHT_BY

    @property
    def quality(self) -> dict[str, Any]:
        told: dict[str, Any] = self.stage.cluster.status()["quality"]
        return told

    def traffic(self, requests: int) -> Batch:
        """Route requests by what is published, and tell of them."""
        plan, score = self.plan, self.score
        rates = Plan(limit=0, trial_rate=plan.trial_rate, shadow_rate=plan.shadow_rate)
        trials, alone, self.frontier = [], 0, 0
        for _ in range(requests):
            hard = self.chance.random() < 0.3
            name = self.chance.choice(NAMES)
            prompt = f"Prove that {name} cannot win" if hard else f"Say hello to {name}"
            gain = score.gain(prompt) if score else 0.0
            up = plan.careful or (plan.limit is not None and gain >= plan.limit)
            drawn = draw(rates, gain, up=up, dice=self.chance.random())
            self.frontier += drawn.to_frontier
            alone += not drawn.to_frontier
            small = 0.0 if hard else self.small_on_easy
            if drawn.watched:
                said = {"score": gain, "small": small, "sent": drawn.sent, "seen": drawn.seen}
                trials.append(trial(prompt, **said))
        self.told += 1
        return batch(
            *trials,
            name=f"s-{self.told}",
            ended_s=self.stage.clock(),
            alone=alone,
            at_frontier=self.frontier,
            trial_rate=plan.trial_rate,
            variance=plan.variance,
        )

    async def round(self, requests: int = 100) -> None:
        """Half a minute: traffic is told of, the operator looks, and gives the lessons it wants."""
        await keeper(self.api).keep(KEY, MINE, [self.traffic(requests)])
        self.sync()
        await self.stage.look(after_s=30.0)
        await self.stage.reconciler.tutor.work_off()
        self.stage.observe()
        await self.stage.look(after_s=15.0)

    def sync(self) -> None:
        """Let the operator see what its counter wrote, and the counter what is gone."""
        kept = self.stage.cluster.config_maps
        for path in [path for path in self.api.objects if path.startswith(FOLDER)]:
            name = path.rpartition("/")[2]
            if f"delete {name}" in self.stage.cluster.writes:
                del self.api.objects[path]
            else:
                kept[name] = self.api.objects[path]

    @classmethod
    async def proven(cls) -> Scene:
        """Play until there is a plan."""
        scene = cls()
        await scene.stage.look()
        for _ in range(8):
            await scene.round()
        assert not scene.plan.careful
        return scene


async def test_all_goes_to_the_frontier_until_trials_show_what_need_not() -> None:
    scene = Scene()
    await scene.stage.look()
    assert scene.quality["careful"]
    assert scene.stage.cluster.condition("QualityKept")["reason"] == "TooFewTrials"
    assert scene.stage.cluster.status()["state"] == "Ready"
    await scene.round(requests=40)
    assert scene.quality["careful"]
    assert not scene.taught
    for _ in range(8):
        await scene.round()
    assert scene.plan.limit is not None
    assert scene.plan.trial_rate > 0
    score = scene.score
    assert score is not None
    assert score.trained_on == TAUGHT_BY
    assert score.gain("Say hello to Ben") < scene.plan.limit
    assert score.gain("Prove that Ben cannot win") > 0.5
    scene.traffic(400)
    assert 0.25 * 400 < scene.frontier < 0.7 * 400
    assert scene.stage.cluster.reasons().count("PromiseKept") == 1


async def test_the_status_says_what_is_known_and_what_is_done() -> None:
    scene = await Scene.proven()
    quality = scene.quality
    assert quality["floor"] == "0.9"
    assert 0.9 <= float(quality["low"]) <= float(quality["estimate"]) <= float(quality["high"])
    assert quality["careful"] is False
    assert quality["trials"] >= FEWEST
    assert quality["display"] == f"{quality['estimate']}≥0.9"
    assert float(quality["expectedFrontierShare"]) < 0.7
    kept = scene.stage.cluster.condition("QualityKept")
    assert (kept["status"], kept["reason"]) == ("True", "FloorHeld")
    shown = scene.stage.meters.exposition().decode()
    assert f'overspill_quality_floor_ratio{{policy="{KEY}"}} 0.9' in shown


async def test_a_small_model_that_is_too_weak_gets_nothing() -> None:
    strict = FLOOR | {"complexity": {"qualityFloor": "0.9999"}}
    scene = Scene(routing=strict, small_on_easy=0.0)
    await scene.stage.look()
    for _ in range(6):
        await scene.round()
    assert scene.plan.careful
    assert scene.quality["trials"] > FEWEST
    assert "PromiseKept" not in scene.stage.cluster.reasons()


async def test_a_small_model_that_gets_worse_is_found_out() -> None:
    scene = await Scene.proven()
    scene.small_on_easy = 0.0
    for _ in range(30):
        await scene.round(200)
        if scene.plan.careful:
            break
    assert scene.plan.careful
    assert "PromiseAtRisk" in scene.stage.cluster.reasons()


async def test_a_look_that_brings_nothing_new_reads_and_writes_nothing() -> None:
    scene = await Scene.proven()
    await scene.stage.look(after_s=1.0)
    written = len(scene.stage.cluster.writes)
    scene.stage.observe()
    await scene.stage.look(after_s=31.0)
    assert scene.stage.cluster.writes[written:] == []


async def test_a_clock_that_is_set_back_makes_no_trials_wait() -> None:
    scene = Scene()
    await scene.stage.look()
    await keeper(scene.api).keep(KEY, MINE, [scene.traffic(100)])
    scene.sync()
    await scene.stage.look(after_s=-3600.0)
    assert scene.quality["trials"] > 0


async def test_a_lesson_outlives_looks_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given once: had it been lost, the plan of before would stand until trials had grown."""
    scene = Scene()
    cluster = scene.stage.cluster
    await scene.stage.look()
    await keeper(scene.api).keep(KEY, MINE, [scene.traffic(50), scene.traffic(50)])
    scene.sync()
    await scene.stage.look(after_s=30.0)
    await scene.stage.reconciler.tutor.work_off()

    async def away(*_: object) -> Any:  # noqa: ANN401
        raise Unavailable("the API server is away")

    for name in ("trial_marks", "apply_config_map"):
        with monkeypatch.context() as patched:
            patched.setattr(cluster, name, away)
            with pytest.raises(Unavailable):
                await scene.stage.look(after_s=15.0)
    await scene.stage.look(after_s=15.0)
    assert scene.taught


async def test_where_trials_may_not_be_listed_what_was_planned_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = await Scene.proven()
    plan = scene.plan

    async def forbidden(*_: object) -> Any:  # noqa: ANN401
        raise Refused(403, "configmaps is forbidden")

    with monkeypatch.context() as patched:
        patched.setattr(scene.stage.cluster, "trial_marks", forbidden)
        scene.stage.restart()
        scene.stage.observe()
        await scene.stage.look(after_s=15.0)
        assert scene.plan == plan
    await scene.stage.look(after_s=15.0)
    assert scene.quality["trials"] > FEWEST
    assert not scene.plan.careful


async def test_with_a_floor_all_goes_to_the_frontier_while_its_score_is_missing() -> None:
    named = {"qualityFloor": "0.9", "score": {"configMapName": "mine"}}
    scene = Scene(routing=FLOOR | {"complexity": named})
    await scene.stage.look()
    assert scene.plan.careful
    assert scene.stage.cluster.condition("Ready")["reason"] == "ScoreNotFound"


async def test_a_restart_falls_back_to_nothing_and_learns_again() -> None:
    scene = await Scene.proven()
    plan, score = scene.plan, scene.score
    scene.stage.restart()
    scene.stage.observe()
    await scene.stage.look(after_s=15.0)
    assert (scene.plan, scene.score) == (plan, score)
    assert scene.quality["careful"] is False
    await scene.stage.reconciler.tutor.work_off()
    await scene.stage.look(after_s=15.0)
    assert not scene.plan.careful
    assert scene.taught
    assert "PromiseAtRisk" not in scene.stage.cluster.reasons()


async def test_what_was_drawn_by_the_score_before_is_scored_by_the_one_in_force() -> None:
    """A trial may wait ten minutes at its sidecar, and its score then is of no use any more."""
    scene = await Scene.proven()
    before, score = scene.plan, scene.score
    hard = [f"Prove that {name} cannot win" for name in NAMES] * 50
    late = [trial(one, score=0.0, small=0.0, sent=1.0, seen=1.0) for one in hard]
    told = batch(*late, name="late", ended_s=0.0, alone=0, at_frontier=len(late))
    await keeper(scene.api).keep(KEY, MINE, [told])
    scene.sync()
    await scene.stage.look(after_s=30.0)
    assert not scene.plan.careful
    assert scene.plan != before
    assert score is not None
    assert scene.plan.limit is not None
    assert score.gain("Say hello to Ben") < scene.plan.limit < score.gain(hard[0])


async def test_a_plan_goes_with_its_score() -> None:
    """After an upgrade the score may be one of other features, and limits mean nothing without."""
    scene = await Scene.proven()
    data = scene.stage.cluster.config_maps["overspill-contracts"]["data"]
    told = json.loads(data["policy.json"])
    told["complexity"]["score"] = "{}"
    data["policy.json"] = json.dumps(told)
    scene.stage.restart()
    scene.stage.observe()
    await scene.stage.look(after_s=15.0)
    assert scene.plan.careful


async def test_a_floor_that_was_edited_meanwhile_is_not_held_by_the_old_plan() -> None:
    scene = await Scene.proven()
    scene.routing = FLOOR | {"complexity": {"qualityFloor": "0.99"}}
    scene.edit(generation=2)
    scene.stage.restart()
    scene.stage.observe()
    await scene.stage.look(after_s=15.0)
    assert scene.plan.careful
    assert scene.taught


async def test_another_floor_makes_another_plan_at_once() -> None:
    scene = await Scene.proven()
    before = scene.quality["expectedFrontierShare"]
    scene.routing = FLOOR | {"complexity": {"qualityFloor": "0.6"}}
    scene.edit(generation=2)
    await scene.stage.look(after_s=1.0)
    assert not scene.plan.careful
    assert scene.quality["expectedFrontierShare"] < before


async def test_trials_of_another_small_model_say_nothing_and_go() -> None:
    scene = await Scene.proven()
    scene.edit(generation=2, small__model="qwen")
    await scene.stage.look(after_s=15.0)
    assert scene.plan.careful
    assert not scene.taught
    assert scene.quality["trials"] == 0
    assert "TrialsDropped" in scene.stage.cluster.reasons()
    await scene.round()
    left = [name for name in scene.stage.cluster.config_maps if "trials" in name]
    assert left == ["overspill-contracts-trials-2"]


async def test_a_corrupt_segment_is_left_out() -> None:
    scene = await Scene.proven()
    broken = json.loads(json.dumps(scene.api.segments[0]))
    broken["metadata"] |= {"name": "overspill-contracts-trials-0", "resourceVersion": "x"}
    broken["binaryData"] = {"batches": "bm9uc2Vuc2U="}
    scene.stage.cluster.config_maps["overspill-contracts-trials-0"] = broken
    known = scene.quality["trials"]
    await scene.stage.look(after_s=31.0)
    assert scene.quality["trials"] == known


async def test_of_more_segments_than_are_kept_only_the_newest_are_read() -> None:
    """Who may write ConfigMaps of one namespace fills no memory of the operator of all."""
    scene = await Scene.proven()
    made, many = scene.api.segments[0], segments.SEGMENTS
    for number in range(100, 101 + many):
        raw = pack([batch(trial(), name=f"x-{number}")])
        data = {"batches": base64.b64encode(raw).decode()}
        meta = made["metadata"] | {"name": f"overspill-contracts-trials-{number}"}
        meta["resourceVersion"] = f"v{number}"
        one = made | {"metadata": meta, "binaryData": data}
        scene.stage.cluster.config_maps[meta["name"]] = one
    await scene.stage.look(after_s=31.0)
    assert scene.quality["trials"] == many


async def test_where_trials_are_gone_nothing_is_promised() -> None:
    scene = await Scene.proven()
    del scene.stage.cluster.config_maps["overspill-contracts-trials-1"]
    await scene.stage.look(after_s=31.0)
    assert scene.plan.careful
    assert scene.taught


async def test_what_was_planned_by_trials_that_are_gone_after_a_restart_is_dropped() -> None:
    scene = await Scene.proven()
    del scene.stage.cluster.config_maps["overspill-contracts-trials-1"]
    scene.stage.restart()
    scene.stage.observe()
    await scene.stage.look(after_s=15.0)
    assert scene.plan.careful


async def test_a_share_needs_no_caution_and_learns_as_well() -> None:
    scene = Scene(routing=SHARE)
    await scene.stage.look()
    assert scene.plan.model_dump(exclude_defaults=True) == {"trial_rate": 0.02, "shadow_rate": 0.1}
    for _ in range(12):
        await scene.round()
    assert not scene.plan.careful
    assert "floor" not in scene.quality
    assert scene.stage.cluster.condition("QualityKept") == {}


async def test_a_policy_that_tries_no_more_has_no_quality() -> None:
    scene = await Scene.proven()
    scene.stage.cluster.edit(generation=2)
    await scene.stage.look(after_s=15.0)
    assert "quality" not in scene.stage.cluster.status()
    assert scene.stage.cluster.condition("QualityKept") == {}
    assert scene.config.complexity is None


@pytest.mark.parametrize(
    ("requests", "replicas"),
    [
        pytest.param({"frontier": 2.0}, 1, id="requests come"),
        pytest.param({"frontier": 0.0}, 0, id="none come"),
        pytest.param({}, 0, id="none ever came"),
    ],
)
async def test_a_replica_is_kept_for_trials_while_requests_come(
    requests: dict[str, float], replicas: int
) -> None:
    scene = Scene()
    facts = {"work": 0.0, "usd": 0.0, "requests_per_s": {str(KEY): requests}}
    for _ in range(100):
        scene.stage.observe(**cast("Any", facts))
        await scene.stage.look(after_s=15.0)
    assert scene.stage.cluster.status()["lastDecision"]["desired"] == replicas


async def test_segments_of_another_policy_by_the_same_name_are_not_ours() -> None:
    made = segments.segment(resource(uid="u0"), 1, "s", b"")
    made["metadata"]["resourceVersion"] = "1"
    assert segments.marks_in([made], resource()) == []
