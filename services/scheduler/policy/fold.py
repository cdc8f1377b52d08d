"""Fold one event into a debtor's state."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.state import DebtorState


def fold(
    state: DebtorState | None,
    event_type: str,
    event_id: UUID,
    event: msgspec.Struct,
    tenant_id: str,
    now: datetime,
) -> Folded:
    """Take one event into the state (changed in place; made when None). Idempotent by event id."""
    raise NotImplementedError(state, event_type, event_id, event, tenant_id, now)
