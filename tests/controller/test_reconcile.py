"""One look at a policy, told as stories over a cluster in memory."""

from __future__ import annotations

import json
from datetime import UTC
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from overspill.api import parse_sidecar_config
from overspill.api.policy import BudgetPeriod
from overspill.budget.account import KEPT_S, opened
from overspill.budget.ledger import Ledger
from overspill.budget.period import period_at
from overspill.controller.cluster import Scale
from overspill.controller.errors import Missing, Unavailable
from overspill.controller.keys import PAUSED_ANNOTATION
from overspill.controller.ledgers import manifest_of
from overspill.controller.plans import Segment
from overspill.controller.snapshot import Snapshot
from overspill.trials.record import pack
from tests.controller.fakes import KEY, Stage, pod, resource
from tests.trials.batches import batch, trial

if TYPE_CHECKING:
    from overspill.api import SidecarConfig
    from overspill.controller.keys import Manifest

pytestmark = pytest.mark.asyncio

CONFIG_MAP = "overspill-contracts"
NO_TARGET = Missing("TargetNotFound", "Deployment glm-small does not exist")


def config(stage: Stage) -> SidecarConfig:
    text = stage.cluster.config_maps[CONFIG_MAP]["data"]["policy.json"]
    return parse_sidecar_config(text)


async def test_the_configuration_is_published_before_the_scale_is_written() -> None:
    stage = Stage()
    stage.observe(work=6000.0, usd=0.01)
    await stage.look()
    assert stage.cluster.writes == ["config", "stamp a", "status"]
    await stage.look(after_s=15.0)
    assert stage.cluster.writes[3:] == ["scale 3", "status"]
    assert "ScaledUp" in stage.cluster.reasons()


async def test_a_policy_in_force_says_so_in_one_line() -> None:
    stage = Stage()
    await stage.look()
    status = stage.cluster.status()
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(
        ["Ready", "SidecarsCurrent", "MetricsAvailable", "ScalingActive", "BudgetAvailable"], "True"
    )
    assert (status["state"], status["frontierShare"]) == ("Ready", "18%")
    assert (status["replicas"]["display"], status["spend"]["display"]) == ("1/1", "3.10/500")


async def test_a_look_that_finds_nothing_new_writes_nothing() -> None:
    stage = Stage()
    await stage.look()
    written = len(stage.cluster.writes)
    await stage.look()
    await stage.look()
    assert stage.cluster.writes[written:] == []


