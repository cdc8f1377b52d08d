"""Folding what happened to a debt: registration, figures, payments, promises, disputes.

In: debt events with resolved identities. Out: the debt's state, and the fate of the hold that
intake placed for exactly this event: lifted when the policy state itself now silences (or the new
balance is planned anew), kept while a person must decide.
"""

from datetime import date, datetime
from uuid import UUID

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import HoldChange
from services.scheduler.policy.fold_people import take_debtor_facts
from services.scheduler.policy.state import (
    Agreement,
    DebtState,
    PastContact,
    Payment,
    Promise,
    StepRecord,
    stamp_of,
)
from shared.events import debt as events
from shared.events.hold import subject_of
from shared.events.identities import hold_id

KEY_ID_CHARS = (
    12  # 48 bits tell two events of one debtor apart; the rest would only fatten the blob
)
FIELDS = ("principal", "interest", "penalty", "currency", "due_date", "product")
REPLY_KEY = "reply:"  # disputes a debtor wrote to us have no hold of intake


def debt_of(out: Folded, event: events.DebtEventBase) -> DebtState | None:
    """Return the debt an event is about; a stub when the event came before the debt."""
    if event.debt_id is None:
        return None
    key = str(event.debt_id)
    debt = out.state.debts.get(key)
    if debt is None:
        debt = out.state.debts[key] = DebtState(debt_id=event.debt_id)
    if event.portfolio_id and not debt.portfolio_id:
        debt.portfolio_id = event.portfolio_id
    return debt


def change_debt_hold(
    out: Folded, debt: DebtState, cause: UUID, reason: str, *, keep: bool = False
) -> None:
    """Say what becomes of the debt hold that intake placed for the event `cause`."""
    subject = subject_of("debt", out.state.tenant_id, str(debt.debt_id))
    out.hold_changes.append(
        HoldChange(
            hold_id=hold_id(cause, "debt", subject),
            state="active" if keep else "lifted",
            reason=reason,
        )
    )


def registered(out: Folded, event_id: UUID, event: events.DebtRegistered, now: datetime) -> None:
    """A debt enters, perhaps mid-life; a second registration counts as new figures."""
    del now
    stamp = stamp_of(event.occurred_at, event_id)
    take_debtor_facts(out.state, event.debtor, stamp, event_id)
    debt = debt_of(out, event)
    if debt is None:
        return
    _take_fields(debt, event, stamp, whole=True)
    if stamp > debt.stamp:
        debt.stamp = stamp
        debt.debt_ref = event.debt_ref
        debt.portfolio_id = event.portfolio_id or debt.portfolio_id
    debt.registered = True
    debt.stage = max(debt.stage, event.stage)
    for done in event.steps_done:
        record = debt.steps.setdefault(done.step_key, StepRecord())
        if record.state == "pending":
            record.state = "sent"
            record.at = done.at
            record.reason = "before_registration"
    for index, past in enumerate(event.past_contacts):
        key = f"{event_id.hex[:KEY_ID_CHARS]}.{index}"
        out.state.past[key] = PastContact(channel=past.channel, at=past.at)


def updated(out: Folded, event_id: UUID, event: events.DebtUpdated, now: datetime) -> None:
    """New figures; per field the last writer wins by (event time, event id)."""
    del now
    debt = debt_of(out, event)
    if debt is not None:
        _take_fields(debt, event, stamp_of(event.occurred_at, event_id), whole=False)


def payment_received(
    out: Folded, event_id: UUID, event: events.PaymentReceived, now: datetime
) -> None:
    """Money came in: the hold is lifted, for the balance itself now speaks."""
    del now
    debt = debt_of(out, event)
    key = str(event_id)
    if debt is None or key in debt.payments:
        return
    debt.payments[key] = Payment(amount=event.amount, currency=event.currency, at=event.paid_at)
    change_debt_hold(out, debt, event_id, "payment_counted")


def payment_reversed(
    out: Folded, event_id: UUID, event: events.PaymentReversed, now: datetime
) -> None:
    """A payment bounced (its own event may come later)."""
    del event_id, now
    debt = debt_of(out, event)
    key = str(event.payment_event_id)
    if debt is not None and key not in debt.reversed:
        debt.reversed.append(key)


