"""Fold facts about contacts: what was decided, tried, reported, answered.

In: one fact and its data. Out: the contact's change (and reply's, and promise's), merged in place.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from services.contact_ledger.changes import RECORDED, Changes, ContactChange, ReplyChange
from services.contact_ledger.facts import Fact
from services.contact_ledger.kpis import (
    REACHED_OUTCOMES,
    RIGHT_PARTY_OUTCOMES,
    reply_confirms_person,
)
from services.contact_ledger.projections.debts import promise_of
from services.contact_ledger.projections.rules import add, earliest, latest, latest_day
from shared.events.contact import (
    ContactAttempted,
    ContactDecided,
    ContactFactBase,
    ContactReceipt,
    ContactReply,
)
from shared.events.debt import ContactRecorded
from shared.events.states import CERTAIN_NON_SEND, ContactState, rises

PROMISE_INTENT = "promise"

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
    if data.items and change.items is None:
        change.items = msgspec.json.encode(data.items).decode()
    for item in data.items:
        add(change.debt_ids, item.debt_id)
    if fact.attempt_id is not None:
        add(change.attempt_ids, fact.attempt_id)
        if fact.type in ACCEPTANCE_PROVED:
            add(change.accepted_ids, fact.attempt_id)
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
        change.accepted_at = earliest(change.accepted_at, at)
    if state in (ContactState.DELIVERED, ContactState.READ):
        change.delivered_at = earliest(change.delivered_at, at)
    if change.state is None or rises(ContactState(change.state), state):
        change.state = int(state)
        change.state_at = at
        change.state_rules = None
        change.state_code = None


def decided(changes: Changes, fact: Fact, data: ContactDecided) -> None:
    """Fold a decision of scheduler or sender: nothing was sent by it."""
    change = _touch(changes, fact, data)
    change.step_key = change.step_key or data.step_key
    change.stage = data.stage if change.stage is None else change.stage
    change.manual = change.manual or data.manual
    change.due_at = latest(change.due_at, data.due_at)
    change.not_after = latest(change.not_after, data.not_after)
    if fact.state is None:
        return  # deferred: nothing was decided yet
    # Any final decision plans its contact, whichever of its facts is recorded first.
    change.planned_at = earliest(change.planned_at, data.at)
    change.local_day = latest_day(change.local_day, data.local_date)
    if fact.state == ContactState.DISPATCHED:
        change.dispatched_at = earliest(change.dispatched_at, data.at)


def attempted(changes: Changes, fact: Fact, data: ContactAttempted) -> None:
    """Fold what a provider call came to."""
    change = _touch(changes, fact, data)
    change.step_key = change.step_key or data.step_key or None
    change.account_id = change.account_id or data.account_id
    change.template = change.template or data.template
    change.segments = data.segments if change.segments is None else change.segments
    change.resolve_by = latest(change.resolve_by, data.resolve_by)


def received(changes: Changes, fact: Fact, data: ContactReceipt) -> None:
    """Fold what the provider reported afterwards."""
    change = _touch(changes, fact, data)
    change.account_id = change.account_id or data.account_id
    if fact.state == ContactState.SENT:
        change.sent_at = earliest(change.sent_at, data.at)
    elif fact.state == ContactState.READ:
        change.read_at = earliest(change.read_at, data.at)
    elif fact.type == "contact.complained.v1":
        change.complained_at = earliest(change.complained_at, data.at)


def replied(changes: Changes, fact: Fact, data: ContactReply) -> None:
    """Fold an answer of the debtor."""
    change = _touch(changes, fact, data)
    opted_out = fact.type == "contact.opted_out.v1"
    confirms = reply_confirms_person(data.intent, right_party=data.right_party)
    change.replied_at = earliest(change.replied_at, data.at)
    if opted_out:
        change.opted_out_at = earliest(change.opted_out_at, data.at)
    if confirms:
        change.right_party_at = earliest(change.right_party_at, data.at)
    if data.intent == PROMISE_INTENT and data.confident and data.promise_date is not None:
        _promised_by_reply(changes, fact, data)
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


def _promised_by_reply(changes: Changes, fact: Fact, data: ContactReply) -> None:
    """Fold a promise in the debtor's own words; about several debts it means their balance."""
    change = promise_of(changes, fact, data.reply_id)
    for item in data.items:
        add(change.debt_ids, item.debt_id)
    change.debtor_id = data.debtor_id
    change.amount = data.promise_amount if len(data.items) == 1 else None
    change.due_date = data.promise_date
    change.channel = data.channel
    change.made_at = earliest(change.made_at, data.at)


def recorded(changes: Changes, fact: Fact, data: ContactRecorded) -> None:
    """Fold what a person did: of a contact of ours when it names one, else one of its own."""
    change = _contact(changes, fact, data.contact_id or fact.event_id)
    if data.contact_id is None:
        change.origin = RECORDED
    change.debtor_id = change.debtor_id or data.debtor_id
    change.portfolio_id = change.portfolio_id or data.portfolio_id
    change.channel = change.channel or data.channel
    if data.debt_id is not None:
        add(change.debt_ids, data.debt_id)
    reached = data.outcome in REACHED_OUTCOMES
    _move(change, ContactState.DELIVERED if reached else ContactState.UNDELIVERED, data.at)
    if data.outcome in RIGHT_PARTY_OUTCOMES:
        change.right_party_at = earliest(change.right_party_at, data.at)
