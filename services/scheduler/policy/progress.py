"""Move contacts and steps of the state forward: the one place where a step's fate is written.

In: a contact's new state, from facts (`fold`), from dispatch, or set by planner and dispatcher on
the record itself (`reconcile` notices). Out: step records and stages in the state, and what
follows: stage facts, contacts to cancel or close, work items. States only rise (`states.rises`).
"""

from datetime import datetime
from uuid import UUID

from services.scheduler.policy.decision import Defer, Drop, Folded, Go
from services.scheduler.policy.drafts import DONE, WorkItemDraft
from services.scheduler.policy.escalation import advance
from services.scheduler.policy.state import ContactRecord, DebtorState, DebtState, StepRecord
from shared.events.contact import Item, Reason
from shared.events.identities import fact_id
from shared.events.states import ContactState, rises

IN_FLIGHT = ("open", "unknown")
LATE_EVIDENCE = (Reason(rule="late_evidence", verdict="earlier contact was accepted after all"),)


def dispatched(state: DebtorState, contact_id: UUID, go: Go, now: datetime) -> None:
    """Record that the contact was handed over under this licence."""
    record = state.contacts[str(contact_id)]
    record.state = int(ContactState.DISPATCHED)
    record.local_date = go.local_date
    record.not_before = go.not_before
    record.not_after = go.not_after
    record.address = go.address
    record.at = now


def deferred(state: DebtorState, contact_id: UUID, defer: Defer, now: datetime) -> None:
    """Record the contact's new due time."""
    record = state.contacts[str(contact_id)]
    record.due_at = defer.until
    record.not_before = defer.until
    record.not_after = defer.not_after
    record.local_date = defer.local_date
    record.at = now


def dropped(state: DebtorState, contact_id: UUID, drop: Drop, now: datetime) -> None:
    """Record that the contact ended without a send; its steps become free (see `decide`)."""
    raise_contact(state, contact_id, drop.outcome, now, Folded(state=state))


def waived(state: DebtorState, debt_id: UUID, step_key: str, now: datetime) -> None:
    """Record a person's decision that a step need not be taken, unless it was taken after all."""
    step = state.debts[str(debt_id)].steps.setdefault(step_key, StepRecord(mandatory=True))
    if step.state != "sent":
        step.state = "waived"
        step.at = now
        step.reason = None


def taken_over(state: DebtorState, debt_id: UUID, step_key: str, now: datetime) -> None:
    """Record that a person did what a step is about, unless it left or is over by itself.

    `reason` tells such a step from one that a person only has: later steps may build on it.
    """
    step = state.debts[str(debt_id)].steps.setdefault(step_key, StepRecord())
    if step.state == "pending" or (step.state == "handed_off" and step.reason != DONE):
        step.state = "handed_off"
        step.at = now
        step.reason = DONE


def approved(state: DebtorState, debt_id: UUID, step_key: str) -> None:
    """Record a person's decision that an unknown or failed step is tried again, under a new k."""
    step = state.debts[str(debt_id)].steps[step_key]
    if step.state in ("unknown_final", "pending", "withheld"):
        step.state = "pending"
        step.failures = 0
        step.sent_on, step.failed_on = {}, []
        step.reason = None


def raise_contact(
    state: DebtorState, contact_id: UUID, new: ContactState, at: datetime, out: Folded
) -> bool:
    """Move a contact forward and its steps with it; say whether it moved."""
    record = state.contacts[str(contact_id)]
    if not rises(ContactState(record.state), new):
        return False
    record.state = int(new)
    record.at = at
    out.touched_contacts.add(contact_id)
    for item in record.items:
        debt = state.debts.get(str(item.debt_id))
        if debt is not None and debt.episode == item.episode:
            _move_step(state, debt, item, contact_id, new, at, out)
    return True


def reconcile(state: DebtorState) -> None:
    """Bring steps in flight in line with their contact's record (it may have been set directly)."""
    for debt in state.debts.values():
        for step in debt.steps.values():
            if step.state not in IN_FLIGHT or step.contact_id is None:
                continue
            record = state.contacts.get(str(step.contact_id))
            if record is not None:
                _settle_step(step, ContactState(record.state), record.at, record.channel)