def cancelled(out: Folded, event_id: UUID, event: events.DebtCancelled, now: datetime) -> None:
    """The creditor withdrew the debt; a later registration opens it again."""
    del now
    debt = debt_of(out, event)
    stamp = stamp_of(event.occurred_at, event_id)
    if debt is None or stamp == debt.cancel_stamp:
        return
    if stamp > debt.cancel_stamp:
        debt.cancel_stamp = stamp
        debt.cancel_reason = event.reason
    change_debt_hold(out, debt, event_id, "debt_cancelled")


def disputed(out: Folded, event_id: UUID, event: events.DebtDisputed, now: datetime) -> None:
    """The debt is contested: the hold stays until the dispute is resolved."""
    del now
    debt = debt_of(out, event)
    key = str(event_id)
    if debt is None or key in debt.disputes:
        return
    stamp = debt.disputes[key] = stamp_of(event.occurred_at, event_id)
    change_debt_hold(out, debt, event_id, "dispute", keep=stamp > debt.resolved_stamp)


def dispute_resolved(
    out: Folded, event_id: UUID, event: events.DisputeResolved, now: datetime
) -> None:
    """Every dispute raised before this is over; accepted means that the debt was wrong."""
    del now
    debt = debt_of(out, event)
    stamp = stamp_of(event.occurred_at, event_id)
    if debt is None or stamp <= debt.resolved_stamp:
        return
    before = debt.resolved_stamp
    debt.resolved_stamp = stamp
    debt.resolved_outcome = event.outcome
    for key, raised in debt.disputes.items():
        if before < raised <= stamp and not key.startswith(REPLY_KEY):
            change_debt_hold(out, debt, UUID(key), f"dispute_{event.outcome}")


def promise_made(out: Folded, event_id: UUID, event: events.PromiseMade, now: datetime) -> None:
    """The debtor promised: the promise itself silences, so the hold goes."""
    del now
    debt = debt_of(out, event)
    if debt is None or str(event_id) in debt.promises:
        return
    add_promise(debt, event_id, event.amount, event.currency, event.due_date, event.occurred_at)
    change_debt_hold(out, debt, event_id, "promise_counted")


def add_promise(
    debt: DebtState, event_id: UUID, amount: int, currency: str, due: date, made_at: datetime
) -> None:
    """Put a promise into the debt's state, under its event id."""
    debt.promises[str(event_id)] = Promise(
        amount=amount,
        currency=currency,
        due=due,
        made_at=made_at,
        stamp=stamp_of(made_at, event_id),
    )


def promise_cancelled(
    out: Folded, event_id: UUID, event: events.PromiseCancelled, now: datetime
) -> None:
    """One promise, or every promise made before, is withdrawn."""
    del now
    debt = debt_of(out, event)
    if debt is None:
        return
    if event.promise_event_id is None:
        stamp = stamp_of(event.occurred_at, event_id)
        debt.promises_cancelled_stamp = max(debt.promises_cancelled_stamp, stamp)
    elif str(event.promise_event_id) not in debt.promises_cancelled:
        debt.promises_cancelled.append(str(event.promise_event_id))


def agreement_made(out: Folded, event_id: UUID, event: events.AgreementMade, now: datetime) -> None:
    """A payment plan replaces an older one; while it is kept, contact rests."""
    del now
    debt = debt_of(out, event)
    stamp = stamp_of(event.occurred_at, event_id)
    if debt is None or (debt.agreement is not None and debt.agreement.event_id == event_id):
        return
    if debt.agreement is None or stamp > debt.agreement.stamp:
        debt.agreement = Agreement(
            event_id=event_id,
            instalments=sorted((i.amount, i.due_date) for i in event.instalments),
            currency=event.currency,
            made_at=event.occurred_at,
            stamp=stamp,
        )
        debt.agreement.instalments.sort(key=lambda pair: pair[1])
    change_debt_hold(out, debt, event_id, "agreement_counted")


def _take_fields(
    debt: DebtState,
    event: events.DebtRegistered | events.DebtUpdated,
    stamp: str,
    *,
    whole: bool,
) -> None:
    """Take each field whose newest writer this event is; `whole`: None is a value too."""
    for name in FIELDS:
        value = getattr(event, name)
        if value is None and not whole:
            continue
        if stamp <= debt.field_stamps.get(name, debt.stamp):
            continue
        setattr(debt, name, value)
        if whole:
            debt.field_stamps.pop(name, None)
        else:
            debt.field_stamps[name] = stamp
