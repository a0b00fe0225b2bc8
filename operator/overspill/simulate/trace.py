"""Recorded traffic, read from a file and laid out in equal steps.

Two forms, plain or gzipped, told apart by their first line; more columns may follow:

    bins      bin_start_s,requests,input_tokens,output_tokens    empty bins left out
    requests  arrival_s,input_tokens,output_tokens
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import numpy as np

from overspill.api.errors import OverspillError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from overspill.simulate.load import FloatArray, Series

STEP_S: Final = 10.0
_GZIP: Final = b"\x1f\x8b"
_NO_TEXT: Final = (UnicodeDecodeError, gzip.BadGzipFile, zlib.error, EOFError)
_BIN, _ARRIVAL = "bin_start_s", "arrival_s"
_TOKENS: Final = ("input_tokens", "output_tokens")
_COUNT: Final = "requests"
LONGEST_DAYS: Final = 400
_DAY_S: Final = 86_400.0
_NARROWEST_S: Final = 1.0
_LATEST: Final = 1e11
"""Seconds since 1970 in 5138: what is later was written in milliseconds."""
_MOST: Final = 1e15
"""Of tokens or requests in one row: sums of these stay exact, and nobody is asked for more."""
_ASTRAY: Final = 0.01
"""How far from its place a bin may begin, in bins: times are written with few digits."""


class InvalidTrace(OverspillError):
    """A trace that a person must correct: file, line, value and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Tokens asked for in each of equal steps, from the first row on."""

    step_s: float
    input_tokens: FloatArray
    output_tokens: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """A trace as it is written; arrays have one element a row."""

    path: Path
    line: FloatArray
    start_s: FloatArray
    """When the bin begins, or the request arrives."""
    input_tokens: FloatArray
    output_tokens: FloatArray
    requests: FloatArray | None
    """How many the bin has; None where the file does not say, or rows are requests."""
    binned: bool

    @property
    def since_s(self) -> FloatArray:
        """Times from the first row on."""
        since_s: FloatArray = self.start_s - self.start_s.min()
        return since_s


def read_trace(path: Path) -> Trace:
    """Read a trace in steps of 10 s. Raises: InvalidTrace, OSError."""
    return laid_out(read_rows(path))


def read_rows(path: Path, *, counted: bool = False) -> Rows:
    """Read a trace; `counted`: with the requests of each bin. Raises: InvalidTrace, OSError."""
    try:
        with _opened(path) as file:
            return _read(path, csv.reader(file), counted=counted)
    except (*_NO_TEXT, csv.Error) as error:
        raise InvalidTrace(f"{path}: {error}; give CSV text, plain or gzipped") from None


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open it once: what a pipe has given, it does not give again."""
    with path.open("rb") as raw:
        zipped = raw.peek(len(_GZIP)).startswith(_GZIP)
        content = gzip.GzipFile(fileobj=raw) if zipped else raw
        with io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as text:
            yield text


def _read(path: Path, rows: Iterator[list[str]], *, counted: bool) -> Rows:
    head = [name.strip() for name in next(rows, [])]
    clock = _clock(path, head)
    binned = clock == _BIN
    names = [clock, *_TOKENS, *([_COUNT] if binned and (counted or _COUNT in head) else [])]
    if names[-1] not in head:
        raise InvalidTrace(f"{path}, line 1: has no column {_COUNT}; say how many each bin has")
    if twice := next((name for name in names if head.count(name) > 1), None):
        raise InvalidTrace(f"{path}, line 1: has two columns {twice}; leave one")
    columns = [head.index(name) for name in names]
    table = np.fromiter(_numbers(path, rows, head, columns), np.dtype((np.float64, 1 + len(names))))
    if not len(table):
        raise InvalidTrace(f"{path}: has no rows; give one a bin or one a request")
    line, start_s, inputs, outputs, *more = table.T
    found = Rows(
        path=path,
        line=line,
        start_s=start_s,
        input_tokens=inputs,
        output_tokens=outputs,
        requests=more[0] if more else None,
        binned=binned,
    )
    _refuse_too_long(found)
    return found


def _clock(path: Path, head: list[str]) -> str:
    """Tell the form by the column that has the time."""
    clock = _BIN if _BIN in head else _ARRIVAL
    if lacking := [name for name in (clock, *_TOKENS) if name not in head]:
        raise InvalidTrace(
            f"{path}, line 1: has no column {', '.join(lacking)} (got {','.join(head)!r}); name "
            f"the columns {_BIN},requests,input_tokens,output_tokens (bins) "
            f"or {_ARRIVAL},input_tokens,output_tokens (requests)"
        )
    return clock


def _numbers(
    path: Path, rows: Iterator[list[str]], head: list[str], columns: list[int]
) -> Iterator[tuple[float, ...]]:
    """Yield each row: its line, and what is in the columns."""
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            values = [float(row[column]) for column in columns]
        except (ValueError, IndexError):
            raise _fault(path, line, row, head, columns) from None
        most = values[0] <= _LATEST and max(values[1:]) <= _MOST
        if not (min(values) >= 0 and most and sum(values) < np.inf):  # a sum with NaN is NaN
            raise _fault(path, line, row, head, columns)
        yield line, *values


