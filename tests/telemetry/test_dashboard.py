"""The dashboard asks for what exists, and every panel can be read."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from overspill.telemetry import dashboard, names
from overspill.telemetry.panel import Line, Panel, Row, Unit
from tests.telemetry.expressions import selected, strange_in, told_apart_by

MADE = dashboard.dashboard()
PANELS = [panel for panel in MADE["panels"] if panel["type"] != "row"]
EACH = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
COUNTERS = {name for name in names.LABELS if name.endswith("_total")}


def _panel(title: str, width: int, height: int = 8) -> Panel:
    line = Line("overspill_queued", "waiting")
    return Panel(
        title=title, description="", unit=Unit.COUNT, lines=(line,), width=width, height=height
    )


@EACH
def test_a_panel_asks_for_metrics_and_labels_that_exist(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert selected(target["expr"])
        assert strange_in(target["expr"]) == []


@EACH
def test_a_panel_has_a_unit_a_description_and_legends_of_labels_it_gets(
    panel: dict[str, Any],
) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["description"].endswith(".")
    for target in panel["targets"]:
        assert target["legendFormat"]
        used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert used == told_apart_by(target["expr"])


@EACH
def test_counters_are_only_asked_for_by_how_fast_they_grow(panel: dict[str, Any]) -> None:
    drawn = panel["type"] == "timeseries"
    window = "$__rate_interval" if drawn else "$__range"
    for target in panel["targets"]:
        assert (target["range"], target["instant"]) == (drawn, not drawn)
        bare = re.sub(
            r"(rate|increase)\([^\[]*\[" + re.escape(window) + r"\]\)", "", target["expr"]
        )
        assert not COUNTERS & {one.series for one in selected(bare)}
        assert not [one for one in selected(bare) if one.series.endswith(("_bucket", "_count"))]


@EACH
def test_a_share_of_nothing_is_not_drawn(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for divisor in re.findall(r" / (?:on \(\) group_left \(\) )?(.)", target["expr"]):
            assert divisor == "("
        assert target["expr"].count(" / ") <= target["expr"].count(" > 0)")


@EACH
def test_what_is_of_a_policy_is_of_those_chosen(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for one in selected(target["expr"]):
            metric = re.sub(r"_(bucket|count)$", "", one.series)
            assert ("policy" in one.labels) == ("policy" in names.LABELS[metric])


def test_no_two_panels_are_at_the_same_place_and_none_leaves_the_grid() -> None:
    places = [one["gridPos"] for one in MADE["panels"]]
    cells = [
        (x, y)
        for at in places
        for x, y in itertools.product(
            range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(24))
    assert len(cells) == 24 * (1 + max(y for _, y in cells))


def test_ids_and_titles_are_unique() -> None:
    for key in ("id", "title"):
        found = [one[key] for one in MADE["panels"]]
        assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        pytest.param((_panel("a", 12),), "ends at 12", id="a gap at the end"),
        pytest.param((_panel("a", 16), _panel("b", 16)), "b does not fit", id="too wide"),
        pytest.param((_panel("a", 12), _panel("b", 12, 4)), "b does not fit", id="too low"),
    ],
)
def test_a_row_that_does_not_fill_its_lines_is_refused(
    panels: tuple[Panel, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dashboard.placed((Row(title="r", panels=panels),))


def test_the_text_is_the_same_twice_and_is_json() -> None:
    assert dashboard.render() == dashboard.render()
    assert json.loads(dashboard.render()) == MADE


def test_every_datasource_is_the_chosen_one() -> None:
    text = dashboard.render()
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {dashboard.UID, "${datasource}"}
    source, policy = MADE["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert policy["query"]["query"] == "label_values(overspill_config_generation, policy)"
    assert (policy["multi"], policy["includeAll"]) == (True, True)


def test_variables_are_those_that_there_are() -> None:
    used = set(re.findall(r"\$\{?(\w+)", dashboard.render()))
    assert used == {"datasource", "policy", "__rate_interval", "__range", "__all"}
