"""Decide what to do for one debtor now."""

from collections.abc import Sequence
from datetime import datetime

from services.scheduler.policy.decision import ContactPlan, Decision
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState
from shared.events.hold import Hold

__all__ = ["ContactPlan", "Decision", "decide"]


def decide(
    state: DebtorState, rulebook: Rulebook, holds: Sequence[Hold], now: datetime
) -> Decision:
    """Plan for every debt of the debtor; `holds` are the active ones after this batch's changes."""
    raise NotImplementedError(state, rulebook, holds, now)
