"""Folding what happened to contacts: attempts, receipts, replies.

In: facts from senders. Out: contact states that only rise, steps and stages with them, suppressed
addresses, promises and disputes that debtors wrote, work items where the words are not sure.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.fold_debts import REPLY_KEY, add_promise
from services.scheduler.policy.fold_people import revoke
from services.scheduler.policy.progress import raise_contact
from services.scheduler.policy.state import (
    ContactRecord,
    DebtState,
    Point,
    WorkItemDraft,
    stamp_of,
)
from shared.events.contact import (
    ContactAttempted,
    ContactDecided,
    ContactFactBase,
    ContactReceipt,
    ContactReply,
    Reason,
)
from shared.events.identities import fact_id
from shared.events.states import CERTAIN_NON_SEND, STATE_AFTER, ContactState

# "I have paid": a transfer takes up to three working days to be seen; until then a reminder annoys.
CLAIMED_PAID_REST = timedelta(days=5)


def moved(out: Folded, event_type: str, fact: msgspec.Struct) -> None:
    """Move the contact forward; an unknown contact is taken over when it counts in caps."""
    if not isinstance(fact, ContactFactBase):
        return
    new = STATE_AFTER[event_type]
    key = str(fact.contact_id)
    if key not in out.state.contacts:
        if not _worth_keeping(fact, new):
            return
        out.state.contacts[key] = _record_of(fact)
    raise_contact(out.state, fact.contact_id, new, fact.at, out)


def attempted(out: Folded, event_id: UUID, fact: ContactAttempted, now: datetime) -> None:
    """A provider told that the address itself is no good: never use it again."""
    del event_id, now
    if fact.suppress_address:
        _suppress(out, fact, f"provider:{fact.code or 'refused'}")


def complained(out: Folded, event_id: UUID, fact: ContactReceipt, now: datetime) -> None:
    """The debtor reported the message as unwanted: as good as an opt-out."""
    del now
    for point in _points_of(out, fact):
        point.consent = revoke(point.consent, stamp_of(fact.at, event_id), None)


def opted_out(out: Folded, event_id: UUID, fact: ContactReply, now: datetime) -> None:
    """The debtor wrote STOP: the sender holds the address already; the point is marked here."""
    del now
    for point in _points_of(out, fact):
        point.consent = revoke(point.consent, stamp_of(fact.at, event_id), None)


def replied(out: Folded, event_id: UUID, fact: ContactReply, now: datetime) -> None:
    """The debtor answered. Sure words act at once; unsure ones become a work item."""
    del event_id, now
    debts = _debts_of(out, fact)
    if fact.intent == "wrong_person" and fact.confident:
        _suppress(out, fact, "wrong_person")
    elif fact.intent == "dispute" and fact.confident:
        _open(out, fact, "dispute_reply")
        for debt in debts:
            stamp = stamp_of(fact.at, fact.reply_id)
            debt.disputes.setdefault(f"{REPLY_KEY}{fact.reply_id}", stamp)
    elif fact.intent == "promise" and fact.confident and fact.promise_date is not None:
        for debt in debts:
            _promise(debt, fact, alone=len(debts) == 1)
    elif fact.intent == "paid" and fact.confident:
        _rest(out, fact, debts)
    elif fact.intent != "opt_out":
        _open(out, fact, "unsure_reply")


def _debts_of(out: Folded, fact: ContactReply) -> list[DebtState]:
    found = (out.state.debts.get(str(item.debt_id)) for item in fact.items)
    return [debt for debt in found if debt is not None]


def _rest(out: Folded, fact: ContactReply, debts: list[DebtState]) -> None:
    """The debtor says it is paid: rest until the money can be seen; a person may look sooner."""
    _open(out, fact, "claims_paid")
    until = fact.at + CLAIMED_PAID_REST
    for debt in debts:
        debt.quiet_until = max(debt.quiet_until or until, until)


def _promise(debt: DebtState, fact: ContactReply, *, alone: bool) -> None:
    """A promise by reply is kept under the reply's id; without an amount it means the balance."""
    if fact.promise_date is None or str(fact.reply_id) in debt.promises:
        return
    named = fact.promise_amount if alone else None
    amount = named if named is not None else max(debt.balance(), 0)
    add_promise(debt, fact.reply_id, amount, debt.currency, fact.promise_date, fact.at)


def _suppress(out: Folded, fact: ContactFactBase, reason: str) -> None:
    for point in _points_of(out, fact):
        point.suppressed = max(point.suppressed or reason, reason)


def _points_of(out: Folded, fact: ContactFactBase) -> list[Point]:
    """Return the point a contact went to; every point of the channel when that is not known."""
    record = out.state.contacts.get(str(fact.contact_id))
    points = [point for point in out.state.points if point.channel == fact.channel]
    address = record.address if record is not None else None
    return [p for p in points if p.address == address] or points


def _open(out: Folded, fact: ContactReply, kind: str) -> None:
    out.work_items.append(
        WorkItemDraft(
            kind=kind,
            cause=fact_id(fact.reply_id, kind),
            debtor_id=out.state.debtor_id,
            debt_id=fact.items[0].debt_id if fact.items else None,
            contact_id=fact.contact_id,
            reasons=(Reason(rule="reply.intent", verdict=kind, inputs={"intent": fact.intent}),),
        )
    )


def _worth_keeping(fact: ContactFactBase, new: ContactState) -> bool:
    """Keep an unknown contact only from facts that prove a call, so that caps count it."""
    if new in CERTAIN_NON_SEND or new == ContactState.PLANNED:
        return False
    return isinstance(fact, ContactAttempted | ContactDecided)


def _record_of(fact: ContactFactBase) -> ContactRecord:
    known = fact if isinstance(fact, ContactAttempted | ContactDecided) else None
    return ContactRecord(
        channel=fact.channel,
        portfolio_id=fact.portfolio_id,
        account_id=fact.account_id if isinstance(fact, ContactAttempted) else "",
        step_key=known.step_key if known else "",
        stage=known.stage if known else 0,
        items=fact.items,
        local_date=fact.local_date if isinstance(fact, ContactDecided) else None,
        manual=isinstance(fact, ContactDecided) and fact.manual,
        at=fact.at,
    )
