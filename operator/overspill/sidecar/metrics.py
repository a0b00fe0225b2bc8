"""Counters of one sidecar, cheap to count and rendered only when scraped.

Every series exists from the start at 0, so that Prometheus sees the first increase too.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from overspill.telemetry import names

BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Cell:
    """One series: a number."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """Counts below each bound, and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.total += seconds


def _labels(pairs: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs)


class Metrics:
    """All series of one policy's sidecar."""

    def __init__(self, policy: str) -> None:
        self._policy = (names.POLICY, policy)
        self._cells: dict[str, dict[tuple[tuple[str, str], ...], Cell]] = {}
        self._histograms: dict[str, dict[tuple[tuple[str, str], ...], Histogram]] = {}

    def cell(self, name: str, **labels: str) -> Cell:
        """Return the series, made at 0 where it is new."""
        family = self._cells.setdefault(name, {})
        key = (self._policy, *labels.items())
        found = family.get(key)
        if found is None:
            found = family[key] = Cell()
        return found

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return the histogram, made empty where it is new."""
        family = self._histograms.setdefault(name, {})
        key = (self._policy, *labels.items())
        found = family.get(key)
        if found is None:
            found = family[key] = Histogram()
        return found

    def render(self) -> bytes:
        """Return the exposition text, format 0.0.4."""
        lines: list[str] = []
        for name, cells in self._cells.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines.append(f"# TYPE {name} {kind}")
            lines += [f"{name}{{{_labels(key)}}} {cell.value!r}" for key, cell in cells.items()]
        for name, histograms in self._histograms.items():
            lines.append(f"# TYPE {name} histogram")
            for key, histogram in histograms.items():
                lines += _histogram_lines(name, _labels(key), histogram)
        return ("\n".join(lines) + "\n").encode()


def _histogram_lines(name: str, labels: str, histogram: Histogram) -> list[str]:
    lines, running = [], 0
    for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), histogram.counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {running}')
    lines.append(f"{name}_sum{{{labels}}} {histogram.total!r}")
    lines.append(f"{name}_count{{{labels}}} {running}")
    return lines