def _move_step(
    state: DebtorState,
    debt: DebtState,
    item: Item,
    contact_id: UUID,
    new: ContactState,
    at: datetime,
    out: Folded,
) -> None:
    step = debt.steps.setdefault(item.step_key, StepRecord())
    if step.state == "waived" and new < ContactState.ACCEPTED:
        return  # a person decided that it need not be taken: only a message that left says more
    channel = state.contacts[str(contact_id)].channel
    if step.contact_id == contact_id or step.contact_id is None:
        step.contact_id = contact_id
        _settle_step(step, new, at, channel)
    elif new >= ContactState.ACCEPTED and step.sent_on.get(channel) != contact_id:
        _take_late_evidence(state, debt, item, contact_id, at, out)
    if new >= ContactState.ACCEPTED:
        advance(state, debt, item, at, out.facts)
    elif step.state == "unknown_final" and step.mandatory and step.contact_id == contact_id:
        out.work_items.append(_work_item(state, item, contact_id, "mandatory_unknown_final"))


def _settle_step(step: StepRecord, new: ContactState, at: datetime | None, channel: str) -> None:
    if new >= ContactState.ACCEPTED:
        step.state = "sent"
        _left(step, channel)
    elif new == ContactState.UNKNOWN:
        step.state = "unknown"
    elif new == ContactState.UNKNOWN_FINAL:
        step.state = "sent" if step.sent_on.keys() - {channel} else "unknown_final"
        _left(step, channel)
    elif new >= ContactState.WITHHELD:
        _not_sent(step, new, channel)
    else:
        return
    step.at = at or step.at


def _left(step: StepRecord, channel: str) -> None:
    if step.contact_id is not None:
        step.sent_on.setdefault(channel, step.contact_id)


def _not_sent(step: StepRecord, new: ContactState, channel: str) -> None:
    """Nothing left on this channel: the step waits, unless it left on another one before."""
    if step.sent_on.get(channel) == step.contact_id:
        del step.sent_on[channel]  # unknown for good, it seemed
    if new == ContactState.FAILED:
        step.failed_on.append(channel)
        step.failures = max(step.failed_on.count(name) for name in step.failed_on)
    if step.sent_on:
        step.state = "sent"
    elif new == ContactState.WITHHELD and not step.mandatory:
        step.state = "withheld"
    else:
        step.state = "pending"
        if new == ContactState.WITHHELD:
            step.reason = step.reason or "withheld"


def _take_late_evidence(
    state: DebtorState,
    debt: DebtState,
    item: Item,
    contact_id: UUID,
    at: datetime,
    out: Folded,
) -> None:
    """An ended contact was accepted after all: its step is sent, the newer contact must end."""
    step = debt.steps[item.step_key]
    newer_id = step.contact_id
    newer = state.contacts.get(str(newer_id))
    kind = "late_evidence"
    if newer is not None and newer_id is not None and step.state in IN_FLIGHT:
        _end_newer(state, newer, newer_id, at, out)
    elif step.state == "sent":
        kind = "double_contact"
    step.state = "sent"
    step.contact_id = contact_id
    step.at = at
    _left(step, state.contacts[str(contact_id)].channel)
    out.work_items.append(_work_item(state, item, contact_id, kind))


def _end_newer(
    state: DebtorState, newer: ContactRecord, newer_id: UUID, at: datetime, out: Folded
) -> None:
    if newer.state == ContactState.PLANNED:
        raise_contact(state, newer_id, ContactState.CANCELLED, at, out)
        out.cancelled.append((newer_id, LATE_EVIDENCE))
    elif newer_id not in out.close_requests:
        out.close_requests.append(newer_id)


def _work_item(state: DebtorState, item: Item, contact_id: UUID, kind: str) -> WorkItemDraft:
    return WorkItemDraft(
        kind=kind,
        cause=fact_id(contact_id, kind, str(item.debt_id)),
        debtor_id=state.debtor_id,
        debt_id=item.debt_id,
        contact_id=contact_id,
        episode=item.episode,
        step_key=item.step_key,
        reasons=(Reason(rule=kind, verdict="needs a person", inputs={"step": item.step_key}),),
    )
