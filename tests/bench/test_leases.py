from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import leases
from bench.processes import Broken

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def _dies(pipe: Connection) -> None:
    raise SystemExit(3)


def test_an_operator_that_dies_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_operator", _dies)
    with pytest.raises(Broken, match="the operator ended with 3"):
        leases.many(1, 0.0)
