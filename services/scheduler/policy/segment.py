"""Segments: which ladder a debt follows.

In: the debt, its portfolio, the rulebook. Out: the ladder, in the version the debt is on until its
episode ends. Today every debt follows its portfolio's ladder; conditions over age, product, amount
and history belong here.
"""

from services.scheduler.policy.rulebook import Ladder, Rulebook
from services.scheduler.policy.state import DebtState
from shared.events.configuration import Portfolio


def ladder_for(
    debt: DebtState, portfolio: Portfolio, rulebook: Rulebook
) -> tuple[int, Ladder] | None:
    """Return (configuration version, ladder); None when it is not configured (yet)."""
    if debt.ladder_id:
        pinned = rulebook.old_ladders.get((debt.ladder_id, debt.ladder_version))
        if pinned is not None:
            return debt.ladder_version, pinned
        if debt.ladder_id in rulebook.ladders:
            return rulebook.ladders[debt.ladder_id]
    return rulebook.ladders.get(portfolio.ladder_id)
