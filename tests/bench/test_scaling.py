"""The scaling benchmark: its cells, its prices, its verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench import hosted, report, scaling, scaling_aims, scaling_elsewhere, scaling_tables
from overspill.simulate.trace import Trace

if TYPE_CHECKING:
    from pathlib import Path

CELL = scaling.Cell(trace="a.csv", size=4, ratio=5, startup_s=180)


def cell(trace: str, ratio: int, **costs: float) -> dict[str, Any]:
    usd = {name.replace("_", "-"): cost for name, cost in costs.items()}
    ratios = {rule: cost / usd["optimal"] for rule, cost in usd.items()}
    named = {"trace": trace, "ratio": ratio, "size": 4, "startup_s": 60}
    return named | {"cost_usd": usd, "ratio_to_optimal": ratios}


CELLS = [
    cell("a", 2, overspill=11, keda_tuned=12, optimal=10),
    cell("b", 2, overspill=22, keda_tuned=20, optimal=20),
    cell("a", 5, overspill=12, keda_tuned=12, optimal=10),
]


def test_a_cell_is_priced_in_rents_of_a_full_replica() -> None:
    trace = Trace(
        step_s=10, input_tokens=np.array([0.0, 10_000]), output_tokens=np.array([1000.0, 0])
    )
    load = scaling.load_of(trace, CELL)
    assert load.mean_replicas == pytest.approx(4)
    assert load.most_useful == load.economics.max_replicas == 4
    full_usd = load.usd_per_token * load.replica_tokens
    assert full_usd / load.rent_usd == pytest.approx([5, 5])


def test_every_trace_meets_every_price(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv.gz", "README.md"):
        (tmp_path / name).touch()
    found = scaling.cells(tmp_path, short=False)
    assert len(set(found)) == len(found) == 2 * 2 * 4 * 3
    assert {one.trace for one in found} == {"a.csv.gz", "b.csv"}
    assert len(scaling.cells(tmp_path, short=True)) == 2


def test_without_traces_the_remedy_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scaling.main(["--traces", str(tmp_path)]) == 2
    assert "--traces FOLDER" in capsys.readouterr().err


def test_a_cell_measures_the_rules_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"{10 * n},{100 * (n % 7)},{50 * n}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("bin_start_s,input_tokens,output_tokens\n" + rows)
    found = scaling.measure(tmp_path, CELL, ["static", "overspill", "optimal"])
    assert {"trace", "size", "ratio", "startup_s", "seconds"} <= {*found}
    assert {*found["cost_usd"]} == {"overspill", "static", "optimal"}
    assert min(found["ratio_to_optimal"].values()) == found["ratio_to_optimal"]["optimal"] == 1


def test_tuned_keda_is_the_cheapest_of_all_settings(tmp_path: Path) -> None:
    rows = "".join(f"{10 * n},{100 * (n % 7)},{50 * n}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("bin_start_s,input_tokens,output_tokens\n" + rows)
    found = scaling.measure(tmp_path, CELL, ["keda", "keda-tuned", "optimal"])
    assert len(found["settings_usd"]) == 256
    assert found["cost_usd"]["keda-tuned"] == min(found["settings_usd"])
    assert found["cost_usd"]["keda-tuned"] <= found["cost_usd"]["keda"]


def test_a_setting_tuned_elsewhere_is_the_best_of_the_other_traces() -> None:
    costs = {"a": [10, 20, 30], "b": [45, 44, 20], "c": [14, 13, 30]}
    cells = [
        cell(trace, 2, keda_tuned=min(usd), optimal=10) | {"settings_usd": usd}
        for trace, usd in costs.items()
    ]
    found = scaling_elsewhere.tuned_elsewhere(cells)
    # Of a the third is best on b and c together, of b the first on a and c, of c the third.
    assert [one["cost_usd"]["keda-tuned-elsewhere"] for one in found] == [30, 45, 30]
    assert [one["ratio_to_optimal"]["keda-tuned-elsewhere"] for one in found] == [3, 4.5, 3]
    assert not any("settings_usd" in one for one in found)


def test_what_no_other_trace_was_played_at_is_tuned_nowhere_else() -> None:
    alone = cell("a", 2, keda_tuned=10, optimal=10) | {"settings_usd": [10, 20]}
    other_price = cell("b", 5, keda_tuned=10, optimal=10) | {"settings_usd": [20, 10]}
    found = scaling_elsewhere.tuned_elsewhere([alone, other_price])
    assert [{*one["cost_usd"]} for one in found] == [{"keda-tuned", "optimal"}] * 2


def test_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{10 * n},0,{50 * n}\n" for n in range(60))
    (tmp_path / "a.csv").write_text("bin_start_s,input_tokens,output_tokens\n" + rows)
    out = tmp_path / "build" / "bench"
    monkeypatch.setattr(report, "OUT", out)
    asked = ["--traces", str(tmp_path), "--short", "--jobs", "1", "--rules", "overspill", "static"]
    assert scaling.main(asked) == 0
    assert (out / "scaling.json").exists()
    assert (out / "scaling.md").read_text().startswith("| frontier ÷ small price | overspill |")
    assert scaling.main([*asked[:-2], "static", "--strict"]) == 1  # no aim could be judged


def test_verdicts_name_the_cells_that_were_lost() -> None:
    assert scaling_tables.judge(CELLS) == [
        {
            "rival": "keda-tuned",
            "won": 2,
            "lost": [{"trace": "b", "size": 4, "ratio": 2, "startup_s": 60}],
        }
    ]
    assert scaling_tables.lines(scaling_tables.judge(CELLS)) == [
        "overspill ≤ keda-tuned in 2 of 3 cells"
    ]


def test_rows_are_means_by_trace_and_price() -> None:
    assert scaling_tables.rows(CELLS) == [
        ["trace", "price", "overspill", "keda-tuned", "≤ keda-tuned"],
        ["a", "2×", "1.100", "1.200", "1/1"],
        ["a", "5×", "1.200", "1.200", "1/1"],
        ["b", "2×", "1.100", "1.000", "0/1"],
        ["all", "2×", "1.100", "1.095", "1/2"],
        ["all", "5×", "1.200", "1.200", "1/1"],
    ]


def test_markdown_gives_span_and_mean() -> None:
    assert scaling_tables.markdown(CELLS).splitlines() == [
        "| frontier ÷ small price | overspill | keda-tuned | ≤ keda-tuned |",
        "| --- | --- | --- | --- |",
        "| 2× | 1.10–1.10, 1.100 | 1.00–1.20, 1.095 | 1/2 |",
        "| 5× | 1.20–1.20, 1.200 | 1.20–1.20, 1.200 | 1/1 |",
    ]


def aimed(ratio: int, ours: float, keda: float) -> dict[str, Any]:
    costs = {"overspill": ours, "hpa": 9.0, "keda": keda, "kpa": 9.0, "optimal": 1.0}
    return cell("a", ratio, **costs) | {"startup_s": 180}


def test_aims_are_reached_or_missed_on_the_mean() -> None:
    found = [aimed(2, 1.0, 1.2), aimed(2, 1.3, 2.0), aimed(75, 1.4, 2.0)]
    by_name = {one["aim"]: one for one in scaling_aims.reached(found)}
    assert [one["passed"] for one in by_name.values()] == [True, False, True]
    first, second, third = by_name.values()
    assert first["measured"] == pytest.approx(3.7 / 5.2)
    assert second["measured"] == pytest.approx(1.15)
    assert "75×" in third["aim"]
    assert scaling_aims.lines([second])[0].startswith("MISSED")


def test_no_aim_is_judged_without_its_rules() -> None:
    assert scaling_aims.reached([cell("a", 2, keda=1, optimal=1)]) == []
    names = [one["aim"] for one in scaling_aims.reached([aimed(2, 1.0, 1.2)])]
    assert len(names) == 2


def test_a_host_is_paid_for_input_and_output_alike() -> None:
    trace = Trace(
        step_s=10, input_tokens=np.array([0.0, 10_000]), output_tokens=np.array([1000.0, 0])
    )
    gpu = hosted.Gpu(
        name="one", usd_per_hour=3.6, tokens_per_s=50.0, input_weight=0.1, source="a guess"
    )
    load = hosted.load_of(trace, gpu)
    assert load.work_tokens == pytest.approx([1000, 1000])
    assert load.frontier_usd == pytest.approx([1e-4, 1e-3])
    found = hosted.measure("a", trace, gpu)
    assert found["cost_usd"]["frontier"] == pytest.approx(1.1e-3)
    assert hosted.rows([found])[1][:2] == ["a", "one"]
