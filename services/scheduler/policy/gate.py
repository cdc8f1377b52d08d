"""License one planned contact at dispatch, or say why not."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from services.scheduler.policy.decision import Defer, Drop, Go
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState
from shared.events.hold import Hold

__all__ = ["Defer", "Drop", "Go", "gate"]


def gate(
    state: DebtorState,
    contact_id: UUID,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: Callable[[str, str], str],
) -> Go | Defer | Drop:
    """Re-check everything for one planned contact of the state; the state is not changed."""
    raise NotImplementedError(state, contact_id, rulebook, holds, now, address_subject)
