"""Standing of a debt: open, settled or cancelled; promises kept or broken; its episode.

In: payments, promises and registrations as folded, the portfolio's windows, `now`. Out: the debt's
status and episode, and the facts `debt.promise_kept` and `debt.promise_broken`. A settled debt
stays in its episode for the reversal window: a payment that bounces inside it resumes where it
stopped.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from services.scheduler.policy.calendar import start_of
from services.scheduler.policy.decision import Fact
from services.scheduler.policy.state import Agreement, DebtorState, DebtState, Promise
from shared.events.configuration import Portfolio
from shared.events.contact import DebtFact, Reason

ONE_DAY = timedelta(days=1)


class Moment(NamedTuple):
    """When and where a debt is judged."""

    now: datetime
    zone: ZoneInfo


def update(
    state: DebtorState, debt: DebtState, portfolio: Portfolio, moment: Moment, facts: list[Fact]
) -> None:
    """Bring status, episode and promises up to `now`; add the facts that follow."""
    _judge_promises(state, debt, portfolio, moment, facts)
    _judge_agreement(state, debt, portfolio, moment, facts)
    status = _status(debt, portfolio)
    if status == debt.status:
        return
    if status == "settled":
        debt.settled_at = moment.now
    elif status == "open":
        _reopen(debt, portfolio, moment.now)
    debt.status = status


def deadline(day: date, portfolio: Portfolio, zone: ZoneInfo) -> datetime:
    """Return the instant at which a promise for `day` is overdue: its date, the grace, midnight."""
    return start_of(day + (portfolio.promise_grace_days + 1) * ONE_DAY, zone)


def open_promises(debt: DebtState) -> list[Promise]:
    """Return the promises that still silence: neither kept, broken nor withdrawn."""
    return [
        promise
        for key, promise in debt.promises.items()
        if promise.state == "open"
        and key not in debt.promises_cancelled
        and promise.stamp > debt.promises_cancelled_stamp
    ]


def next_instalment(debt: DebtState, portfolio: Portfolio, zone: ZoneInfo) -> date | None:
    """Return the due date of the first instalment that is not covered yet."""
    agreement = debt.agreement
    if agreement is None or agreement.state != "open":
        return None
    due = 0
    for amount, day in agreement.instalments:
        due += amount
        if _paid(debt, agreement.made_at, deadline(day, portfolio, zone)) < due:
            return day
    return None


def _status(debt: DebtState, portfolio: Portfolio) -> str:
    accepted = debt.resolved_outcome == "accepted" and debt.resolved_stamp > debt.stamp
    if accepted or (debt.cancel_stamp and debt.cancel_stamp > debt.stamp):
        return "cancelled"
    if debt.registered and debt.balance() <= portfolio.tolerance_minor:
        return "settled"
    return "open"


def _reopen(debt: DebtState, portfolio: Portfolio, now: datetime) -> None:
    """Resume inside the reversal window; after it, or after a cancellation, begin anew."""
    if debt.episode == 0:
        return
    window = portfolio.reversal_window_days * ONE_DAY
    inside = (
        debt.status == "settled" and debt.settled_at is not None and now <= debt.settled_at + window
    )
    debt.settled_at = None
    if not inside:
        debt.episode += 1
        debt.steps = {}
        debt.entered_on = None


def _judge_promises(
    state: DebtorState, debt: DebtState, portfolio: Portfolio, moment: Moment, facts: list[Fact]
) -> None:
    if not debt.promises:
        return
    for key, promise in debt.promises.items():
        if promise.state != "open" or key in debt.promises_cancelled:
            continue
        if promise.stamp <= debt.promises_cancelled_stamp:
            continue
        ends = deadline(promise.due, portfolio, moment.zone)
        paid = _paid(debt, promise.made_at, ends)
        if paid >= promise.amount:
            promise.state = "kept"
        elif moment.now >= ends:
            promise.state = "broken"
        else:
            continue
        facts.append(_fact(state, debt, UUID(key), promise, promise.amount, moment, paid))


def _judge_agreement(
    state: DebtorState, debt: DebtState, portfolio: Portfolio, moment: Moment, facts: list[Fact]
) -> None:
    agreement = debt.agreement
    if agreement is None or agreement.state != "open":
        return
    total = sum(amount for amount, _ in agreement.instalments)
    unpaid = next_instalment(debt, portfolio, moment.zone)
    if unpaid is None:
        agreement.state = "kept"
    elif moment.now >= deadline(unpaid, portfolio, moment.zone):
        agreement.state = "broken"
    else:
        return
    paid = _paid(debt, agreement.made_at, moment.now)
    facts.append(_fact(state, debt, agreement.event_id, agreement, total, moment, paid))


def _paid(debt: DebtState, since: datetime, until: datetime) -> int:
    """Return what was paid in [day of `since`, until): the day's clock times are not trusted."""
    start = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return sum(
        payment.amount
        for key, payment in debt.payments.items()
        if key not in debt.reversed
        and payment.currency == debt.currency
        and start <= payment.at < until
    )


def _fact(
    state: DebtorState,
    debt: DebtState,
    event_id: UUID,
    judged: Promise | Agreement,
    amount: int,
    moment: Moment,
    paid: int,
) -> Fact:
    reason = Reason(
        rule=f"promise.{judged.state}",
        verdict=judged.state,
        inputs={"covered_pct": str(100 * paid // amount if amount else 100)},
    )
    fact = DebtFact(
        debtor_id=state.debtor_id,
        debt_id=debt.debt_id,
        portfolio_id=debt.portfolio_id,
        episode=max(debt.episode, 1),
        at=moment.now,
        machine_at=moment.now,
        promise_event_id=event_id,
        amount=amount,
        currency=debt.currency,
        reasons=(reason,),
    )
    return f"debt.promise_{judged.state}.v1", fact
