"""The table of labels is what the operator and the sidecar really show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from overspill.controller.keys import PolicyKey
from overspill.controller.meters import Meters
from overspill.telemetry import names
from tests.clock import play
from tests.sidecar import replies
from tests.sidecar.faulty import Script
from tests.sidecar.replies import Wire
from tests.sidecar.scene import ROADS, scene

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    value
    for key, value in vars(names).items()
    if key.isupper() and isinstance(value, str) and key != "POLICY"
}
SMALL = ROADS[0]


def shown(text: str) -> dict[str, set[str]]:
    """Labels of each metric in an exposition."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = labels - {"le"}
    return found


def test_every_metric_has_its_labels_written_down() -> None:
    assert set(names.LABELS) == NAMES
    assert set(names.BUCKETS) <= NAMES


def test_the_operator_shows_the_labels_that_are_written_down() -> None:
    meters = Meters()
    condition = {"type": "Ready", "status": "True", "reason": "Published"}
    status = {
        "replicas": {"desired": 1, "ready": 1},
        "learned": {"startupSeconds": 3, "outputTokensPerSecond": 100},
        "quality": {"estimate": "0.9", "low": "0.8", "floor": "0.7", "trials": 40},
        "conditions": [condition],
    }
    meters.show(PolicyKey("legal", "contracts"), status, None)
    seen = {name: labels for name, labels in shown(meters.exposition().decode()).items() if labels}
    assert {names.CONDITION, names.QUALITY, names.DESIRED_REPLICAS, names.RECONCILES} <= set(seen)
    assert seen == {name: set(names.LABELS[name]) for name in seen}


def test_the_sidecar_shows_the_labels_that_are_written_down(tmp_path: Path) -> None:
    async def story() -> dict[str, set[str]]:
        fails = Script(says=(b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\n{}",))
        good = replies.good_whole(Wire.ANTHROPIC)
        async with scene(tmp_path, SMALL, fails, other=good) as made:
            await made.ask(stream=False)
            await made.in_flight()
            return shown(made.stage.proxy.metrics.render().decode())

    seen = play(story())
    assert {names.REQUESTS, names.UPSTREAM_ERRORS, names.IN_FLIGHT, names.TTFT_SECONDS} <= set(seen)
    for name, labels in seen.items():
        assert labels - {"error_type"} == set(names.LABELS[name]) - {"error_type"}, name
