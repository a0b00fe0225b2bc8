"""A ledger that is written down is the same when it is read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.errors import InvalidConfig
from overspill.budget.account import LEASES_KEPT, Account, Limits, Past
from overspill.budget.lease import Lease
from overspill.budget.ledger import Ledger, renew
from overspill.budget.period import Period
from overspill.controller.ledgers import ledger_in, manifest_of
from tests.controller.fakes import KEY, START_S

MOST_BYTES_OF_AN_OBJECT = 1_500_000
"""etcd's limit on a request is 1.5 MiB, unless it is told otherwise."""
micros = st.integers(min_value=0, max_value=10**12)
names = st.from_regex(r"[a-z0-9]{1,8}-[0-9]", fullmatch=True)
purposes = st.sampled_from(["", "trials"])
leases = st.builds(
    Lease,
    id=names,
    pod=names,
    seq=st.integers(1, 10**9),
    ceiling_usd_micros=micros,
    spent_usd_micros=micros,
    expires_s=st.integers(0, 4 * 10**9).map(float),
    unmetered_usd_micros=micros,
    purpose=purposes,
    closed=st.booleans(),
)
pasts = st.builds(
    Past, settled_usd_micros=micros, lost_usd_micros=micros, unmetered_usd_micros=micros
)
accounts = st.builds(
    Account,
    period=st.integers(0, 10**9).map(lambda day: Period(start_s=day, end_s=day + 86_400)),
    leases=st.lists(leases, max_size=5).map(lambda found: {one.id: one for one in found}),
    past=st.dictionaries(purposes, pasts),
    refused_usd_micros=micros,
    refused_from_s=st.integers(0, 4 * 10**9).map(float),
    refused_to_s=st.integers(0, 4 * 10**9).map(float),
)
ledgers = st.builds(Ledger, current=accounts, previous=st.none() | accounts)


@given(ledger=ledgers)
def test_a_ledger_survives_being_written_down(ledger: Ledger) -> None:
    manifest = manifest_of(KEY, ledger, limit_usd_micros=5, now_s=0)
    assert ledger_in({**manifest, "metadata": {"resourceVersion": "1"}}) == ledger


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        pytest.param({"current": {}}, "current.periodStart", id="a field is missing"),
        pytest.param({"note": "hello"}, "note", id="a field that is not ours"),
        pytest.param(
            {"current": {"periodStart": "yesterday", "periodEnd": "today"}},
            "yesterday",
            id="no date",
        ),
    ],
)
def test_a_ledger_that_somebody_edited_is_refused_by_path(
    edit: dict[str, object], why: str
) -> None:
    ledger = Ledger(current=Account(period=Period(start_s=0, end_s=86_400)))
    manifest = manifest_of(KEY, ledger, limit_usd_micros=5, now_s=0)
    with pytest.raises(InvalidConfig, match=why):
        ledger_in({**manifest, **edit})


def _full(period: Period) -> Account:
    leases = [
        Lease(
            id=f"0123456789abcdef-{number}",
            pod=f"contracts-api-7d9f8b6c5d-{number:05}",
            seq=1_234,
            ceiling_usd_micros=1_234_567,
            spent_usd_micros=1_034_567,
            expires_s=period.end_s,
        )
        for number in range(LEASES_KEPT)
    ]
    return Account(period=period, leases={one.id: one for one in leases})


def test_a_ledger_of_two_busy_periods_fits_into_one_object() -> None:
    day = Period(start_s=START_S - 86_400, end_s=START_S)
    next_day = Period(start_s=START_S, end_s=START_S + 86_400)
    ledger = Ledger(current=_full(next_day), previous=_full(day))
    committed = [one.committed_usd_micros() for one in (ledger.current, _full(day))]
    limits = Limits(limit_usd_micros=10**12)
    ledger, _ = renew(ledger, [], limits, START_S + 10.0)
    manifest = manifest_of(KEY, ledger, limit_usd_micros=10**12, now_s=START_S + 10.0)
    assert len(json.dumps(manifest)) < MOST_BYTES_OF_AN_OBJECT
    assert ledger.previous is not None
    accounts = (ledger.current, ledger.previous)
    assert [one.committed_usd_micros() for one in accounts] == committed
