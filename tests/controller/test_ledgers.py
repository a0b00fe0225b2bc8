"""A ledger that is written down is the same when it is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.api.errors import InvalidConfig
from overspill.budget.account import Account, Past
from overspill.budget.lease import Lease
from overspill.budget.ledger import Ledger
from overspill.budget.period import Period
from overspill.controller.keys import PolicyKey
from overspill.controller.ledgers import ledger_in, manifest_of

KEY = PolicyKey("legal", "contracts")
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
