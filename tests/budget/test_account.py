"""One period's account: what a renewal may change, and what nothing may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from overspill.budget.account import (
    IN_VAIN_S,
    KEPT_S,
    LEASES_KEPT,
    Account,
    Limits,
    opened,
    renewed,
    tidied,
)
from overspill.budget.lease import LIFE_S, Lease, Report
from overspill.budget.ledger import Ledger, renew, turned
from overspill.budget.period import Period
from overspill.budget.sizing import Wish, granted

START_S = 1_000_000.0
DAY = Period(start_s=START_S, end_s=START_S + 86_400)
NEXT_DAY = Period(start_s=DAY.end_s, end_s=DAY.end_s + 86_400)
LIMITS = Limits(limit_usd_micros=100_000)


def _report(seq: int = 1, **others: object) -> Report:
    first = Report(lease="a-1", pod="pod", seq=seq, spent_usd_micros=0, keep_usd_micros=0)
    return replace(first, **others)  # type: ignore[arg-type]


def _leased(ceiling: int, spent: int = 0, **others: object) -> Account:
    lease = Lease(
        id="a-1",
        pod="pod",
        seq=5,
        ceiling_usd_micros=ceiling,
        spent_usd_micros=spent,
        expires_s=START_S + LIFE_S,
    )
    return replace(opened(DAY), leases={"a-1": replace(lease, **others)})  # type: ignore[arg-type]


def test_a_grant_is_committed_before_it_is_spent() -> None:
    account, grant = renewed(opened(DAY), _report(need_usd_micros=700), LIMITS, START_S)
    assert grant.ceiling_usd_micros == 700
    assert account.committed_usd_micros() == 700
    assert account.spent_usd_micros(START_S) == 0


def test_a_silent_lease_counts_as_spent_once_its_life_is_over() -> None:
    account = _leased(700, spent=200)
    assert account.spent_usd_micros(START_S) == 200
    assert account.spent_usd_micros(START_S + LIFE_S) == 700
    assert account.committed_usd_micros() == 700


def test_who_was_silent_and_speaks_again_is_believed() -> None:
    late_s = START_S + 10 * LIFE_S
    said = _report(6, spent_usd_micros=300, keep_usd_micros=400, want_usd_micros=0)
    account, grant = renewed(_leased(700, spent=200), said, LIMITS, late_s)
    assert account.spent_usd_micros(late_s) == 300
    assert account.committed_usd_micros() == 400
    assert not grant.over


@pytest.mark.parametrize(
    ("said", "committed"),
    [
        pytest.param(_report(5, keep_usd_micros=1), 700, id="a message that comes twice"),
        pytest.param(_report(4, keep_usd_micros=1), 700, id="a message that comes late"),
        pytest.param(_report(6, pod="other", keep_usd_micros=1), 700, id="another pod's lease"),
        pytest.param(
            _report(6, keep_usd_micros=9_999, want_usd_micros=0), 700, id="more than was granted"
        ),
        pytest.param(
            _report(1, lease="b-1", keep_usd_micros=50), 700, id="a lease that was forgotten"
        ),
        pytest.param(
            _report(6, spent_usd_micros=800, keep_usd_micros=800, want_usd_micros=0),
            800,
            id="more was spent than granted: the truth counts",
        ),
    ],
)
def test_no_report_raises_its_own_ceiling(said: Report, committed: int) -> None:
    account, _ = renewed(_leased(700), said, LIMITS, START_S)
    assert account.committed_usd_micros() == committed


def test_a_message_that_comes_twice_is_answered_as_before() -> None:
    first = _report(need_usd_micros=700)
    account, before = renewed(opened(DAY), first, LIMITS, START_S)
    _, again = renewed(account, first, LIMITS, START_S)
    assert again.ceiling_usd_micros == before.ceiling_usd_micros == 700


def test_a_first_report_that_comes_after_the_farewell_is_lent_nothing() -> None:
    """Nobody would ever say what became of it."""
    gone, farewell = renewed(opened(DAY), _report(2, final=True), LIMITS, START_S)
    late, grant = renewed(gone, _report(1), LIMITS, START_S + 1)
    assert farewell.over
    assert grant.over
    assert late.committed_usd_micros() == 0


def test_the_last_report_gives_the_rest_back() -> None:
    said = _report(6, spent_usd_micros=150, keep_usd_micros=150, final=True)
    account, grant = renewed(_leased(700), said, LIMITS, START_S)
    assert grant.over
    assert account.committed_usd_micros() == 150
    assert account.holders(START_S) == 0
    late, grant = renewed(account, _report(7, want_usd_micros=50), LIMITS, START_S)
    assert grant.over
    assert late.committed_usd_micros() == 150


@pytest.mark.parametrize("after_s", [KEPT_S + LIFE_S + 1, 10 * KEPT_S])
def test_what_is_forgotten_stays_counted(after_s: float) -> None:
    account = _leased(700, spent=200, unmetered_usd_micros=30)
    tidy = tidied(account, START_S + after_s)
    assert not tidy.leases
    assert tidy.committed_usd_micros() == account.committed_usd_micros() == 700
    assert tidy.settled_usd_micros() == 200
    assert tidy.unmetered_usd_micros() == 30


def test_an_account_stays_small_enough_for_one_object() -> None:
    silent = _leased(7).leases["a-1"]
    many = {f"x-{n}": replace(silent, id=f"x-{n}") for n in range(LEASES_KEPT + 10)}
    tidy = tidied(replace(opened(DAY), leases=many), START_S + LIFE_S)
    assert len(tidy.leases) == LEASES_KEPT
    assert tidy.committed_usd_micros() == 7 * (LEASES_KEPT + 10)


def test_a_limit_within_the_limit_binds_its_purpose_alone() -> None:
    limits = replace(LIMITS, purposes={"trials": 500})
    trial = _report(purpose="trials", need_usd_micros=600)
    account, grant = renewed(opened(DAY), trial, limits, START_S)
    assert grant.ceiling_usd_micros == 0
    _, grant = renewed(account, _report(lease="b-1", need_usd_micros=600), limits, START_S)
    assert grant.ceiling_usd_micros == 600


def test_it_is_exhausted_when_the_cheapest_refused_request_does_not_fit_and_nobody_holds_any() -> (
    None
):
    limits = Limits(limit_usd_micros=1_000)
    account = _leased(990, spent=990)
    assert not account.exhausted(limits, START_S)
    said = _report(6, spent_usd_micros=990, keep_usd_micros=990, need_usd_micros=15)
    account, grant = renewed(account, said, limits, START_S)
    assert grant.exhausted
    assert account.exhausted(limits, START_S)
    assert not account.exhausted(Limits(limit_usd_micros=1_005), START_S)


def test_one_dear_request_that_does_not_fit_closes_the_frontier_to_nobody_else() -> None:
    limits = Limits(limit_usd_micros=1_000)
    said = _report(6, spent_usd_micros=900, keep_usd_micros=900, need_usd_micros=200)
    account, grant = renewed(_leased(900, spent=900), said, limits, START_S)
    assert grant.exhausted
    assert not account.exhausted(limits, START_S)


def test_what_has_bought_nothing_for_minutes_is_nothing() -> None:
    limits = Limits(limit_usd_micros=1_000)
    account = _leased(900, spent=900)

    def asked(account: Account, seq: int, need: int, after_s: float) -> Account:
        said = _report(seq, spent_usd_micros=900, keep_usd_micros=900, need_usd_micros=need)
        return renewed(account, said, limits, START_S + after_s)[0]

    for seq, after_s in enumerate((0, 10, IN_VAIN_S - 1), start=6):
        account = asked(account, seq, 200, after_s)
        assert not account.exhausted(limits, START_S + after_s)
    bought = asked(account, 9, 50, IN_VAIN_S)
    assert not bought.exhausted(limits, START_S + IN_VAIN_S)
    assert not asked(bought, 10, 200, IN_VAIN_S + 9).exhausted(limits, START_S)
    account = asked(account, 9, 200, IN_VAIN_S)
    assert account.exhausted(limits, START_S + IN_VAIN_S)
    assert not account.exhausted(Limits(limit_usd_micros=1_100), START_S + IN_VAIN_S)


def test_a_request_that_no_budget_of_this_size_ever_pays_does_not_end_the_budget() -> None:
    limits, account = Limits(limit_usd_micros=1_000), opened(DAY)
    for seq, after_s in enumerate((0, IN_VAIN_S, 2 * IN_VAIN_S), start=1):
        said = _report(seq, need_usd_micros=1_001)
        account, grant = renewed(account, said, limits, START_S + after_s)
        assert grant.ceiling_usd_micros == 0
        assert not account.exhausted(limits, START_S + after_s)


def test_money_that_others_hold_is_scarce_and_not_exhausted() -> None:
    limits = Limits(limit_usd_micros=1_000)
    said = _report(lease="b-1", need_usd_micros=200)
    _, grant = renewed(_leased(900), said, limits, START_S)
    assert (grant.scarce, grant.exhausted) == (True, False)


def test_nothing_is_called_exhausted_to_who_holds_nothing_and_asks_for_nothing() -> None:
    _, grant = renewed(opened(DAY), _report(want_usd_micros=0), LIMITS, START_S)
    assert (grant.ceiling_usd_micros, grant.exhausted) == (0, False)


@pytest.mark.parametrize(
    ("left_s", "life_s", "last"),
    [
        pytest.param(LIFE_S + 1, LIFE_S, False, id="there is time for another renewal"),
        pytest.param(10, 10, True, id="the period ends first"),
    ],
)
def test_a_lease_ends_with_its_period(left_s: float, life_s: float, last: bool) -> None:
    _, grant = renewed(opened(DAY), _report(), LIMITS, DAY.end_s - left_s)
    assert (grant.life_s, grant.last, grant.resets_in_s) == (life_s, last, left_s)


def test_what_was_charged_at_worst_case_is_told() -> None:
    said = _report(6, spent_usd_micros=300, keep_usd_micros=300, unmetered_usd_micros=100)
    account, _ = renewed(_leased(700, spent=200, unmetered_usd_micros=30), said, LIMITS, START_S)
    assert account.unmetered_usd_micros() == 100


def test_the_next_period_starts_from_nothing_and_the_last_one_still_settles() -> None:
    ledger = turned(Ledger(current=_leased(700, spent=200)), NEXT_DAY)
    said = _report(6, spent_usd_micros=600, keep_usd_micros=600, final=True)
    ledger, (grant,) = renew(ledger, [said], LIMITS, NEXT_DAY.start_s)
    assert grant.over
    assert ledger.current.committed_usd_micros() == 0
    assert ledger.previous is not None
    assert ledger.previous.committed_usd_micros() == 600


@pytest.mark.parametrize(
    ("said", "closed"),
    [
        pytest.param(_report(5), False, id="a message that comes twice"),
        pytest.param(_report(6, pod="other"), False, id="another pod's lease"),
        pytest.param(_report(6), True, id="after the last word"),
    ],
)
def test_nothing_else_changes_what_the_last_period_has_cost(said: Report, closed: bool) -> None:
    ledger = turned(Ledger(current=_leased(700, spent=200, closed=closed)), NEXT_DAY)
    ledger, (grant,) = renew(ledger, [said], LIMITS, NEXT_DAY.start_s)
    assert grant.over
    assert ledger.previous is not None
    assert ledger.previous.committed_usd_micros() == 700


WEEK = replace(DAY, end_s=DAY.end_s + 6 * 86_400)
DAY_BEFORE = Period(start_s=DAY.start_s - 86_400, end_s=DAY.start_s)


@pytest.mark.parametrize(
    ("period", "kept", "runs"),
    [
        pytest.param(DAY, True, DAY, id="the same"),
        pytest.param(WEEK, True, WEEK, id="edited to a week"),
        pytest.param(DAY_BEFORE, True, DAY, id="a clock is behind"),
        pytest.param(NEXT_DAY, False, NEXT_DAY, id="the next"),
    ],
)
def test_only_the_next_period_frees_money(period: Period, kept: bool, runs: Period) -> None:
    ledger = turned(Ledger(current=_leased(700)), period)
    assert ledger.current.committed_usd_micros() == (700 if kept else 0)
    assert ledger.current.period == runs


def test_an_operator_whose_clock_is_behind_lends_as_if_the_period_had_just_begun() -> None:
    ledger, (grant,) = renew(Ledger(current=opened(DAY)), [_report()], LIMITS, START_S - 90)
    assert grant.resets_in_s == 86_400
    assert ledger.current.leases["a-1"].expires_s == START_S + LIFE_S


def test_a_ledger_may_open_with_what_was_spent_before_there_was_one() -> None:
    assert turned(None, DAY, 1_234).current.spent_usd_micros(START_S) == 1_234


@pytest.mark.parametrize(
    ("available", "holders", "wish", "expected"),
    [
        pytest.param(100_000, 1, Wish(want=500), 500, id="plenty: what is wanted"),
        pytest.param(100_000, 1, Wish(want=500, spare=300), 800, id="plenty: and the spare"),
        pytest.param(1_000, 1, Wish(want=500, spare=300), 500, id="less than plenty: no spare"),
        pytest.param(100_000, 1, Wish(want=5_000), 1_000, id="no more than a hundredth at once"),
        pytest.param(100_000, 1, Wish(need=3_000, want=5_000), 3_000, id="but one dear request"),
        pytest.param(1_000, 8, Wish(want=500), 62, id="half an even share of what is left"),
        pytest.param(1_000, 8, Wish(want=500, least=62), 62, id="just enough to be of use"),
        pytest.param(1_000, 8, Wish(want=500, least=63), 0, id="no crumbs"),
        pytest.param(1_000, 8, Wish(need=900, want=2_000), 900, id="one request at a time"),
        pytest.param(1_000, 8, Wish(need=1_001, want=2_000), 0, id="less than the need is left"),
        pytest.param(0, 1, Wish(want=500), 0, id="nothing left"),
        pytest.param(-50, 1, Wish(want=500), 0, id="the limit was lowered"),
    ],
)
def test_shares_shrink_with_what_is_left(
    available: int, holders: int, wish: Wish, expected: int
) -> None:
    more, _ = granted(
        wish, available_usd_micros=available, limit_usd_micros=100_000, holders=holders
    )
    assert more == expected


@pytest.mark.parametrize(
    ("available", "scarce"),
    [pytest.param(100_000, False, id="plenty"), pytest.param(9_999, True, id="no even share")],
)
def test_money_is_scarce_where_an_even_share_is_less_than_is_wanted(
    available: int, scarce: bool
) -> None:
    wish = Wish(want=5_000)
    told = granted(wish, available_usd_micros=available, limit_usd_micros=100_000, holders=1)
    assert told[1] is scarce
