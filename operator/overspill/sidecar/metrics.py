"""Counters of one sidecar, cheap to count and rendered only when scraped.

Every series exists from the start at 0, so that Prometheus sees the first increase too.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from overspill.telemetry import names

_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
Labels = tuple[tuple[str, str], ...]


class Cell:
    """One series: a number."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """Counts below each bound, and the sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def _labels(pairs: Labels) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs)


class Metrics:
    """All series of one policy's sidecar."""

    def __init__(self, policy: str) -> None:
        self._policy = (names.POLICY, policy)
        self._cells: dict[str, dict[Labels, Cell]] = {}
        self._histograms: dict[str, dict[Labels, Histogram]] = {}

    def cell(self, name: str, **labels: str) -> Cell:
        """Return the series, made at 0 where it is new."""
        family = self._cells.setdefault(name, {})
        key = (self._policy, *labels.items())
        found = family.get(key)
        if found is None:
            found = family[key] = Cell()
        return found

    def end(self, *gauges: str) -> None:
        """End all series of these gauges: what is still so is set anew."""
        for name in gauges:
            self._cells.pop(name, None)

    def histogram(self, name: str, **labels: str) -> Histogram:
        """Return the histogram, made empty where it is new."""
        family = self._histograms.setdefault(name, {})
        key = (self._policy, *labels.items())
        found = family.get(key)
        if found is None:
            found = family[key] = Histogram(names.BUCKETS[name])
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
    bounds = (*map(str, histogram.bounds), "+Inf")
    for bound, count in zip(bounds, histogram.counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {running}')
    lines.append(f"{name}_sum{{{labels}}} {histogram.total!r}")
    lines.append(f"{name}_count{{{labels}}} {running}")
    return lines
