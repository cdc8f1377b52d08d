"""Escalation: the stage of a debt only rises, for ever, and only when something was sent.

In: an item of a contact that a provider accepted. Out: the debt's stage, and the fact
`debt.stage_advanced`. Planning, deferring or capping a step never moves the stage; the first
accepted contact of a higher stage does. The database guards the same rule once more.
"""

from datetime import datetime

from services.scheduler.policy.decision import Fact
from services.scheduler.policy.state import DebtorState, DebtState
from shared.events.contact import DebtFact, Item, Reason


def advance(
    state: DebtorState, debt: DebtState, item: Item, at: datetime, facts: list[Fact]
) -> None:
    """Raise the debt's stage to that of an accepted item; never lower it."""
    if item.stage <= debt.stage:
        return
    reason = Reason(
        rule="escalation.accepted",
        verdict="advanced",
        inputs={"from": str(debt.stage), "to": str(item.stage), "step": item.step_key},
    )
    debt.stage = item.stage
    fact = DebtFact(
        debtor_id=state.debtor_id,
        debt_id=debt.debt_id,
        portfolio_id=debt.portfolio_id,
        episode=debt.episode,
        at=at,
        machine_at=at,
        stage=item.stage,
        reasons=(reason,),
    )
    facts.append(("debt.stage_advanced.v1", fact))
