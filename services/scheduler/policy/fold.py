"""Fold one event into a debtor's state: the only way in which the policy learns.

In: a debt event or a contact fact, with its event id. Out: the changed state, and what follows at
once: hold changes, facts, work items, contacts to cancel or to close. Folding is idempotent by
event id and does not depend on the order of arrival; an event before its debt makes a stub.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scheduler.policy import (
    fold_contacts,
    fold_debts,
    fold_merges,
    fold_people,
    fold_work,
)
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.state import DebtorState
from shared.events.contact import CONTACT_FACT_TYPES
from shared.events.debt import DebtorAbsorbed
from shared.events.states import STATE_AFTER

AddressSubject = Callable[[str, str], str]
Handler = Callable[[Folded, UUID, Any, datetime], None]

HANDLERS: dict[str, Handler] = {
    "debt.registered.v1": fold_debts.registered,
    "debt.updated.v1": fold_debts.updated,
    "debt.payment_received.v1": fold_debts.payment_received,
    "debt.payment_reversed.v1": fold_debts.payment_reversed,
    "debt.cancelled.v1": fold_debts.cancelled,
    "debt.disputed.v1": fold_debts.disputed,
    "debt.dispute_resolved.v1": fold_debts.dispute_resolved,
    "debt.promise_made.v1": fold_debts.promise_made,
    "debt.promise_cancelled.v1": fold_debts.promise_cancelled,
    "debt.agreement_made.v1": fold_debts.agreement_made,
    "debtor.updated.v1": fold_people.updated,
    "debtor.merged.v1": fold_merges.merged,
    "debtor.hold_placed.v1": fold_people.hold_placed,
    "debtor.hold_lifted.v1": fold_people.hold_lifted,
    "debtor.erasure_requested.v1": fold_people.erasure_requested,
    "contact.recorded.v1": fold_people.contact_recorded,
    "contact.replied.v1": fold_contacts.replied,
    "contact.opted_out.v1": fold_contacts.opted_out,
    "contact.complained.v1": fold_contacts.complained,
    "contact.accepted.v1": fold_contacts.attempted,
    "contact.failed.v1": fold_contacts.attempted,
    "contact.attempt_refused.v1": fold_contacts.attempted,
    "contact.undelivered.v1": fold_contacts.attempted,
    "work_item.closed.v1": fold_work.closed,
}


def fold(
    state: DebtorState | None,
    event_type: str,
    event_id: UUID,
    event: msgspec.Struct,
    tenant_id: str,
    now: datetime,
    address_subject: AddressSubject | None = None,
    debtor_id: UUID | None = None,
) -> Folded:
    """Take one event into the state (changed in place; made when None).

    `address_subject` maps (channel, address) to the subject of address holds; without it a new
    grant of consent does not lift the address hold of an earlier revocation. Types that the policy
    has nothing to learn from change nothing. `debtor_id` is whose state it is, when the event (a
    merge) is told to somebody else than it names.
    """
    if state is None:
        known_as: UUID = debtor_id or event.debtor_id  # type: ignore[attr-defined] # all have one
        state = DebtorState(debtor_id=known_as, tenant_id=tenant_id)
    out = Folded(state=state)
    if event_type == "debtor.consent_changed.v1":
        fold_people.consent_changed(out, event_id, event, address_subject)  # type: ignore[arg-type]
        return out
    if isinstance(event, DebtorAbsorbed):
        fold_merges.absorbed(out, event, address_subject, now)
        return out
    if event_type in STATE_AFTER and event_type in CONTACT_FACT_TYPES:
        fold_contacts.moved(out, event_type, event)
    handler = HANDLERS.get(event_type)
    if handler is not None:
        handler(out, event_id, event, now)
    return out
