"""Flags, their variables, and what they turn into."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from overspill.controller import command
from overspill.controller.logs import JsonLines

if TYPE_CHECKING:
    from pathlib import Path

    from overspill.controller.settings import Settings


def parsed(*words: str, **environ: str) -> Settings:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.settings_of(parser.parse_args(words), environ)


def test_the_defaults_need_only_an_image() -> None:
    settings = parsed("--sidecar-image", "overspill:1", POD_NAME="op-0", POD_NAMESPACE="system")
    assert (settings.interval_s, settings.stale_after_s, settings.metrics_window_s) == (15, 30, 60)
    assert settings.sidecar.resources["limits"] == {"memory": "256Mi"}
    assert settings.operator_namespace == "system"
    assert settings.identity.startswith("op-0_")
    assert settings.serves("anywhere")


def test_variables_stand_in_for_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERSPILL_SIDECAR_IMAGE", "overspill:2")
    monkeypatch.setenv("OVERSPILL_INTERVAL", "2.5")
    monkeypatch.setenv("OVERSPILL_LEADER_ELECT", "false")
    monkeypatch.setenv("OVERSPILL_NAMESPACE", "legal,sales")
    settings = parsed("--interval", "3")
    assert (settings.sidecar.image, settings.interval_s) == ("overspill:2", 3.0)
    assert not settings.leader_elect
    assert [settings.serves(n) for n in ("legal", "sales", "other")] == [True, True, False]


def test_an_image_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed()
    assert "--sidecar-image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "remedy"),
    [
        ("--interval", "0", "give seconds, such as 15"),
        ("--interval", "soon", "give seconds, such as 15"),
        ("--stale-after", "nan", "give seconds, such as 15"),
        ("--metrics-window", "1e+06", "give whole seconds, such as 60"),
        ("--http-port", "99999", "give 1 to 65535"),
        ("--log-level", "loud", "give one of DEBUG, INFO, WARNING, ERROR"),
        ("--sidecar-env", "A=b", "is no JSON"),
        ("--sidecar-env", '["A"]', "is no JSON object"),
        ("--sidecar-resources", "1", "is no JSON object"),
    ],
)
def test_a_flag_that_cannot_be_used_is_refused_at_the_start(
    flag: str, value: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--sidecar-image", "x", flag, value)
    said = capsys.readouterr().err
    assert flag in said
    assert remedy in said


def test_two_processes_of_one_pod_are_two_candidates() -> None:
    one, two = (parsed("--sidecar-image", "x", POD_NAME="op-0") for _ in range(2))
    assert one.identity != two.identity


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "%s is\ngone", ("it",), None)
    line = JsonLines().format(record)
    assert "\n" not in line
    assert json.loads(line)["message"] == "it is\ngone"


@pytest.mark.parametrize(
    ("words", "config"),
    [
        pytest.param(("ledger", "contracts"), None, id="ledger, no file"),
        pytest.param(("ledger", "contracts"), "a: [", id="ledger, no YAML"),
        pytest.param(("ledger", "contracts"), "", id="ledger, empty"),
        pytest.param(("operator", "--sidecar-image", "overspill:1"), None, id="operator, no file"),
    ],
)
def test_without_a_cluster_the_error_says_what_to_set(
    words: tuple[str, ...], config: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    if config is not None:
        file.write_text(config)
    environ = {**os.environ, "KUBECONFIG": str(file)}
    environ.pop("KUBERNETES_SERVICE_HOST", None)
    done = subprocess.run(
        [sys.executable, "-m", "overspill", *words], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"overspill {words[0]}: no cluster to ask: " in done.stderr
    assert "set KUBECONFIG to a file with a current-context" in done.stderr
    assert "Traceback" not in done.stderr
