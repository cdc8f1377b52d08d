"""Folding what happened to contacts: attempts, receipts, replies.

In: facts from senders. Out: contact states that only rise, steps and stages with them, suppressed
addresses, promises and disputes that debtors wrote, work items where the words are not sure.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import WorkItemDraft
from services.scheduler.policy.fold_debts import REPLY_KEY, add_promise
from services.scheduler.policy.fold_people import revoke
from services.scheduler.policy.progress import raise_contact
from services.scheduler.policy.state import (
    ContactRecord,
    DebtorState,
    DebtState,
    Point,
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
    _learn_of_address(out, fact, new)


def attempted(
    out: Folded, event_id: UUID, fact: ContactAttempted | ContactReceipt, now: datetime
) -> None:
    """A provider told that the address itself is no good: never use it again on this channel.

    Only on this one: a landline takes no SMS and may have WhatsApp.
    """
    del event_id, now
    if fact.suppress_address:
        _suppress(out, fact, f"provider:{fact.code or 'refused'}")


def complained(out: Folded, event_id: UUID, fact: ContactReceipt, now: datetime) -> None:
    """The debtor reported the message as unwanted: as good as an opt-out."""
    del now
    for point in same_address(out.state, _points_of(out, fact)):
        point.consent = revoke(point.consent, stamp_of(fact.at, event_id), event_id)


def opted_out(out: Folded, event_id: UUID, fact: ContactReply, now: datetime) -> None:
    """The debtor wrote STOP: the sender holds the address already; the points are marked here.

    An opt-out is from a number or mailbox: it is as good on every channel that uses it.
    """
    del now
    for point in same_address(out.state, _points_of(out, fact)):
        point.consent = revoke(point.consent, stamp_of(fact.at, event_id), fact.reply_id)


def replied(out: Folded, event_id: UUID, fact: ContactReply, now: datetime) -> None:
    """The debtor answered. Sure words act at once; unsure ones become a work item."""
    del event_id, now
    out.state.answered_at = max(out.state.answered_at or fact.at, fact.at)
    if fact.right_party:
        for point in _exact(out, fact):
            point.right_party = True
    act = ACTS.get(fact.intent) if fact.confident else None
    if act is not None:
        act(out, fact, _debts_of(out, fact))
    elif fact.intent != "opt_out":
        _open(out, fact, "unsure_reply")


def _dispute(out: Folded, fact: ContactReply, debts: list[DebtState]) -> None:
    _open(out, fact, "dispute_reply")
    for debt in debts:
        debt.disputes.setdefault(f"{REPLY_KEY}{fact.reply_id}", stamp_of(fact.at, fact.reply_id))


def _promises(out: Folded, fact: ContactReply, debts: list[DebtState]) -> None:
    if fact.promise_date is None:
        _open(out, fact, "unsure_reply")
    for debt in debts:
        _promise(debt, fact, alone=len(debts) == 1)


def _wrong_person(out: Folded, fact: ContactReply, debts: list[DebtState]) -> None:
    """The number or mailbox is somebody else's: it is wrong on every channel."""
    del debts
    for point in same_address(out.state, _points_of(out, fact)):
        point.suppressed = max(point.suppressed or "wrong_person", "wrong_person")
        point.right_party = False


def _debts_of(out: Folded, fact: ContactReply) -> list[DebtState]:
    found = (out.state.debts.get(str(item.debt_id)) for item in fact.items)
    return [debt for debt in found if debt is not None]


def _rest(out: Folded, fact: ContactReply, debts: list[DebtState]) -> None:
    """The debtor says it is paid: rest until the money can be seen; a person may look sooner."""
    _open(out, fact, "claims_paid")
    until = fact.at + CLAIMED_PAID_REST
    for debt in debts:
        debt.quiet_until = max(debt.quiet_until or until, until)


Act = Callable[[Folded, ContactReply, list[DebtState]], None]
# What sure words do; anything else is for a person.
ACTS: dict[str, Act] = {
    "wrong_person": _wrong_person,
    "dispute": _dispute,
    "promise": _promises,
    "paid": _rest,
}


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


def same_address(state: DebtorState, points: list[Point]) -> list[Point]:
    """Return these points and those of other channels that use the same number or mailbox."""
    addresses = {point.address for point in points}
    return [point for point in state.points if point.address in addresses]


def _points_of(out: Folded, fact: ContactFactBase) -> list[Point]:
    """Return the point a contact went to; every point of the channel when that is not known."""
    return _exact(out, fact) or [p for p in out.state.points if p.channel == fact.channel]


def _exact(out: Folded, fact: ContactFactBase) -> list[Point]:
    record = out.state.contacts.get(str(fact.contact_id))
    address = record.address if record is not None else None
    return [p for p in out.state.points if p.channel == fact.channel and p.address == address]


def _learn_of_address(out: Folded, fact: ContactFactBase, new: ContactState) -> None:
    """Remember whether messages arrive at an address: the best one is chosen by that."""
    arrived = new >= ContactState.DELIVERED
    if not arrived and new != ContactState.UNDELIVERED:
        return
    stamp = stamp_of(fact.at, fact.contact_id)
    for point in _exact(out, fact):
        if arrived:
            point.reached = max(point.reached, stamp)
        else:
            point.failed = max(point.failed, stamp)


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
