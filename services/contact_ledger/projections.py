"""Fold facts into changes of the projections: pure, in any order, any number of batches.

In: the facts that were really added to the ledger. Out: one change per contact, account, promise,
payment and reply. Every field merges by a rule that does not ask which fact came first (earliest,
latest, first known, any, union), and the store merges into its rows by the same rules; only the
state of a contact follows the law of motion (`states.rises`): a higher rank replaces a lower one,
never the reverse, and of equal ranks the one recorded first stays.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from services.contact_ledger.changes import (
    RECORDED,
    AccountChange,
    Changes,
    ContactChange,
    MergeChange,
    PaymentChange,
    PromiseChange,
    ReplyChange,
)
from services.contact_ledger.facts import Fact
from services.contact_ledger.kpis import (
    REACHED_OUTCOMES,
    RIGHT_PARTY_OUTCOMES,
    reply_confirms_person,
)
from shared.events import contact as contact_events
from shared.events import debt as debt_events
from shared.events.contact import (
    ContactAttempted,
    ContactDecided,
    ContactFactBase,
    ContactReceipt,
    ContactReply,
    DebtFact,
)
from shared.events.debt import DebtEventBase
from shared.events.states import CERTAIN_NON_SEND, ContactState, rises

# An attempt that these facts name was certainly taken by the provider.
ACCEPTANCE_PROVED = frozenset(
    {
        "contact.accepted.v1",
        "contact.sent.v1",
        "contact.undelivered.v1",
        "contact.delivered.v1",
        "contact.read.v1",
    }
)


def fold(facts: Iterable[Fact]) -> Changes:
    """Return what `facts`, in their order, change."""
    changes = Changes()
    for fact in facts:
        folder = _FOLDERS.get(type(fact.data))
        if folder is not None:
            folder(changes, fact, fact.data)
    return changes


def _contact(changes: Changes, fact: Fact, contact_id: UUID) -> ContactChange:
    key = (fact.tenant_id, contact_id)
    change = changes.contacts.get(key)
    if change is None:
        change = ContactChange(tenant_id=fact.tenant_id, contact_id=contact_id)
        changes.contacts[key] = change
    return change


def _touch(changes: Changes, fact: Fact, data: ContactFactBase) -> ContactChange:
    """Take over what every contact fact carries, and its state if that rises."""
    change = _contact(changes, fact, data.contact_id)
    change.debtor_id = change.debtor_id or data.debtor_id
    change.portfolio_id = change.portfolio_id or data.portfolio_id
    change.channel = change.channel or data.channel
    for item in data.items:
        _add(change.debt_ids, item.debt_id)
    if fact.attempt_id is not None:
        _add(change.attempt_ids, fact.attempt_id)
        if fact.type in ACCEPTANCE_PROVED:
            _add(change.accepted_ids, fact.attempt_id)
    if fact.state is not None:
        _move(change, fact.state, data.at)
        if change.state == fact.state and change.state_at == data.at:
            change.state_rules = list(fact.rules) or change.state_rules
            change.state_code = getattr(data, "error", None) or change.state_code
    return change


def _move(change: ContactChange, state: ContactState, at: datetime) -> None:
    if state in CERTAIN_NON_SEND:
        change.non_send = True
    if state >= ContactState.ACCEPTED:
        change.accepted_at = _earliest(change.accepted_at, at)
    if state in (ContactState.DELIVERED, ContactState.READ):
        change.delivered_at = _earliest(change.delivered_at, at)
    if change.state is None or rises(ContactState(change.state), state):
        change.state = int(state)
        change.state_at = at
        change.state_rules = None
        change.state_code = None


def _decided(changes: Changes, fact: Fact, data: ContactDecided) -> None:
    change = _touch(changes, fact, data)
    change.step_key = change.step_key or data.step_key
    change.stage = data.stage if change.stage is None else change.stage
    change.manual = change.manual or data.manual
    change.due_at = _latest(change.due_at, data.due_at)
    change.not_after = _latest(change.not_after, data.not_after)
    if fact.state is None:
        return  # deferred: nothing was decided yet
    # Any final decision plans its contact, whichever of its facts is recorded first.
    change.planned_at = _earliest(change.planned_at, data.at)
    change.local_day = _latest_day(change.local_day, data.local_date)
    if fact.state == ContactState.DISPATCHED:
        change.dispatched_at = _earliest(change.dispatched_at, data.at)


def _attempted(changes: Changes, fact: Fact, data: ContactAttempted) -> None:
    change = _touch(changes, fact, data)
    change.step_key = change.step_key or data.step_key or None
    change.account_id = change.account_id or data.account_id
    change.template = change.template or data.template
    change.segments = data.segments if change.segments is None else change.segments
    change.resolve_by = _latest(change.resolve_by, data.resolve_by)


def _received(changes: Changes, fact: Fact, data: ContactReceipt) -> None:
    change = _touch(changes, fact, data)
    change.account_id = change.account_id or data.account_id
    if fact.state == ContactState.SENT:
        change.sent_at = _earliest(change.sent_at, data.at)
    elif fact.state == ContactState.READ:
        change.read_at = _earliest(change.read_at, data.at)
    elif fact.type == "contact.complained.v1":
        change.complained_at = _earliest(change.complained_at, data.at)


def _replied(changes: Changes, fact: Fact, data: ContactReply) -> None:
    change = _touch(changes, fact, data)
    opted_out = fact.type == "contact.opted_out.v1"
    confirms = reply_confirms_person(data.intent, right_party=data.right_party)
    change.replied_at = _earliest(change.replied_at, data.at)
    if opted_out:
        change.opted_out_at = _earliest(change.opted_out_at, data.at)
    if confirms:
        change.right_party_at = _earliest(change.right_party_at, data.at)
    key = (fact.tenant_id, data.reply_id)
    known = changes.replies.get(key)
    if known is None:
        changes.replies[key] = ReplyChange(
            tenant_id=fact.tenant_id,
            reply_id=data.reply_id,
            contact_id=data.contact_id,
            debtor_id=data.debtor_id,
            channel=data.channel,
            at=data.at,
            intent=data.intent,
            confident=data.confident,
            right_party=confirms,
            opted_out=opted_out,
        )
    else:
        known.opted_out = known.opted_out or opted_out
        known.right_party = known.right_party or confirms


def _recorded(changes: Changes, fact: Fact, data: debt_events.ContactRecorded) -> None:
    """Fold what a person did: of a contact of ours when it names one, else one of its own."""
    change = _contact(changes, fact, data.contact_id or fact.event_id)
    if data.contact_id is None:
        change.origin = RECORDED
    change.debtor_id = change.debtor_id or data.debtor_id
    change.portfolio_id = change.portfolio_id or data.portfolio_id
    change.channel = change.channel or data.channel
    if data.debt_id is not None:
        _add(change.debt_ids, data.debt_id)
    reached = data.outcome in REACHED_OUTCOMES
    _move(change, ContactState.DELIVERED if reached else ContactState.UNDELIVERED, data.at)
    if data.outcome in RIGHT_PARTY_OUTCOMES:
        change.right_party_at = _earliest(change.right_party_at, data.at)


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


def _registered(changes: Changes, fact: Fact, data: debt_events.DebtRegistered) -> None:
    change = _account(changes, fact, data)
    if change is not None:
        change.currency = change.currency or data.currency
        change.stage = max(change.stage or 0, data.stage)
        change.entered_at = _earliest(change.entered_at, data.recorded_at)
        change.reentered_at = _latest(change.reentered_at, data.recorded_at)


def _withdrawn(changes: Changes, fact: Fact, data: debt_events.DebtCancelled) -> None:
    change = _account(changes, fact, data)
    if change is not None:
        change.left_at = _latest(change.left_at, data.recorded_at)


def _promise(changes: Changes, fact: Fact, promise_id: UUID) -> PromiseChange:
    key = (fact.tenant_id, promise_id)
    change = changes.promises.get(key)
    if change is None:
        change = PromiseChange(tenant_id=fact.tenant_id, promise_id=promise_id)
        changes.promises[key] = change
    return change


def _promised(changes: Changes, fact: Fact, data: debt_events.PromiseMade) -> None:
    _account(changes, fact, data)
    change = _promise(changes, fact, fact.event_id)
    change.debt_id = data.debt_id
    change.debtor_id = data.debtor_id
    change.amount = data.amount
    change.currency = data.currency
    change.due_date = data.due_date
    change.channel = data.channel
    change.made_at = data.recorded_at


def _promise_withdrawn(changes: Changes, fact: Fact, data: debt_events.PromiseCancelled) -> None:
    if data.promise_event_id is not None:
        change = _promise(changes, fact, data.promise_event_id)
        change.withdrawn_at = _earliest(change.withdrawn_at, data.recorded_at)
        change.debt_id = change.debt_id or data.debt_id
        return
    account = _account(changes, fact, data)
    if account is not None:
        account.promises_withdrawn_at = _latest(account.promises_withdrawn_at, data.recorded_at)


def _paid(changes: Changes, fact: Fact, data: debt_events.PaymentReceived) -> None:
    _account(changes, fact, data)
    change = _payment(changes, fact, fact.event_id)
    change.debt_id = data.debt_id
    change.debtor_id = data.debtor_id
    change.amount = data.amount
    change.currency = data.currency
    change.paid_at = data.paid_at


def _reversed(changes: Changes, fact: Fact, data: debt_events.PaymentReversed) -> None:
    change = _payment(changes, fact, data.payment_event_id)
    change.debt_id = change.debt_id or data.debt_id
    change.reversed_at = _earliest(change.reversed_at, data.reversed_at)


def _payment(changes: Changes, fact: Fact, payment_id: UUID) -> PaymentChange:
    key = (fact.tenant_id, payment_id)
    change = changes.payments.get(key)
    if change is None:
        change = PaymentChange(tenant_id=fact.tenant_id, payment_id=payment_id)
        changes.payments[key] = change
    return change


def _concluded(changes: Changes, fact: Fact, data: DebtFact) -> None:
    """Fold the planner's conclusions: the stage only rises, the newest verdict stands."""
    account = _account(changes, fact, data)
    if account is not None and data.stage is not None:
        account.stage = max(account.stage or 0, data.stage)
    if data.promise_event_id is None or fact.type == "debt.stage_advanced.v1":
        return
    change = _promise(changes, fact, data.promise_event_id)
    change.debt_id = change.debt_id or data.debt_id
    if change.verdict_at is None or data.at >= change.verdict_at:
        change.verdict = "kept" if fact.type == "debt.promise_kept.v1" else "broken"
        change.verdict_at = data.at


