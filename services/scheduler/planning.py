"""Folding and deciding: one batch of events of one shard, in one fenced transaction.

In: events of debt.events.v1 and contact.events.v1 that were not folded yet, or debtors whose
instant has come. Out: new states, planned contacts, lifted or confirmed holds, work items, facts.
Nothing here reads a topic or commits: `services.scheduler.planner` does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.dispatcher import Dispatch
from services.scheduler.merging import forward, hand_over
from services.scheduler.outbound import SOURCE
from services.scheduler.people_asked import BY_US
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.fold import fold
from services.scheduler.policy.reach import TELLING, holds_after
from services.scheduler.policy.state import DebtorState
from services.scheduler.store.postponed import Postponed, postpone_contacts
from services.scheduler.working_set import WorkingSet
from shared.events.contact import (
    CONTACT_FACT_TYPES,
    CloseRequested,
    ContactDecided,
    Permit,
    WorkItemFact,
)
from shared.events.debt import DEBT_EVENT_TYPES, DebtorMerged
from shared.events.envelope import Envelope, UnreadableEvent, decode
from shared.events.states import ContactState

# Handed to the carrier: the planner knew already that the provider had it.
PASSED_OVER = frozenset({"contact.sent.v1"})
# Our own facts that the state does not know yet: decisions taken at the API.
SAID_BY_PEOPLE = frozenset({"work_item.closed.v1"})
# Kept in the state, but nothing is decided anew: what is due does not change by them.
QUIET = frozenset({"contact.delivered.v1", "contact.read.v1"})


class Incoming(msgspec.Struct, frozen=True):
    """One event to fold: its envelope, decoded data, and whose state it changes (the key)."""

    envelope: Envelope
    event: msgspec.Struct
    debtor_id: UUID


def read(envelope: Envelope) -> Incoming | None:
    """Decode an event for folding; None when the planner has nothing to learn from it.

    Raise `UnreadableEvent` when the type is ours and the data is not readable. Unknown types are
    a newer producer's and are passed over.
    """
    if envelope.type in PASSED_OVER:
        return None
    own = envelope.source == SOURCE and envelope.type in CONTACT_FACT_TYPES
    if own and envelope.type not in SAID_BY_PEOPLE:
        return None  # our own facts: the state already says so
    shape = DEBT_EVENT_TYPES.get(envelope.type) or CONTACT_FACT_TYPES.get(envelope.type)
    if shape is None:
        return None
    event = decode(envelope.data, shape)
    if isinstance(event, WorkItemFact) and (event.step_key is None or event.actor == BY_US):
        return None  # decided by events of its own, or about nobody
    try:
        # Not the debtor that the data names: a merge is told to both, and what came late for a
        # merged debtor is forwarded as it is.
        return Incoming(envelope, event, UUID(envelope.key))
    except ValueError:
        msg = "event is not keyed by a debtor"
        raise UnreadableEvent(msg) from None


async def plan_events(ws: WorkingSet, incoming: Sequence[Incoming], dispatch: Dispatch) -> None:
    """Fold the events, decide once for every debtor they touched, hand over what is due, save."""
    touched = dict.fromkeys(item.debtor_id for item in incoming)
    await ws.load(touched)
    handed_back: list[Postponed] = []
    for item in incoming:
        if item.envelope.type == "contact.deferred.v1":
            handed_back.append(_handed_back(item.event, ws.law))
            continue
        _fold_one(ws, item, dispatch)
    await ws.load_holds()
    quiet = touched.keys() - {i.debtor_id for i in incoming if i.envelope.type not in QUIET}
    for debtor_id in touched:
        state = ws.debtors.get(debtor_id)
        if state is not None and not (debtor_id in quiet and ws.knew(debtor_id)):
            ws.decide(state, dispatch.rulebook_of(state.tenant_id))
    await dispatch.at_once(ws)
    await ws.save(touched)
    if handed_back:
        await postpone_contacts(ws.conn, handed_back)


async def plan_due(ws: WorkingSet, debtor_ids: Iterable[UUID], dispatch: Dispatch) -> None:
    """Decide anew for debtors whose instant has come, hand over what is due, and save."""
    due = list(debtor_ids)
    await ws.load(due)
    await ws.load_holds()
    for debtor_id in due:
        state = ws.debtors[debtor_id]
        ws.decide(state, dispatch.rulebook_of(state.tenant_id))
    await dispatch.at_once(ws)
    await ws.save(due)


def _fold_one(ws: WorkingSet, item: Incoming, dispatch: Dispatch) -> None:
    envelope = item.envelope
    known = ws.debtors.get(item.debtor_id)
    if known is not None and known.merged_into is not None:
        forward(ws, envelope, item.event, known)
        return

    def address_subject(channel: str, address: str) -> str:
        return dispatch.address_subject_of(envelope.tenant_id, channel, address)

    folded = fold(
        known,
        envelope.type,
        envelope.id,
        item.event,
        tenant_id=envelope.tenant_id,
        now=ws.law,
        address_subject=address_subject,
        debtor_id=item.debtor_id,
    )
    state = folded.state
    ws.debtors[item.debtor_id] = state
    ws.out.traces[item.debtor_id] = envelope.traceparent or ws.out.traces.get(item.debtor_id)
    if envelope.type in TELLING:
        book = dispatch.rulebook_of(envelope.tenant_id)
        told = (state, envelope.type, envelope.id, item.event, book, ws.law, address_subject)
        ws.place(state, holds_after(*told))
    _take(ws, state, folded)
    if folded.leaving is not None and isinstance(item.event, DebtorMerged):
        hand_over(ws, state, item.event, folded.leaving)


def _take(ws: WorkingSet, state: DebtorState, folded: Folded) -> None:
    """Note everything that follows from folding."""
    ws.hold_changes.extend(folded.hold_changes)
    ws.work_items.extend(folded.work_items)
    ws.endings.extend(folded.endings)
    ws.released.extend(folded.released)
    for kind, fact in folded.facts:
        ws.out.conclude(state, kind, fact)
    for ended, reasons in folded.cancelled:
        ws.end_contact(state, ended, ContactState.CANCELLED, reasons)
    for contact_id in folded.touched_contacts:
        ws.raised(contact_id, int(state.contacts[str(contact_id)].state))
    for contact_id in folded.close_requests:
        _request_close(ws, state, contact_id)


def _request_close(ws: WorkingSet, state: DebtorState, contact_id: UUID) -> None:
    """Ask a contact's sender to end it: an older one arrived after all, or its debtor is merged."""
    record = state.contacts[str(contact_id)]
    if record.not_before is None or record.not_after is None or record.local_date is None:
        return  # never dispatched: there is nothing at a sender to end
    permit = Permit(
        issued_at=ws.machine,
        not_before=record.not_before,
        not_after=record.not_after,
        local_date=record.local_date,
        versions={},
    )
    request = CloseRequested(
        contact_id=contact_id,
        debtor_id=state.debtor_id,
        tenant_id=state.tenant_id,
        portfolio_id=record.portfolio_id,
        channel=record.channel,
        items=tuple(record.items),
        permit=permit,
        reason="debtor_merged" if state.merged_into is not None else "late_evidence",
    )
    ws.out.hand_over(state, record.channel, "contact.close_requested.v1", request)


def _handed_back(event: msgspec.Struct, now: datetime) -> Postponed:
    """A sender returned the contact unspent: same permit, handed over again at `until`."""
    assert isinstance(event, ContactDecided)  # noqa: S101 - `read` decoded it by this type
    return Postponed(event.contact_id, event.until or now, again=True)
