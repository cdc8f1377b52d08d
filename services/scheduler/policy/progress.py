"""Move contacts and steps of the state forward: what dispatcher and fold both do to it."""

from datetime import datetime
from uuid import UUID

from services.scheduler.policy.decision import Defer, Drop, Go
from services.scheduler.policy.state import DebtorState


def dispatched(state: DebtorState, contact_id: UUID, go: Go, now: datetime) -> None:
    """Record that the contact was handed over under this licence."""
    raise NotImplementedError(state, contact_id, go, now)


def deferred(state: DebtorState, contact_id: UUID, defer: Defer, now: datetime) -> None:
    """Record the contact's new due time."""
    raise NotImplementedError(state, contact_id, defer, now)


def dropped(state: DebtorState, contact_id: UUID, drop: Drop, now: datetime) -> None:
    """Record that the contact ended without a send; its steps become free (see `decide`)."""
    raise NotImplementedError(state, contact_id, drop, now)
