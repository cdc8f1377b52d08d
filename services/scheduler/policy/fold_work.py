"""Folding what people decided: a step is waived, done, or tried again.

In: `work_item.closed` facts about a ladder step. Out: the step's record. Each decision counts once,
and only for the episode it was made about; other kinds are decided by events of their own.
"""

from datetime import datetime
from uuid import UUID

from services.scheduler.policy import hand_offs, progress
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import DONE, HAND_OFF
from services.scheduler.policy.state import DebtState
from shared.events.contact import WorkItemFact

WAIVE = "waive"
APPROVE = "approve"
# Kinds of work items that ask what becomes of a mandatory step.
ABOUT_A_STEP = frozenset({"mandatory_unknown_final", "mandatory_failed", "mandatory_withheld"})
MARK_CHARS = 12  # 48 bits tell the decisions on one debt apart


def closed(out: Folded, event_id: UUID, fact: WorkItemFact, now: datetime) -> None:
    """Act on a decision; a second copy of the fact finds its mark and changes nothing."""
    if fact.kind not in ABOUT_A_STEP | {HAND_OFF} or fact.step_key is None or fact.debt_id is None:
        return
    debt = out.state.debts.get(str(fact.debt_id))
    mark = event_id.hex[:MARK_CHARS]
    if debt is None or debt.episode != fact.episode or mark in debt.work_decided:
        return
    debt.work_decided.append(mark)
    if fact.kind == HAND_OFF:
        hand_offs.closed(out, debt, fact.step_key, fact.work_item_id)
    if fact.decision == WAIVE:
        progress.waived(out.state, fact.debt_id, fact.step_key, now)
    elif fact.decision == DONE:
        progress.taken_over(out.state, fact.debt_id, fact.step_key, now)
    elif fact.decision == APPROVE:
        _try_again(out, debt, fact.kind, fact.step_key)


def _try_again(out: Folded, debt: DebtState, kind: str, step_key: str) -> None:
    if kind == HAND_OFF:
        hand_offs.ask_again(debt, step_key)
    elif step_key in debt.steps:
        step = debt.steps[step_key]
        if step.state == "unknown_final" and step.contact_id is not None:
            out.released.append((step.contact_id, debt.debt_id))
        progress.approved(out.state, debt.debt_id, step_key)
        _may_ask_again(debt, step_key)


def _may_ask_again(debt: DebtState, step_key: str) -> None:
    """The step is tried again; when that fails too, a person is asked again."""
    asked = {f"{kind}:{debt.episode}:{step_key}" for kind in ABOUT_A_STEP}
    debt.work_opened = [mark for mark in debt.work_opened if mark not in asked]
