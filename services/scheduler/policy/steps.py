"""Steps: where a debt stands on its ladder and which step is due.

In: the debt's step records, its ladder, a local date. Out: the step to take, or the date on which
there may be one, or what blocks; steps that are over are marked in the records.
A deferred or capped step stays pending; mandatory steps are waited for; nothing goes backwards.
"""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.policy.drafts import DONE
from services.scheduler.policy.rulebook import Ladder, Step
from services.scheduler.policy.state import DebtState, StepRecord
from shared.events.contact import Reason

FAILURES_MAX = 3  # three different days without a provider taking it, on one channel: look at it
ONE_DAY = timedelta(days=1)
OVER = frozenset({"sent", "handed_off", "entered_late", "missed", "withheld", "waived"})
TAKEN = frozenset({"sent", "unknown", "unknown_final"})
NOTHING_DONE = StepRecord()


class Position(NamedTuple):
    """The step to take now, or the next date of change, with the reason; both None: ladder is over.

    `work_item` names what needs a person.
    """

    step: Step | None
    next_day: date | None
    reason: Reason
    work_item: str | None = None


class View(NamedTuple):
    """One debt on one ladder on one local date."""

    debt: DebtState
    ladder: Ladder
    version: int
    day: date
    zone: ZoneInfo
    stage_wait: Callable[[int, date], int]


def enter(debt: DebtState, ladder: Ladder, version: int, day: date) -> None:
    """Put a debt on its ladder: at the last step at or below its days past due.

    Earlier optional steps, and every step before the due date, are recorded as entered late;
    earlier mandatory ones stay pending and so come first.
    """
    debt.episode = max(debt.episode, 1)
    debt.ladder_id = ladder.id
    debt.ladder_version = version
    debt.entered_on = day
    if debt.due_date is None:
        return
    past_due = (day - debt.due_date).days
    reached = [step for step in ladder.steps if step.offset_days <= past_due]
    for step in reached:
        is_entry = step is reached[-1]
        before_due = step.offset_days < 0 <= past_due
        if before_due or (not is_entry and not step.mandatory):
            _mark(debt, step, "entered_late", "entered_mid_life")


def locate(view: View, *, planned: frozenset[str]) -> Position:
    """Find the step to take on `view.day`. `planned`: steps whose contact is only planned."""
    debt = view.debt
    if debt.due_date is None:
        return Position(None, None, _reason(view, "ladder.no_due_date", "wait"))
    for index, step in enumerate(view.ladder.steps):
        record = debt.steps.get(step.key, NOTHING_DONE)
        if record.state in OVER:
            continue
        found = _flying(view, step, record, planned)
        if found is not None:
            return found
        # What left already may want a follow-up on another channel, which is not asked here.
        waiting = record.state in ("pending", "open") and not record.sent_on
        if not waiting or _past_stage(debt, step):
            continue
        due = due_day(debt, step)
        if view.day < due:
            return Position(None, due, _reason(view, "ladder.next_step", "wait", step))
        if _lapsed(view, step, index):
            continue
        return _due(view, step, record)
    return Position(None, None, _reason(view, "ladder.finished", "wait"))


def due_day(debt: DebtState, step: Step) -> date:
    """Return the local date a step is due: its offset, or the debt's entry when that is later."""
    due = (debt.due_date or date.max) + step.offset_days * ONE_DAY
    return max(due, debt.entered_on) if debt.entered_on is not None else due


def valid_on(debt: DebtState, step: Step, day: date) -> bool:
    """Say whether an optional step that is skipped when late may still be taken on `day`."""
    if step.mandatory or step.misfire != "skip":
        return True
    return (day - due_day(debt, step)).days <= step.max_days_late


def retry(view: View, step: Step, channel: str) -> Position | None:
    """Return the wait of a channel that failed today already; the others need not wait for it."""
    record = view.debt.steps.get(step.key, NOTHING_DONE)
    if channel not in record.failed_on or record.at is None:
        return None
    again = record.at.astimezone(view.zone).date() + ONE_DAY
    if view.day >= again:
        return None
    return Position(None, again, _reason(view, "ladder.retry", "wait", step))


def _flying(view: View, step: Step, record: StepRecord, planned: frozenset[str]) -> Position | None:
    """A step on its way: wait for it, unless its contact is only planned (judged anew)."""
    if record.state == "open" and step.key not in planned:
        return Position(None, None, _reason(view, "ladder.contact_open", "wait", step))
    if record.state in ("unknown", "unknown_final") and step.mandatory:
        # When it ended unknown, folding that fact asked a person already.
        return Position(None, None, _reason(view, "ladder.mandatory_unknown", "wait", step))
    return None


