"""Handing a merged debtor over to the shard of the debtor that it turned out to be.

In: the merged debtor's state, at the moment its merge was folded. Out: `debtor.absorbed` under the
survivor's key, in parts that fit a record, and an empty state that only knows where the debtor
went. Whatever still comes for it (answers of senders, decisions of people, redeliveries) is
forwarded as it is, with its own id, on debt.events.v1 too: there it follows what was handed over.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from services.scheduler.outbound import SOURCE
from services.scheduler.policy.state import DebtorState, encode
from services.scheduler.working_set import WorkingSet
from shared.events.debt import DebtorAbsorbed, DebtorMerged
from shared.events.envelope import Envelope
from shared.events.envelope import encode as encode_data
from shared.events.identities import fact_id
from shared.events.topics import DEBT_EVENTS

ABSORBED = "debtor.absorbed.v1"
# Half of a record's 900 kB, so that one large contact more still fits; a usual debtor has 5 kB.
PART_BYTES_MAX = 400_000
# What may be many; everything else about a person is in the first part.
MANY = ("debts", "contacts", "past")


def hand_over(ws: WorkingSet, state: DebtorState, event: DebtorMerged, cause: UUID) -> None:
    """Put the whole of a merged debtor into the outbox, and forget it here."""
    parts = list(_parts(state))
    for number, part in enumerate(parts, start=1):
        absorbed = DebtorAbsorbed(
            debtor_id=event.debtor_id,
            occurred_at=event.occurred_at,
            recorded_at=ws.law,
            merged_debtor_id=state.debtor_id,
            cause_event_id=cause,
            part=number,
            parts=len(parts),
            state=msgspec.Raw(encode(part)),
        )
        envelope = Envelope(
            id=fact_id(cause, ABSORBED, f"{state.debtor_id}:{number}"),
            type=ABSORBED,
            source=SOURCE,
            time=ws.law,
            key=str(event.debtor_id),
            tenant_id=state.tenant_id,
            data=encode_data(absorbed),
            traceparent=ws.out.traces.get(state.debtor_id),
        )
        ws.out.add([(DEBT_EVENTS.name, envelope)])
    ws.debtors[state.debtor_id] = DebtorState(
        debtor_id=state.debtor_id, tenant_id=state.tenant_id, merged_into=event.debtor_id
    )


def forward(ws: WorkingSet, envelope: Envelope, event: msgspec.Struct, merged: DebtorState) -> None:
    """Send an event for a merged debtor after it; its own merge, told again, goes nowhere."""
    if isinstance(event, DebtorMerged) and event.merged_debtor_id == merged.debtor_id:
        return
    onward = msgspec.structs.replace(envelope, key=str(merged.merged_into))
    ws.out.add([(DEBT_EVENTS.name, onward)])


def _parts(state: DebtorState) -> Iterator[DebtorState]:
    """Cut a state into pieces of bounded size: debts first, for contacts are about them."""
    piece = msgspec.structs.replace(state, merged_into=None, debts={}, contacts={}, past={})
    size = len(encode(piece))
    for name in MANY:
        for key, value in getattr(state, name).items():
            added = len(msgspec.json.encode(value))
            if size + added > PART_BYTES_MAX:
                yield piece
                piece, size = _empty(state), 0
            many: dict[str, Any] = getattr(piece, name)
            many[key] = value
            size += added
    yield piece


def _empty(state: DebtorState) -> DebtorState:
    return DebtorState(debtor_id=state.debtor_id, tenant_id=state.tenant_id)