async def test_the_sidecar_configuration_is_the_policy_and_what_was_seen() -> None:
    stage = Stage()
    stage.cluster.pods_injected = {"a": pod("a"), "b": pod("b"), "c": pod("c", running=False)}
    await stage.look()
    published = config(stage)
    assert published.policy == "legal/contracts"
    assert published.small.endpoints == ("10.0.0.1:8080",)
    assert published.small.slots_per_endpoint == 16  # 32 shared by two running sidecars
    assert published.frontier[0].credential_file == "credentials/opus"
    owner = stage.cluster.config_maps[CONFIG_MAP]["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["blockOwnerDeletion"]) == ("u1", False)


async def test_only_pods_with_another_revision_are_stamped() -> None:
    stage = Stage()
    await stage.look()
    stage.cluster.pods_injected["b"] = pod("b", running=False)
    await stage.look()
    assert stage.cluster.writes.count("stamp a") == 1
    assert stage.cluster.writes.count("stamp b") == 1


async def test_observe_decides_everything_and_writes_no_scale() -> None:
    stage = Stage()
    stage.cluster.edit(mode="Observe")
    stage.observe(work=6000.0, usd=0.01, generation={str(KEY): 2.0})
    await stage.look()
    await stage.look(after_s=15.0)
    assert stage.cluster.status()["lastDecision"]["desired"] == 3
    assert stage.cluster.status()["replicas"]["display"] == "1/1"
    assert stage.cluster.condition("ScalingActive")["reason"] == "Observe"
    assert stage.cluster.status()["state"] == "Observing"
    assert "WouldHaveScaledUp" in stage.cluster.reasons()
    assert [w for w in stage.cluster.writes if w.startswith("scale")] == []
    assert config(stage).mode == "Observe"


async def test_a_paused_policy_is_left_alone_and_still_published() -> None:
    stage = Stage()
    stage.cluster.policies[KEY]["metadata"]["annotations"] = {PAUSED_ANNOTATION: "true"}
    stage.observe(work=0.0, usd=0.0)
    for _ in range(100):
        await stage.look(after_s=15.0)
        stage.observe(work=0.0, usd=0.0)
    assert [w for w in stage.cluster.writes if w.startswith("scale")] == []
    assert stage.cluster.status()["state"] == "Paused"
    assert CONFIG_MAP in stage.cluster.config_maps


async def test_a_missing_target_is_a_condition_and_the_frontier_is_still_published() -> None:
    stage = Stage()
    stage.cluster.target = NO_TARGET
    stage.cluster.endpoint_slices = []
    await stage.look()
    for kind in ("Ready", "ScalingActive"):
        assert stage.cluster.condition(kind)["reason"] == "TargetNotFound"
    assert stage.cluster.status()["state"] == "Degraded"
    assert stage.cluster.reasons() == ["TargetNotFound"]
    assert config(stage).small.endpoints == ()


async def test_a_missing_target_that_comes_back_is_scaled_from_what_it_has() -> None:
    stage = Stage()
    stage.cluster.target = NO_TARGET
    await stage.look()
    stage.cluster.target = Scale(requested=2, reported=2, selector="")
    await stage.look(after_s=15.0)
    assert stage.cluster.status()["scalingState"]["replicasOn"] == 2
    assert stage.cluster.condition("Ready")["status"] == "True"


async def test_a_missing_right_to_scale_is_a_condition() -> None:
    stage = Stage()
    stage.cluster.write_refusal = Missing("Forbidden", "grant get and patch on that /scale")
    stage.observe(work=6000.0, usd=0.01)
    await stage.look()
    await stage.look(after_s=15.0)
    assert stage.cluster.condition("ScalingActive")["reason"] == "Forbidden"


async def test_a_service_without_that_port_names_the_ports_it_has() -> None:
    stage = Stage()
    stage.cluster.service_ports = [{"name": "http", "port": 80}]
    await stage.look()
    assert stage.cluster.condition("Ready")["reason"] == "ServicePortNotFound"
    assert "it has 80" in stage.cluster.condition("Ready")["message"]


async def test_a_later_bad_edit_keeps_the_last_good_configuration() -> None:
    stage = Stage()
    await stage.look()
    good, scaled = stage.cluster.config_maps[CONFIG_MAP], stage.cluster.status()["replicas"]
    stage.cluster.edit(mode="Observe", budget__timeZone="Mars/Olympus")
    stage.cluster.writes.clear()
    await stage.look(after_s=15.0)
    ready = stage.cluster.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidPolicy")
    assert "spec.budget.timeZone" in ready["message"]
    assert stage.cluster.writes == ["status"]
    assert stage.cluster.config_maps[CONFIG_MAP] is good
    assert stage.cluster.status()["replicas"] == scaled
    assert stage.cluster.status()["state"] == "Invalid"

    stage.cluster.edit(generation=3, mode="Observe")
    await stage.look(after_s=15.0)
    assert stage.cluster.condition("Ready")["status"] == "True"
    assert config(stage).mode == "Observe"


EMPTY = Snapshot(taken_at_s=0.0)
DOWN = Snapshot(taken_at_s=0.0, failure="Prometheus did not answer (ConnectionError)")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        pytest.param(EMPTY, "NoSamples", id="empty"),
        pytest.param(DOWN, "PrometheusUnavailable", id="down"),
    ],
)
async def test_without_samples_replicas_are_held(snapshot: Snapshot, reason: str) -> None:
    stage = Stage()
    stage.cluster.target = Scale(requested=4, reported=4, selector="")
    stage.reconciler.snapshot = snapshot
    for _ in range(200):
        await stage.look(after_s=15.0)
    assert [w for w in stage.cluster.writes if w.startswith("scale")] == []
    assert stage.cluster.condition("MetricsAvailable")["reason"] == reason
    assert stage.cluster.status()["lastDecision"]["reason"] == "DemandUnknown"


async def test_time_in_which_demand_was_not_seen_is_not_credited() -> None:
    stage = Stage()
    stage.observe(work=2600.0, usd=0.01)
    await stage.look()
    await stage.look(after_s=15.0)
    before = stage.reconciler.memories[KEY].scaling
    stage.reconciler.snapshot = DOWN
    for _ in range(100):
        await stage.look(after_s=15.0)
    assert stage.reconciler.memories[KEY].scaling is before


async def test_without_any_sidecar_demand_is_truly_zero() -> None:
    stage = Stage()
    stage.cluster.pods_injected = {}
    stage.reconciler.snapshot = DOWN
    for _ in range(40):
        await stage.look(after_s=15.0)
    assert "scale 0" in stage.cluster.writes
    assert stage.cluster.condition("MetricsAvailable")["reason"] == "NoSidecars"