def _past_stage(debt: DebtState, step: Step) -> bool:
    """Mark a step of a milder stage: nothing goes backwards, not even to a mandatory step."""
    if step.stage >= debt.stage:
        return False
    _mark(debt, step, "entered_late", "stage_already_past")
    return True


def _lapsed(view: View, step: Step, index: int) -> bool:
    """Mark a due step that will not be taken any more; say whether it was one."""
    debt = view.debt
    if step.mandatory:
        return False
    if _overtaken(debt, view.ladder, index):
        _mark(debt, step, "missed", "later_step_taken")
    elif not valid_on(debt, step, view.day):
        _mark(debt, step, "missed", "too_late")
    elif step.misfire == "send_once" and _later_due(view, index):
        _mark(debt, step, "missed", "later_step_due")
    elif step.after_step is not None and _never(debt, step.after_step):
        _mark(debt, step, "missed", "precondition_never_met")
    elif debt.steps.get(step.key, NOTHING_DONE).failures >= FAILURES_MAX:
        _mark(debt, step, "missed", "failed_too_often")
    else:
        return False
    return True


def _due(view: View, step: Step, record: StepRecord) -> Position:
    """A due step: check the distances it must keep."""
    if record.failures >= FAILURES_MAX:
        reason = _reason(view, "ladder.mandatory_failed", "wait", step)
        return Position(None, None, reason, "mandatory_failed")
    if step.mandatory and record.reason is not None and record.state == "pending":
        # withheld before: it is tried again only when something about it changed (`decide` knows)
        return Position(step, None, _reason(view, "ladder.step_due", "retry", step))
    earliest, rule = _earliest(view, step)
    if earliest is None:
        return Position(None, None, _reason(view, rule, "wait", step))
    if view.day < earliest:
        return Position(None, earliest, _reason(view, rule, "wait", step))
    return Position(step, None, _reason(view, "ladder.step_due", "due", step))


def _earliest(view: View, step: Step) -> tuple[date | None, str]:
    """Return the first date the step may be taken on and the rule that says so; None: not known."""
    taken = [(r.at, key) for key, r in view.debt.steps.items() if _taken(r) and r.at]
    days = {key: at.astimezone(view.zone).date() for at, key in taken}
    earliest, rule = due_day(view.debt, step), "ladder.step_due"
    limits: list[tuple[date, str]] = []
    if days:
        limits.append((max(days.values()) + view.ladder.gap_days * ONE_DAY, "ladder.gap"))
    if step.after_step is not None:
        if step.after_step not in days:
            return None, "ladder.precondition"
        limits.append((days[step.after_step] + step.wait_days * ONE_DAY, "ladder.precondition"))
    wait = view.stage_wait(step.stage, view.day)
    if wait:
        if not days:
            return None, "pack.stage_wait"
        limits.append((min(days.values()) + wait * ONE_DAY, "pack.stage_wait"))
    return max([(earliest, rule), *limits], key=lambda limit: limit[0])


def _later_due(view: View, index: int) -> bool:
    return any(
        view.debt.steps.get(later.key, NOTHING_DONE).state == "pending"
        and due_day(view.debt, later) <= view.day
        for later in view.ladder.steps[index + 1 :]
    )


def _never(debt: DebtState, key: str) -> bool:
    record = debt.steps.get(key, NOTHING_DONE)
    if _taken(record):
        return False
    return record.state in ("handed_off", "entered_late", "missed", "withheld", "waived")


def _taken(record: StepRecord) -> bool:
    """Say whether the step's message left, or a person did the step."""
    return record.state in TAKEN or (record.state == "handed_off" and record.reason == DONE)


def _overtaken(debt: DebtState, ladder: Ladder, index: int) -> bool:
    """Say whether a later step was taken already (as after a change of ladder)."""
    taken = [key for key, record in debt.steps.items() if record.state in TAKEN]
    if not taken:
        return False
    return any(step.key in taken for step in ladder.steps[index + 1 :])


def _mark(debt: DebtState, step: Step, state: str, reason: str) -> None:
    record = debt.steps.setdefault(step.key, StepRecord())
    if record.state == "pending":
        record.state = state
        record.reason = reason
        record.mandatory = step.mandatory


def _reason(view: View, rule: str, verdict: str, step: Step | None = None) -> Reason:
    inputs = {"ladder": view.ladder.id, "day": view.day.isoformat()}
    if step is not None:
        inputs["step"] = step.key
        inputs["offset_days"] = str(step.offset_days)
    if view.debt.due_date is not None:
        inputs["days_past_due"] = str((view.day - view.debt.due_date).days)
    return Reason(rule=rule, version=str(view.version), verdict=verdict, inputs=inputs)
