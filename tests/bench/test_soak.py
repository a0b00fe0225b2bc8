from __future__ import annotations

import pytest

from bench.soak import _rows, fit


def test_a_leak_shows_as_the_slope_in_mib_an_hour() -> None:
    line = fit([(second, 50.0 + 36.0 * second / 3600) for second in range(60)])
    assert line.slope_mib_per_h == pytest.approx(36.0)
    assert line.error_mib_per_h == pytest.approx(0.0, abs=1e-6)
    assert line.at(0.5) == pytest.approx(68.0)


def test_noise_shows_as_the_error_of_the_slope() -> None:
    line = fit([(second, 50.0 + (1 if second % 2 else -1)) for second in range(60)])
    assert abs(line.slope_mib_per_h) < 2 * line.error_mib_per_h


def test_a_soak_without_an_answer_is_told_all_the_same() -> None:
    load = {"requests": 0, "rps": 0.0, "left": 0, "errors": 9, "p50_ms": None, "p99_ms": None}
    line = {"start_mib": 50.0, "slope_mib_per_h": 0.0, "error_mib_per_h": 0.0}
    held = {"open_files": 9, "in_flight": 0.0}
    rows = _rows({"load": load, "line": line, "start": held, "end": held})
    assert ["p50, p99", "–, –"] in rows


def test_too_few_samples_make_no_line() -> None:
    with pytest.raises(ValueError, match="let it run for longer"):
        fit([(0.0, 50.0), (1.0, 50.0), (2.0, 50.0)])