async def test_a_restart_goes_on_from_the_saved_state() -> None:
    stage = Stage()
    stage.observe(work=6000.0, usd=0.01)
    await stage.look()
    await stage.look(after_s=15.0)
    saved = stage.cluster.status()["scalingState"]
    stage.restart()
    stage.observe(work=6000.0, usd=0.01)
    await stage.look(after_s=600.0)
    memory = stage.reconciler.memories[KEY]
    assert saved["replicasOn"] == 3
    assert memory.scaling is not None
    assert memory.scaling.on == 3
    assert [w for w in stage.cluster.writes if w.startswith("scale")] == ["scale 3"]


async def test_a_state_nobody_can_read_is_dropped_and_told() -> None:
    stage = Stage()
    stage.cluster.policies[KEY]["status"] = {"scalingState": {"version": 9, "replicasOn": 7}}
    await stage.look()
    assert "ScalingStateDropped" in stage.cluster.reasons()
    assert stage.cluster.status()["scalingState"]["replicasOn"] == 1


async def test_a_spent_budget_closes_the_frontier_and_says_until_when() -> None:
    stage = Stage()
    stage.observe(spend=500.0)
    await stage.look()
    budget = config(stage).budget
    assert (budget.open, budget.on_exhausted) == (False, "SmallOnly")
    assert "until 2027-01-16T00:00:00Z" in stage.cluster.condition("BudgetAvailable")["message"]
    assert stage.cluster.status()["state"] == "BudgetExhausted"


async def test_a_budget_that_suspends_scales_to_zero() -> None:
    stage = Stage()
    stage.cluster.edit(budget__onExhausted="Suspend")
    stage.observe(spend=501.0)
    await stage.look()
    assert "scale 0" in stage.cluster.writes
    assert stage.cluster.status()["lastDecision"]["reason"] == "Suspended"


def _on_trial(stage: Stage, saved: float) -> None:
    """The small tier does all there is, which would have cost this many dollars a second."""
    name = str(KEY)
    stage.observe(
        work=2000.0,
        usd=saved,
        overflow_usd_per_s={name: 0.0},
        small_output_tokens_per_s={name: 2000.0},
        small_input_tokens_per_s={name: 0.0},
        small_occupancy={name: 0.5},
        no_room_per_s={name: 0.0},
    )


async def _watched_for_a_window(stage: Stage, saved: float) -> None:
    for _ in range(6):
        _on_trial(stage, saved)
        await stage.look(after_s=15.0)


async def test_a_small_tier_that_saves_too_little_ends_itself_and_says_so() -> None:
    stage = Stage()
    stage.cluster.edit(experiment={"window": "1m", "leastSavedPerUSD": "2"})
    await stage.look()
    assert stage.cluster.condition("PaysOff")["status"] == "Unknown"
    await _watched_for_a_window(stage, saved=1e-6)
    found = stage.cluster.condition("PaysOff")
    assert (found["status"], found["reason"]) == ("False", "ExperimentEnded")
    assert "a dollar; spec.experiment asks for 2" in found["message"]
    assert "ExperimentEnded" in stage.cluster.reasons()
    assert config(stage).small.endpoints == ()  # all goes to the frontier
    assert stage.cluster.status()["lastDecision"]["reason"] == "Suspended"
    assert stage.cluster.writes.count("scale 0") == 1

    stage.restart()
    await _watched_for_a_window(stage, saved=9.0)
    assert config(stage).small.endpoints == ()
    assert stage.cluster.condition("PaysOff")["reason"] == "ExperimentEnded"

    stage.cluster.edit(generation=3, experiment={"window": "1m", "leastSavedPerUSD": "0.5"})
    await stage.look(after_s=15.0)
    assert stage.cluster.condition("PaysOff")["status"] == "Unknown"
    assert config(stage).small.endpoints != ()


async def test_one_that_saves_enough_goes_on_and_without_a_trial_nothing_is_said() -> None:
    stage = Stage()
    stage.cluster.edit(experiment={"window": "1m", "leastSavedPerUSD": "2"})
    await _watched_for_a_window(stage, saved=9.0)
    assert stage.cluster.condition("PaysOff")["reason"] == "SavesEnough"
    assert stage.cluster.status()["experiment"]["last"]["savedUSD"] != "0.00"
    stage.cluster.edit(generation=3)
    await stage.look(after_s=15.0)
    assert stage.cluster.condition("PaysOff") == {}
    assert "experiment" not in stage.cluster.status()


