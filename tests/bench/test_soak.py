from __future__ import annotations

import pytest

from bench.soak import fit


def test_a_leak_shows_as_the_slope_in_mib_an_hour() -> None:
    line = fit([(second, 50.0 + 36.0 * second / 3600) for second in range(60)])
    assert line.slope_mib_per_h == pytest.approx(36.0)
    assert line.error_mib_per_h == pytest.approx(0.0, abs=1e-6)
    assert line.at(0.5) == pytest.approx(68.0)


def test_noise_shows_as_the_error_of_the_slope() -> None:
    line = fit([(second, 50.0 + (1 if second % 2 else -1)) for second in range(60)])
    assert abs(line.slope_mib_per_h) < 2 * line.error_mib_per_h


def test_too_few_samples_make_no_line() -> None:
    with pytest.raises(ValueError, match="let it run for longer"):
        fit([(0.0, 50.0), (1.0, 50.0), (2.0, 50.0)])
