"""From decisions to rows: slots, contacts and work items, as the planning store takes them.

In: what the policy decided for one debtor. Out: values for whole-batch statements. A contact that
was handed over in the transaction that planned it is one row, already dispatched, with its task.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.scheduler.policy.decision import ContactPlan
from services.scheduler.policy.drafts import WorkItemDraft, item_id_of
from services.scheduler.policy.state import DebtorState
from services.scheduler.store.contacts import ContactRow, Slot
from services.scheduler.store.work import NewWorkItem
from shared.events.contact import Reason
from shared.events.states import ContactState

SLOT_TAKEN = Reason(rule="slot_taken", verdict="withheld")


class Handed(NamedTuple):
    """A contact handed over: when to ask for its end, the permit's end, the encoded task."""

    contact_id: UUID
    closing_at: datetime
    not_after: datetime
    task: bytes


def slots(planned: Sequence[tuple[DebtorState, ContactPlan]]) -> list[Slot]:
    """Return the slots that new contacts need: one per item."""
    return [
        Slot(
            debt_id=item.debt_id,
            episode=item.episode,
            step_key=item.step_key,
            channel=plan.channel,
            contact_id=plan.contact_id,
        )
        for _, plan in planned
        for item in plan.items
    ]


def row(
    state: DebtorState, plan: ContactPlan, traceparent: str | None, handed: Mapping[UUID, Handed]
) -> ContactRow:
    """Return a new contact's row: planned, or dispatched when it was handed over at once."""
    over = handed.get(plan.contact_id)
    return ContactRow(
        contact_id=plan.contact_id,
        debtor_id=state.debtor_id,
        tenant_id=state.tenant_id,
        portfolio_id=plan.portfolio_id,
        channel=plan.channel,
        account_id=plan.account_id,
        state=int(ContactState.PLANNED if over is None else ContactState.DISPATCHED),
        priority=plan.priority,
        wake_at=plan.due_at if over is None else over.closing_at,
        not_after=plan.not_after if over is None else over.not_after,
        traceparent=traceparent,
        task=None if over is None else over.task,
    )


def withheld(state: DebtorState, plan: ContactPlan) -> ContactRow:
    """Return the row of a contact that was decided against: final on arrival."""
    return ContactRow(
        contact_id=plan.contact_id,
        debtor_id=state.debtor_id,
        tenant_id=state.tenant_id,
        portfolio_id=plan.portfolio_id,
        channel=plan.channel,
        account_id=plan.account_id,
        state=int(ContactState.WITHHELD),
        priority=plan.priority,
        wake_at=None,
        not_after=plan.not_after,
    )


def work_item(state: DebtorState, draft: WorkItemDraft, opened_at: datetime) -> NewWorkItem:
    """Return the item for what the policy wants a person to look at."""
    return NewWorkItem(
        work_item_id=item_id_of(draft.cause, draft.kind),
        tenant_id=state.tenant_id,
        kind=draft.kind,
        opened_at=opened_at,
        debtor_id=draft.debtor_id,
        debt_id=draft.debt_id,
        contact_id=draft.contact_id,
        episode=draft.episode,
        step_key=draft.step_key,
        reasons=draft.reasons,
        deadline=draft.request.permit.not_after if draft.request is not None else None,
    )
