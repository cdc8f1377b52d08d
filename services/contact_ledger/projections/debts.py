"""Fold facts about debts: accounts, promises, payments, merged debtors.

In: one fact and its data. Out: the change of the account, promise or payment, merged in place.
"""

from uuid import UUID

from services.contact_ledger.changes import (
    AccountChange,
    Changes,
    MergeChange,
    PaymentChange,
    PromiseChange,
)
from services.contact_ledger.facts import Fact
from services.contact_ledger.projections.rules import add, earliest, latest
from shared.events import debt as debt_events
from shared.events.contact import DebtFact
from shared.events.debt import DebtEventBase


def _account(changes: Changes, fact: Fact, data: DebtEventBase | DebtFact) -> AccountChange | None:
    if data.debt_id is None:
        return None
    key = (fact.tenant_id, data.debt_id)
    change = changes.accounts.get(key)
    if change is None:
        change = AccountChange(
            tenant_id=fact.tenant_id, debt_id=data.debt_id, debtor_id=data.debtor_id
        )
        changes.accounts[key] = change
    change.portfolio_id = change.portfolio_id or data.portfolio_id
    return change


def registered(changes: Changes, fact: Fact, data: debt_events.DebtRegistered) -> None:
    """Fold an account that enters, or enters again."""
    change = _account(changes, fact, data)
    if change is not None:
        change.currency = change.currency or data.currency
        change.stage = max(change.stage or 0, data.stage)
        change.entered_at = earliest(change.entered_at, data.recorded_at)
        change.reentered_at = latest(change.reentered_at, data.recorded_at)


def withdrawn(changes: Changes, fact: Fact, data: debt_events.DebtCancelled) -> None:
    """Fold an account that its creditor took back."""
    change = _account(changes, fact, data)
    if change is not None:
        change.left_at = latest(change.left_at, data.recorded_at)


def promise_of(changes: Changes, fact: Fact, promise_id: UUID) -> PromiseChange:
    """Return the change of one promise."""
    key = (fact.tenant_id, promise_id)
    change = changes.promises.get(key)
    if change is None:
        change = PromiseChange(tenant_id=fact.tenant_id, promise_id=promise_id)
        changes.promises[key] = change
    return change


def promised(changes: Changes, fact: Fact, data: debt_events.PromiseMade) -> None:
    """Fold a promise that the client system reports."""
    _account(changes, fact, data)
    change = promise_of(changes, fact, fact.event_id)
    if data.debt_id is not None:
        add(change.debt_ids, data.debt_id)
    change.debtor_id = data.debtor_id
    change.amount = data.amount
    change.currency = data.currency
    change.due_date = data.due_date
    change.channel = data.channel
    change.made_at = data.recorded_at


def promise_withdrawn(changes: Changes, fact: Fact, data: debt_events.PromiseCancelled) -> None:
    """Fold the withdrawal of one promise, or of all made until then."""
    if data.promise_event_id is not None:
        change = promise_of(changes, fact, data.promise_event_id)
        change.withdrawn_at = earliest(change.withdrawn_at, data.recorded_at)
        return
    account = _account(changes, fact, data)
    if account is not None:
        account.promises_withdrawn_at = latest(account.promises_withdrawn_at, data.recorded_at)


def paid(changes: Changes, fact: Fact, data: debt_events.PaymentReceived) -> None:
    """Fold a payment."""
    _account(changes, fact, data)
    change = _payment(changes, fact, fact.event_id)
    change.debt_id = data.debt_id
    change.debtor_id = data.debtor_id
    change.amount = data.amount
    change.currency = data.currency
    change.paid_at = data.paid_at


def payment_reversed(changes: Changes, fact: Fact, data: debt_events.PaymentReversed) -> None:
    """Fold a payment that bounced; it may come before the payment."""
    change = _payment(changes, fact, data.payment_event_id)
    change.debt_id = change.debt_id or data.debt_id
    change.reversed_at = earliest(change.reversed_at, data.reversed_at)


def _payment(changes: Changes, fact: Fact, payment_id: UUID) -> PaymentChange:
    key = (fact.tenant_id, payment_id)
    change = changes.payments.get(key)
    if change is None:
        change = PaymentChange(tenant_id=fact.tenant_id, payment_id=payment_id)
        changes.payments[key] = change
    return change


def concluded(changes: Changes, fact: Fact, data: DebtFact) -> None:
    """Fold the planner's conclusions: the stage only rises; a verdict is about one debt."""
    account = _account(changes, fact, data)
    if account is not None and data.stage is not None:
        account.stage = max(account.stage or 0, data.stage)
    if data.promise_event_id is None or fact.type == "debt.stage_advanced.v1":
        return
    change = promise_of(changes, fact, data.promise_event_id)
    kept = fact.type == "debt.promise_kept.v1"
    add(change.kept_debt_ids if kept else change.broken_debt_ids, data.debt_id)


def merged(changes: Changes, fact: Fact, data: debt_events.DebtorMerged) -> None:
    """Fold two debtors that turned out to be one."""
    changes.merges.append(
        MergeChange(
            tenant_id=fact.tenant_id,
            merged_debtor_id=data.merged_debtor_id,
            debtor_id=data.debtor_id,
        )
    )