async def test_what_is_only_observed_is_not_on_trial() -> None:
    stage = Stage()
    stage.cluster.edit(mode="Observe", experiment={"window": "1m"})
    await _watched_for_a_window(stage, saved=1e-6)
    assert stage.cluster.status()["experiment"]["window"]["watchedSeconds"] == 0


async def test_an_exhausted_budget_stays_so_over_a_restart_without_prometheus() -> None:
    stage = Stage()
    stage.observe(spend=500.0)
    await stage.look()
    stage.restart()
    stage.reconciler.snapshot = DOWN
    await stage.look(after_s=60.0)
    assert config(stage).budget.open is False


async def test_a_deleted_policy_leaves_no_stamp_and_no_series() -> None:
    stage = Stage()
    await stage.look()
    assert b'policy="legal/contracts"' in stage.meters.exposition()
    del stage.cluster.policies[KEY]
    await stage.look()
    assert stage.cluster.writes[-1] == "unstamp a"
    assert b'policy="legal/contracts"' not in stage.meters.exposition()
    assert stage.reconciler.memories == {}


async def test_a_policy_of_the_same_name_starts_without_the_old_ones_memory() -> None:
    stage = Stage()
    stage.observe(work=6000.0, usd=0.01)
    await stage.look()
    await stage.look(after_s=15.0)
    stage.reconciler.tutor.ask(
        KEY, "s", {"t": Segment(version="1", raw=pack([batch(trial())]))}, None
    )
    await stage.reconciler.tutor.work_off()
    stage.cluster.policies[KEY] = json.loads(
        json.dumps(stage.cluster.policies[KEY] | {"status": {}}).replace('"u1"', '"u2"')
    )
    await stage.look()
    assert stage.reconciler.memories[KEY].uid == "u2"
    assert stage.reconciler.tutor.collect(KEY, "s") is None
    owner = stage.cluster.config_maps[CONFIG_MAP]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == "u2"


async def test_app_pods_are_listed_once_a_minute_or_after_an_edit() -> None:
    stage = Stage()
    for _ in range(4):
        await stage.look(after_s=15.0)
    assert stage.cluster.lists == 1
    await stage.look(after_s=15.0)
    assert stage.cluster.lists == 2
    stage.cluster.edit()
    await stage.look(after_s=15.0)
    assert stage.cluster.lists == 3


SCORED = {"complexity": {"frontierShare": "0.2", "score": {"configMapName": "mine"}}}
SCORE = (files("overspill.routing") / "prior.json").read_text()


async def test_a_score_of_ones_own_is_published_with_the_policy() -> None:
    stage = Stage()
    stage.cluster.edit(routing=SCORED)
    stage.cluster.config_maps["mine"] = {"data": {"score.json": SCORE}}
    await stage.look()
    complexity = config(stage).complexity
    assert complexity
    assert (complexity.frontier_share, complexity.score) == (0.2, SCORE)
    assert stage.cluster.condition("Ready")["status"] == "True"


@pytest.mark.parametrize(
    ("mine", "reason", "said"),
    [
        pytest.param(None, "ScoreNotFound", "kubectl create configmap -n legal mine", id="gone"),
        pytest.param({"data": {}}, "ScoreNotFound", "has no key score.json", id="another key"),
        pytest.param(
            {"data": {"score.json": "{}"}}, "ScoreInvalid", "train it anew", id="no score"
        ),
    ],
)
async def test_a_score_that_is_gone_is_told_of_and_the_last_one_stays(
    mine: dict[str, object] | None, reason: str, said: str
) -> None:
    stage = Stage()
    stage.cluster.edit(routing=SCORED)
    maps = stage.cluster.config_maps
    maps |= {"mine": mine} if mine is not None else {}
    await stage.look()
    assert config(stage).complexity is None  # no other score is used in its place
    ready = stage.cluster.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert said in ready["message"]

    maps["mine"] = {"data": {"score.json": SCORE}}
    await stage.look(after_s=15)
    assert stage.cluster.condition("Ready")["status"] == "True"
    maps.pop("mine")
    maps |= {"mine": mine} if mine is not None else {}
    await stage.look(after_s=15)
    complexity = config(stage).complexity
    assert complexity
    assert complexity.score == SCORE


