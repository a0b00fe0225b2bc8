"""`overspill simulate`, as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.cli import main
from overspill.simulate import command
from overspill.simulate.contest import PLAYS
from overspill.simulate.latency import EXTERNAL_TTFT_S
from overspill.simulate.prometheus import Found
from tests.api.policies import policy
from tests.simulate.loads import load
from tests.simulate.test_load import HOST

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "e2e" / "data" / "azure-2023-conv.csv.gz"
KEYS = [
    "rule",
    "gpu_cost",
    "frontier_cost",
    "total_cost",
    "ratio_to_optimal",
    "spilled_share",
    "starts",
    "stops",
    "peak_replicas",
]

TIMES = ["ttft_p50_s", "ttft_p99_s", "queue_wait_p99_s", "duration_p99_s"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    whole = {"metadata": {"name": "contracts", "namespace": "legal"}, "spec": policy()}
    path.write_text(yaml.safe_dump(whole))
    return path


def simulate(file: Path, *more: str, trace: Path = TRACE) -> int:
    return main(["simulate", "--policy", str(file), "--trace", str(trace), *more])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    told = capsys.readouterr()
    assert told.err == ""
    found: dict[str, Any] = json.loads(told.out)
    return found


def test_json_says_what_was_simulated_and_what_each_rule_cost(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(file, "--json") == 0
    found = result(capsys)
    rules = found.pop("rules")
    assert found.pop("mean_replicas_of_work") == pytest.approx(0.7208, abs=1e-4)
    assert found == {
        "trace": "azure-2023-conv.csv.gz",
        "policy": "contracts",
        "steps": 351,
        "duration_s": 3510.0,
    }
    assert [*rules[0]] == KEYS
    assert [row["rule"] for row in rules] == [rule for rule in PLAYS if rule != "hosted"]
    optimal = next(row for row in rules if row["rule"] == "optimal")
    for row in rules:
        assert row["total_cost"] == pytest.approx(row["gpu_cost"] + row["frontier_cost"])
        assert row["ratio_to_optimal"] == pytest.approx(row["total_cost"] / optimal["total_cost"])
        assert row["ratio_to_optimal"] >= 1


def test_baselines_are_chosen_and_still_held_against_the_optimum(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(file, "--json", "--baseline", "static") == 0
    rules = result(capsys)["rules"]
    assert [row["rule"] for row in rules] == ["overspill", "static"]
    assert all(row["ratio_to_optimal"] > 1 for row in rules)


def test_ours_alone_is_a_choice_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(file, "--json", "--baseline", "overspill") == 0
    assert [row["rule"] for row in result(capsys)["rules"]] == ["overspill"]


def test_names_are_told_as_they_are(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, picture = tmp_path / "a[red]$x_{$:smile:\udcff.csv", tmp_path / "out.png"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,10,10\n")
    assert simulate(file, "--baseline", "static", "--plot", str(picture), trace=trace) == 0
    told = capsys.readouterr().out
    assert told.startswith("a[red]$x_{$:smile:?.csv, 10 seconds, under policy contracts")
    assert " <0.01 " in told  # little is not nothing
    assert picture.exists()


def test_a_host_is_a_rule_of_its_own_and_scales_to_zero_what_it_undercuts(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap = HOST | {"price": {"inputPerMTok": "0.02", "outputPerMTok": "0.20"}}
    file.write_text(yaml.safe_dump(policy(hosted=[cheap])))
    assert simulate(file, "--json") == 0
    rules = {row["rule"]: row for row in result(capsys)["rules"]}
    assert rules["hosted"]["total_cost"] < rules["frontier"]["total_cost"]
    assert rules["optimal"]["total_cost"] == pytest.approx(rules["hosted"]["total_cost"])
    assert rules["overspill"]["peak_replicas"] == 0


def test_single_requests_say_how_long_they_took_too(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(file, "--requests", "--json", "--baseline", "static", "frontier") == 0
    found = result(capsys)
    assert (found["mode"], found["steps"]) == ("requests", 351)
    rules = {row["rule"]: row for row in found["rules"]}
    assert [*rules["overspill"]] == [*KEYS, *TIMES]
    ours = rules["overspill"]
    assert 0 < ours["ttft_p50_s"] < 0.1 < ours["ttft_p99_s"] <= ours["duration_p99_s"]
    assert ours["queue_wait_p99_s"] == 0  # the policy lets nobody wait
    assert rules["frontier"]["ttft_p50_s"] == EXTERNAL_TTFT_S


def test_the_table_of_single_requests_fits_a_terminal(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(file, "--requests", "--baseline", "static") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines[1:])) <= 80
    assert "what is spilled begins after 1 s and comes at 80 tokens/s" in lines[-1]


def test_the_table_has_the_cheapest_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(file) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out.startswith(
        "azure-2023-conv.csv.gz, 1.0 hours, under policy contracts: "
        "demand fills 0.7 replicas on average\n"
    )
    lines = [line.rstrip() for line in told.out.splitlines() if line.strip()]
    assert lines[3].split()[0] == "optimal"
    assert lines[-1].split()[0] == "frontier"
    assert max(map(len, lines[1:])) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--baseline", "hosted"], "add spec.hosted, or leave hosted out",
                     id="no host"),
        pytest.param(["--requests", "--plot", "x.png"], "the picture is of the flow",
                     id="no picture of requests"),
        pytest.param(["--trace", "gone.csv"], "gone.csv: No such file or directory; name a file",
                     id="no file"),
        pytest.param(["--trace", __file__], "line 1: has no column", id="no trace"),
        pytest.param(["--plot", "/gone/x.png"], "--plot /gone/x.png: there is no folder /gone",
                     id="nowhere to draw"),
        pytest.param(["--policy", __file__], "is not one YAML document", id="no policy"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert simulate(file, *arguments) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("overspill simulate: ")
    assert said in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--baseline", "magic"], "invalid choice: 'magic'", id="unknown rule"),
        pytest.param(["--since", "2 weeks"], "write 14d, 36h or 90m", id="no duration"),
        pytest.param(["--since", "0d"], "write 14d, 36h or 90m", id="no time at all"),
        pytest.param(["--since", "401d"], "write 400d at most", id="longer than any memory"),
        pytest.param(["--prometheus", "http://x"], "not allowed with argument", id="two sources"),
    ],
)
def test_what_is_no_command_line_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        simulate(file, *arguments)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("14d", 1_209_600), ("36h", 129_600), ("90m", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert command.duration_s(text) == seconds


def test_a_trace_without_work_costs_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "idle.csv"
    trace.write_text("bin_start_s,input_tokens,output_tokens\n0,0,0\n")
    assert simulate(file, "--json", "--plot", str(tmp_path / "idle.png"), trace=trace) == 0
    rows = result(capsys)["rules"]
    costs = {row["rule"]: (row["total_cost"], row["ratio_to_optimal"]) for row in rows}
    assert costs.pop("hpa") == (pytest.approx(2.49 / 360), None)  # it keeps one replica
    assert set(costs.values()) == {(0.0, None)}


def test_where_nobody_asked_nobody_took_any_time(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "idle.csv"
    trace.write_text("bin_start_s,requests,input_tokens,output_tokens\n0,0,0,0\n")
    assert simulate(file, "--requests", trace=trace) == 0
    capsys.readouterr()
    assert simulate(file, "--requests", "--json", trace=trace) == 0
    for row in result(capsys)["rules"]:
        assert [row[name] for name in TIMES] == [None] * 4


def test_only_a_terminal_is_shown_how_it_goes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert simulate(file, "--json", "--baseline", "static") == 0
    result(capsys)


def test_prometheus_remembers_no_requests(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--policy", str(file), "--requests", "--prometheus", "http://x"]
    assert main(["simulate", *asked]) == 2
    assert "remembers no single requests; give --trace" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_password_in_the_address_is_shown_to_nobody(
    file: Path,
    more: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "ask_load", lambda *_: Found(load=load([1]), missing_share=0.0))
    asked = ["--policy", str(file), "--prometheus", "http://me:secret@metrics:9090", *more]
    assert main(["simulate", *asked]) == 0
    told = capsys.readouterr().out
    assert "http://metrics:9090" in told
    assert "secret" not in told


def test_a_picture_is_drawn(file: Path, tmp_path: Path) -> None:
    assert simulate(file, "--plot", str(tmp_path / "out.png")) == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_remedy_is_said_before_any_work(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert simulate(file, "--plot", "out.png", trace=Path("gone.csv")) == 2
    assert "pip install 'overspill[plot]'" in capsys.readouterr().err


def loads(module: str, unwanted: str) -> bool:
    code = f"import sys, {module}; print('{unwanted}' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ran.stdout.strip() == "True"


def test_a_sidecar_stays_small() -> None:
    assert not loads("overspill.sidecar.command", "numpy")
    assert not loads("overspill.simulate.command", "matplotlib")