def _fault(
    path: Path, line: int, row: list[str], head: list[str], columns: list[int]
) -> InvalidTrace:
    """Name the first cell that is wrong; times stand in the first of the columns."""
    most = dict.fromkeys(columns[1:], _MOST)
    wrong = next(
        (one for one in columns if not _is_amount(row[one : one + 1], most.get(one, _LATEST))), 0
    )
    value = repr(row[wrong]) if wrong < len(row) else "missing"
    remedy = (
        f"a number, from 0 to {_MOST:g}"
        if wrong in most
        else f"seconds, a number, from 0 to {_LATEST:g}"
    )
    return InvalidTrace(f"{path}, line {line}: {head[wrong]} is {value}; write {remedy}")


def _is_amount(cell: list[str], most: float) -> bool:
    try:
        return 0 <= float(cell[0]) <= most
    except (ValueError, IndexError):
        return False


def _refuse_too_long(rows: Rows) -> None:
    since_s = rows.since_s
    if since_s.max() > LONGEST_DAYS * _DAY_S:
        raise InvalidTrace(
            f"{rows.path}, line {rows.line[since_s.argmax()]:.0f}: "
            f"{_BIN if rows.binned else _ARRIVAL} is "
            f"{since_s.max() / _DAY_S:,.0f} days after the first; write seconds, "
            f"{LONGEST_DAYS} days of them at most"
        )


def laid_out(rows: Rows) -> Trace:
    """Add up what falls in each step of 10 s. Raises: InvalidTrace."""
    if rows.binned:
        width_s = bin_width_s(rows)
        bins = np.rint(rows.since_s / width_s)
    else:
        width_s, bins = STEP_S, np.floor(rows.since_s / STEP_S)
    tokens = (rows.input_tokens, rows.output_tokens)
    inputs, outputs = (_resampled(bins.astype(np.int64), some, width_s) for some in tokens)
    return Trace(step_s=STEP_S, input_tokens=inputs, output_tokens=outputs)


def bin_width_s(rows: Rows) -> float:
    """Return the width that all gaps are multiples of, as empty bins are left out.

    Raises: InvalidTrace.
    """
    path, line, start_s = rows.path, rows.line, rows.start_s
    if len(start_s) == 1:
        return STEP_S
    gaps_s = np.diff(start_s)
    narrowest_s, row = float(gaps_s.min()), int(gaps_s.argmin()) + 1
    if narrowest_s <= 0:
        raise InvalidTrace(
            f"{path}, line {line[row]:.0f}: {_BIN} is {_exact(start_s[row])} after "
            f"{_exact(start_s[row - 1])}; sort the bins by time, one row each"
        )
    if narrowest_s < _NARROWEST_S:
        raise InvalidTrace(
            f"{path}, line {line[row]:.0f}: a bin of {narrowest_s:g} s; give bins of "
            f"{_NARROWEST_S:g} s or more, or call the column {_ARRIVAL} where rows are requests"
        )
    # Times of few digits: each gap is off by a little, their mean is not.
    width_s = float(gaps_s[gaps_s < 1.5 * narrowest_s].mean())
    places = rows.since_s / width_s
    astray = np.abs(places - np.rint(places)) > _ASTRAY
    if not astray.any():
        return width_s
    if common_s := _common_s(gaps_s):
        return common_s
    row = int(astray.argmax())
    raise InvalidTrace(
        f"{path}, line {line[row]:.0f}: {_BIN} is {_exact(start_s[row])}, between two bins of "
        f"{width_s:g} s; give all bins one width"
    )


def _common_s(gaps_s: FloatArray) -> float:
    """Return the width of bins of which no two neighbours have a row; 0 where it is below a step.

    A width of whole seconds, since of any gaps a small enough one is a divisor.
    """
    if (gaps_s != np.rint(gaps_s)).any():
        return 0.0
    common_s = float(np.gcd.reduce(gaps_s.astype(np.int64)))
    return common_s if common_s >= STEP_S else 0.0


def _exact(at_s: float) -> str:
    """All digits, as a person finds it in the file."""
    return f"{at_s:.15g}"


def _resampled(bins: Series, tokens: FloatArray, width_s: float) -> FloatArray:
    """Spread each bin evenly over the steps it lies in; exact where bins are steps."""
    dense = np.bincount(bins, weights=tokens)
    edges_s = np.arange(len(dense) + 1) * width_s
    steps = int(np.ceil(edges_s[-1] / STEP_S - 1e-6))
    passed = np.concatenate([[0.0], np.cumsum(dense)])
    return np.diff(np.interp(np.arange(steps + 1) * STEP_S, edges_s, passed))