async def test_the_ledger_of_a_deleted_policy_is_swept_once_its_period_is_over() -> None:
    stage = Stage()
    ledger = Ledger(current=opened(period_at(BudgetPeriod.DAY, UTC, stage.clock()), 7))
    kept = manifest_of(KEY, ledger, limit_usd_micros=9, now_s=stage.clock())
    stage.cluster.ledgers[KEY] = kept
    del stage.cluster.policies[KEY]
    await stage.look()
    await stage.look(after_s=ledger.current.period.end_s - stage.clock())
    assert stage.cluster.ledgers == {KEY: kept}  # made again, the policy would go on with it
    await stage.look(after_s=KEPT_S + 1)
    assert stage.cluster.ledgers == {}
    await stage.look(after_s=15)
    assert stage.cluster.writes.count("delete ledger") == 1


async def test_a_deleted_config_map_comes_back() -> None:
    stage = Stage()
    await stage.look()
    stage.cluster.config_maps.clear()
    await stage.look(after_s=300.0)
    assert CONFIG_MAP in stage.cluster.config_maps


async def test_spend_is_asked_for_since_the_start_of_each_distinct_period() -> None:
    stage = Stage()
    await stage.look()
    assert stage.reconciler.period_starts_s() == {stage.clock() - stage.clock() % 86400}


async def test_rent_is_counted_once_though_a_look_fails_and_is_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    await stage.look()

    async def down(manifest: Manifest) -> None:
        raise Unavailable("the API server did not answer")

    with monkeypatch.context() as away:
        away.setattr(stage.cluster, "apply_config_map", down)
        stage.cluster.edit(2)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await stage.look(after_s=1)
    await stage.look(after_s=1)
    told = stage.meters.exposition().decode()
    (rent,) = [line for line in told.splitlines() if line.startswith("overspill_rent_usd_total{")]
    assert float(rent.split()[-1]) == pytest.approx(4 * 2.49 / 3600)


async def test_a_clock_that_is_set_back_stops_no_look_at_pods_and_no_publication() -> None:
    stage = Stage()
    await stage.look()
    seen, published = stage.cluster.lists, stage.cluster.writes.count("config")
    stage.cluster.config_maps.clear()
    stage.clock.now_s -= 3600.0
    await stage.look()
    assert stage.cluster.lists == seen + 1
    assert stage.cluster.writes.count("config") == published + 1


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(None, id="gone"),
        pytest.param(resource(uid="u2"), id="another by that name"),
        pytest.param(resource(2), id="edited"),
    ],
)
async def test_a_watch_that_is_behind_scales_nothing(now: Manifest | None) -> None:
    stage = Stage()
    stage.observe(work=6000.0, usd=0.01)
    await stage.look()
    stage.cluster.policy_stored = lambda _: now
    with pytest.raises(Unavailable, match="has changed"):
        await stage.look(after_s=15.0)
    assert not [word for word in stage.cluster.writes if word.startswith("scale")]


async def test_a_ledger_that_cannot_be_read_is_told_of_for_nothing_is_lent_from_it() -> None:
    stage = Stage()
    stage.cluster.ledgers[KEY] = {"metadata": {"name": "contracts"}, "current": "a lot"}
    await stage.look()
    found = stage.cluster.condition("Ready")
    assert (found["status"], found["reason"]) == ("False", "LedgerUnreadable")
    assert "kubectl delete budgetledger -n legal contracts" in found["message"]


async def test_a_policy_whose_deletion_no_watch_has_told_of_is_forgotten_all_the_same() -> None:
    """kopf lists anew after a 410, and says nothing of what was deleted meanwhile."""
    stage = Stage()
    await stage.look()
    stage.cluster.policy_stored = lambda _: None
    written = len(stage.cluster.writes)
    for _ in range(2):
        await stage.look(after_s=300.0)
    assert set(stage.cluster.writes[written:]) == {"unstamp a"}
    assert b'policy="legal/contracts"' not in stage.meters.exposition()


async def test_a_pod_whose_deletion_no_watch_has_told_of_takes_no_slots_for_ever() -> None:
    stage = Stage()
    stage.cluster.pods_injected = {"a": pod("a"), "b": pod("b")}
    await stage.look()
    shared = config(stage).small.slots_per_endpoint
    stage.cluster.gone_unheard = {"b"}
    await stage.look(after_s=300.0)
    assert config(stage).small.slots_per_endpoint == shared  # that list may have been old
    stage.cluster.writes.clear()
    await stage.look(after_s=300.0)
    assert config(stage).small.slots_per_endpoint == 2 * shared
    assert "stamp b" not in stage.cluster.writes
