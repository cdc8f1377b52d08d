"""Pause first, think later: which events stop contact before anybody has understood them.

In: an event that intake accepts. Out: the holds it places in the same transaction (blueprint 7.2).
The planner confirms or lifts exactly these, found by the same derived ids.
"""

from uuid import UUID

from services.scheduler.store.holds import NewHold
from shared.events.debt import (
    ConsentChanged,
    ContactRecorded,
    DebtEventBase,
    DebtorMerged,
    HoldPlaced,
)
from shared.events.hold import subject_of
from shared.events.identities import hold_id
from shared.privacy import address_subject

STOPS_THE_DEBT = frozenset(
    {
        "debt.payment_received.v1",
        "debt.cancelled.v1",
        "debt.disputed.v1",
        "debt.promise_made.v1",
        "debt.agreement_made.v1",
    }
)
STOPS_THE_DEBTOR = frozenset(
    {"debtor.hold_placed.v1", "debtor.merged.v1", "debtor.erasure_requested.v1"}
)
PARKED_REASON = "parked_event"


def holds_of(
    kind: str, event: DebtEventBase, *, event_id: UUID, tenant_id: str, address_key: bytes
) -> list[NewHold]:
    """Return the holds this event places, none for events that stop nothing."""
    places: list[tuple[str, str]] = []
    if kind in STOPS_THE_DEBT:
        places.append(("debt", subject_of("debt", tenant_id, str(event.debt_id))))
    if _stops_the_debtor(kind, event):
        places.append(("debtor", subject_of("debtor", tenant_id, str(event.debtor_id))))
    if isinstance(event, DebtorMerged):
        merged = subject_of("debtor", tenant_id, str(event.merged_debtor_id))
        places.append(("debtor", merged))
    if isinstance(event, ConsentChanged) and event.state == "revoked" and event.address:
        channel = event.channel or ""
        places.append(("address", address_subject(address_key, tenant_id, channel, event.address)))
    held = event if isinstance(event, HoldPlaced) else None
    return [
        NewHold(
            hold_id=hold_id(event_id, scope, subject),
            tenant_id=tenant_id,
            scope=scope,
            subject=subject,
            reason=held.reason if held else kind.removesuffix(".v1"),
            until=held.until if held else None,
        )
        for scope, subject in places
    ]


def parked_hold(tenant_id: str, debt_id: UUID) -> NewHold:
    """The hold on a debt that events name before it is registered; lifted when it is."""
    subject = subject_of("debt", tenant_id, str(debt_id))
    return NewHold(
        hold_id=hold_id(debt_id, "debt", subject),
        tenant_id=tenant_id,
        scope="debt",
        subject=subject,
        reason=PARKED_REASON,
    )


def _stops_the_debtor(kind: str, event: DebtEventBase) -> bool:
    if isinstance(event, ConsentChanged):
        return event.state == "revoked"
    if isinstance(event, ContactRecorded):
        return event.outcome == "wrong_person"
    return kind in STOPS_THE_DEBTOR
