"""The axis of replicas: one cell each where they are few, coarser by 3% where they are many."""

from __future__ import annotations

import pytest

from overspill.scaling.axis import cell_of, edges, widths


def test_few_replicas_have_a_cell_each() -> None:
    assert edges(4).tolist() == [0, 1, 2, 3, 4]
    assert widths(4).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("reach", [1, 63, 64, 65, 127, 128, 129, 1250])
def test_cells_cover_what_is_asked_and_are_never_wider_than_3_percent(reach: int) -> None:
    bounds, wide = edges(reach), widths(reach)
    assert bounds[-2] < reach <= bounds[-1]
    assert (wide[64:] <= bounds[64:-1] / 32).all()
    assert (wide[:64] == 1).all()


@pytest.mark.parametrize(("replica", "cell"), [(1, 0), (2, 1), (64, 63), (65, 64), (66, 64)])
def test_a_replica_is_found_in_its_cell(replica: int, cell: int) -> None:
    assert cell_of(replica, 100) == cell
