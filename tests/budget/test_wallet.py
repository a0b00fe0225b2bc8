"""One sidecar's wallet: what fits, what is asked for, what is given back."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace

import pytest

from overspill.api.leases import MOST_USD_MICROS, LeaseReport
from overspill.budget.lease import LIFE_S, Grant, Report
from overspill.budget.wallet import AHEAD_S, EXHAUSTED_S, READY_FOR, REFUSED_S, SCARCE_S, Wallet


def _wallet() -> Wallet:
    numbers = itertools.count(1)
    return Wallet("pod", lambda: f"start-{next(numbers)}", 0.0)


def _grant(report: Report, more: int, **others: object) -> Grant:
    ceiling = report.keep_usd_micros + more
    made = Grant(lease=report.lease, seq=report.seq, ceiling_usd_micros=ceiling, life_s=LIFE_S)
    return replace(made, **others)  # type: ignore[arg-type]


def _funded(more: int, now_s: float = 0.0, **others: object) -> Wallet:
    wallet = _wallet()
    (report,) = wallet.reports(now_s)
    wallet.apply([_grant(report, more, **others)], now_s)
    return wallet


def test_nothing_may_be_spent_before_the_first_grant() -> None:
    assert _wallet().debit(1, 0.0) is None


def test_a_request_that_fits_is_reserved_and_one_that_does_not_is_not() -> None:
    wallet = _funded(100)
    assert wallet.debit(60, 1.0) is not None
    assert wallet.debit(41, 1.0) is None
    assert wallet.debit(40, 1.0) is not None


def test_what_a_request_did_not_cost_is_free_again() -> None:
    wallet = _funded(100)
    book = wallet.debit(100, 1.0)
    assert book is not None
    wallet.settle(book, 100, 30)
    assert (book.spent, book.held, book.free) == (30, 0, 70)


def test_a_charge_at_worst_case_is_flagged() -> None:
    wallet = _funded(100)
    book = wallet.debit(100, 1.0)
    assert book is not None
    wallet.settle(book, 100, 100, metered=False)
    (report,) = wallet.reports(2.0)
    assert (report.spent_usd_micros, report.unmetered_usd_micros) == (100, 100)


def test_a_lease_ends_a_life_after_the_report_was_sent_whenever_the_answer_came() -> None:
    wallet = _wallet()
    (report,) = wallet.reports(10.0)
    wallet.apply([_grant(report, 100)], 14.0)
    assert wallet.debit(1, 10.0 + LIFE_S - 0.1) is not None
    assert wallet.debit(1, 10.0 + LIFE_S) is None


@pytest.mark.parametrize(
    ("seq", "lease"),
    [
        pytest.param(0, "start-1", id="an earlier message"),
        pytest.param(1, "start-9", id="another lease"),
    ],
)
def test_an_answer_to_something_else_changes_nothing(seq: int, lease: str) -> None:
    wallet = _wallet()
    wallet.reports(0.0)
    wallet.apply([Grant(lease=lease, seq=seq, ceiling_usd_micros=100, life_s=LIFE_S)], 0.0)
    assert wallet.debit(1, 1.0) is None


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    wallet = _wallet()
    (report,) = wallet.reports(0.0)
    wallet.failed()
    wallet.apply([_grant(report, 100)], 0.0)
    assert wallet.debit(1, 1.0) is None


def test_what_it_says_it_keeps_it_holds_itself_to_before_anybody_answers() -> None:
    wallet = _funded(1000, scarce=True)
    book = wallet.debit(300, 1.0)
    (report,) = wallet.reports(2.0)
    assert report.keep_usd_micros == 300
    assert book is not None
    assert wallet.debit(1, 2.0) is None


def test_while_there_is_plenty_it_keeps_enough_for_the_next_requests() -> None:
    wallet = _funded(1000)
    book = wallet.debit(100, 1.0)
    assert book is not None
    wallet.settle(book, 100, 0)
    (report,) = wallet.reports(1000.0)
    assert report.keep_usd_micros == READY_FOR * 100


def test_it_asks_for_as_much_as_it_spends_until_long_after_the_next_renewal() -> None:
    wallet = _funded(1_000)
    for second in range(1, 300):
        book = wallet.debit(100, float(second))
        assert book is not None
        wallet.settle(book, 100, 100)
        if second % 5 == 0 or wallet.low:
            (report,) = wallet.reports(float(second))
            wallet.apply([_grant(report, report.want_usd_micros or 0)], float(second))
    (report,) = wallet.reports(300.0)
    held = report.keep_usd_micros - report.spent_usd_micros
    assert held + (report.want_usd_micros or 0) == pytest.approx(100 * AHEAD_S, rel=0.1)


def test_it_would_like_to_be_ready_for_all_of_its_traffic() -> None:
    wallet = _funded(1_000_000)
    book = wallet.debit(10, 1.0)
    assert book is not None
    wallet.settle(book, 10, 10)
    (report,) = wallet.reports(10.0, offered_usd_micros=10_000)
    ready = READY_FOR * 10
    assert report.keep_usd_micros == 10 + 1_000 * AHEAD_S  # what it has beyond goes back
    assert (report.want_usd_micros, report.spare_usd_micros) == (0, 0)

    wallet = _funded(ready)
    wallet.settle(wallet.debit(10, 1.0) or wallet.book, 10, 10)
    (report,) = wallet.reports(10.0, offered_usd_micros=10_000)
    assert report.want_usd_micros == 10
    assert report.spare_usd_micros == 1_000 * AHEAD_S - ready


def test_while_money_is_short_it_keeps_nothing_for_what_might_come() -> None:
    wallet = _funded(1_000_000, scarce=True)
    (report,) = wallet.reports(10.0, offered_usd_micros=10_000)
    assert report.keep_usd_micros == 0


def test_a_waiting_request_is_a_need_beyond_what_is_idle() -> None:
    wallet = _funded(50)
    assert wallet.debit(80, 1.0) is None
    (report,) = wallet.reports(1.0, waiting=[200, 80])
    assert report.need_usd_micros == 80 - 50
    assert report.want_usd_micros is not None
    assert report.want_usd_micros >= 280 - 50


def test_a_request_that_was_never_paid_for_is_not_what_the_next_is_like() -> None:
    wallet = _funded(1_000)
    wallet.settle(wallet.debit(10, 1.0) or wallet.book, 10, 0)
    (report,) = wallet.reports(2.0, waiting=[1_000_000])
    wallet.apply([_grant(report, 0, scarce=True)], 2.0)

    (report,) = wallet.reports(3.0)
    assert report.want_usd_micros == READY_FOR * 10
    assert report.least_usd_micros == 10
    wallet.apply([_grant(report, READY_FOR * 10)], 3.0)
    assert not wallet.low


def test_whatever_a_client_asks_for_a_report_can_be_sent() -> None:
    wallet = _funded(1_000)
    (report,) = wallet.reports(2.0, waiting=[10**30], offered_usd_micros=1e30)
    fields = asdict(report)
    del fields["pod"]
    told = LeaseReport(**fields)
    assert told.need_usd_micros == told.want_usd_micros == MOST_USD_MICROS


@pytest.mark.parametrize(
    ("exhausted", "rest_s"),
    [
        pytest.param(False, REFUSED_S, id="others may give something back"),
        pytest.param(True, EXHAUSTED_S, id="nobody has anything to give back"),
    ],
)
def test_a_need_that_was_refused_is_not_asked_for_again_at_once(
    exhausted: bool, rest_s: float
) -> None:
    wallet = _wallet()
    (report,) = wallet.reports(0.0, waiting=[80])
    wallet.apply([_grant(report, 0, scarce=True, exhausted=exhausted)], 0.0)
    assert wallet.hopeless(80, 0.0)
    assert not wallet.hopeless(79, 0.0)
    assert not wallet.hopeless(80, rest_s)


def test_a_need_that_was_refused_is_asked_for_again_once_something_was_granted() -> None:
    wallet = _wallet()
    (report,) = wallet.reports(0.0, waiting=[80])
    wallet.apply([_grant(report, 0, exhausted=True)], 0.0)
    (report,) = wallet.reports(1.0, waiting=[80])
    wallet.apply([_grant(report, 80)], 1.0)
    assert not wallet.hopeless(80, 1.0)


def test_what_requests_under_way_may_cost_is_not_left_for_others() -> None:
    wallet = _funded(1000)
    wallet.settle(wallet.debit(10, 1.0) or wallet.book, 10, 0)
    (report,) = wallet.reports(2.0)
    wallet.apply([_grant(report, 0)], 2.0)
    for _ in range(READY_FOR // 2):
        assert wallet.debit(10, 3.0)
        assert not wallet.low
    assert wallet.debit(10, 3.0)
    assert wallet.low


def test_it_renews_at_a_third_of_a_life_and_sooner_when_it_runs_low() -> None:
    wallet = _funded(1000)
    assert wallet.due_s(1.0) == LIFE_S / 3
    book = wallet.debit(400, 1.0)
    assert book is not None
    (report,) = wallet.reports(2.0)
    wallet.apply([_grant(report, 0)], 2.0)
    assert wallet.debit(400, 3.0) is not None
    assert wallet.due_s(3.0) == 3.0


def test_while_money_is_short_it_gives_back_what_comes_free() -> None:
    wallet = _funded(1000, scarce=True)
    book = wallet.debit(1000, 1.0)
    assert book is not None
    assert wallet.due_s(1.0) == LIFE_S / 3
    wallet.settle(book, 1000, 10)
    assert wallet.due_s(1.0) == SCARCE_S


def test_with_its_period_a_lease_is_over_and_the_next_one_starts_from_nothing() -> None:
    wallet = _funded(1000, life_s=5.0, last=True)
    late = wallet.debit(100, 4.0)
    assert late is not None
    old, new = wallet.reports(5.0)
    assert (old.lease, old.spent_usd_micros, old.keep_usd_micros, old.final) == (
        "start-1",
        0,
        100,
        False,
    )
    assert (new.lease, new.spent_usd_micros, new.keep_usd_micros) == ("start-2", 0, 0)

    wallet.settle(late, 100, 60)
    old, _ = wallet.reports(6.0)
    assert (old.spent_usd_micros, old.keep_usd_micros, old.final) == (60, 60, True)
    wallet.apply([_grant(old, 0, over=True)], 6.0)
    assert wallet.settled


def test_a_lease_that_the_operator_calls_over_is_spent_from_no_more() -> None:
    wallet = _funded(1000)
    (report,) = wallet.reports(1.0)
    wallet.apply([_grant(report, 0, over=True)], 1.0)
    assert wallet.debit(1, 1.0) is None
    assert wallet.due_s(1.0) <= 1.0


def test_who_leaves_gives_everything_back() -> None:
    wallet = _funded(1000)
    book = wallet.debit(100, 1.0)
    assert book is not None
    wallet.settle(book, 100, 40)
    (farewell,) = wallet.reports(2.0, leaving=True)
    assert (farewell.final, farewell.keep_usd_micros) == (True, 40)
