"""`overspill telemetry` prints what the package says."""

from __future__ import annotations

import pytest

from overspill.cli import main
from overspill.telemetry import alerts, dashboard


@pytest.mark.parametrize(
    ("what", "text"),
    [
        pytest.param("dashboard", dashboard.render(), id="dashboard"),
        pytest.param("alerts", alerts.render(), id="alerts"),
    ],
)
def test_it_prints_what_was_asked_for(
    what: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["telemetry", what]) == 0
    assert capsys.readouterr().out == text


def test_another_word_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["telemetry", "panels"])
    assert "choose from" in capsys.readouterr().err