def _merged(changes: Changes, fact: Fact, data: debt_events.DebtorMerged) -> None:
    changes.merges.append(
        MergeChange(
            tenant_id=fact.tenant_id,
            merged_debtor_id=data.merged_debtor_id,
            debtor_id=data.debtor_id,
        )
    )


_FOLDERS: dict[type[msgspec.Struct], Callable[[Changes, Fact, Any], None]] = {
    contact_events.ContactDecided: _decided,
    contact_events.ContactAttempted: _attempted,
    contact_events.ContactReceipt: _received,
    contact_events.ContactReply: _replied,
    contact_events.DebtFact: _concluded,
    debt_events.DebtRegistered: _registered,
    debt_events.DebtCancelled: _withdrawn,
    debt_events.PromiseMade: _promised,
    debt_events.PromiseCancelled: _promise_withdrawn,
    debt_events.PaymentReceived: _paid,
    debt_events.PaymentReversed: _reversed,
    debt_events.DebtorMerged: _merged,
    debt_events.ContactRecorded: _recorded,
}


def _add(ids: list[UUID], new: UUID) -> None:
    if new not in ids:
        ids.append(new)


def _earliest(known: datetime | None, new: datetime | None) -> datetime | None:
    if known is None or new is None:
        return known or new
    return min(known, new)


def _latest(known: datetime | None, new: datetime | None) -> datetime | None:
    if known is None or new is None:
        return known or new
    return max(known, new)


def _latest_day(known: date | None, new: date | None) -> date | None:
    if known is None or new is None:
        return known or new
    return max(known, new)
