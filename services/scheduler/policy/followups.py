"""Follow-ups: when a step whose message left goes on to its next channel.

In: a debt's step records and its contacts, the step's `fallback` days, the debtor's newest reply.
Out: the step to follow up, since when, and why; or the date on which that may be. A follow-up is a
second contact of the same step on another channel: it counts in every cap, it ends with any answer,
and a later step that is due makes it pointless.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.policy.rulebook import HANDOFF, Fallback, Step
from services.scheduler.policy.state import (
    ContactRecord,
    DebtorState,
    DebtState,
    StepRecord,
)
from services.scheduler.policy.steps import NOTHING_DONE, TAKEN, View, due_day
from shared.events.contact import Reason
from shared.events.states import ContactState

ONE_DAY = timedelta(days=1)
DAYS_LATE_MAX = 7  # after downtime: a follow-up of something older would only puzzle
# Channels whose providers tell that a message arrived, and that it was read: elsewhere silence
# means nothing. E-mail tells when it did not arrive (a bounce) and nothing else.
TELL_DELIVERY = frozenset({"sms", "whatsapp"})
TELL_READING = frozenset({"whatsapp"})


class FollowUp(NamedTuple):
    """A step to follow up: from `due` on, because of what did not happen on `channel`."""

    step: Step
    channel: str
    due: date
    because: str


def find(
    view: View, contacts: Mapping[str, ContactRecord], answered_at: datetime | None
) -> FollowUp | None:
    """Return what the newest step that left wants; None when it wants nothing, or not any more."""
    for index in reversed(range(len(view.ladder.steps))):
        step = view.ladder.steps[index]
        record = view.debt.steps.get(step.key, NOTHING_DONE)
        if not record.sent_on:
            if record.state in TAKEN or record.state == "open":
                return None  # a later step is on its way, or left before we knew of channels
            continue
        if step.fallback is None or not _open(view, index, record):
            return None
        channel, contact_id = list(record.sent_on.items())[-1]
        contact = contacts.get(str(contact_id))
        found = wanted(step.fallback, channel, contact, answered_at, view.zone)
        if found is None or view.day > found[0] + DAYS_LATE_MAX * ONE_DAY:
            return None
        return FollowUp(step, channel, *found)
    return None


def wanted(
    fallback: Fallback,
    channel: str,
    contact: ContactRecord | None,
    answered_at: datetime | None,
    zone: ZoneInfo,
) -> tuple[date, str] | None:
    """Return since when, and why, a message on `channel` wants a follow-up; None: it does not."""
    if contact is None or contact.local_date is None:
        return None
    left = contact.local_date
    if answered_at is not None and answered_at.astimezone(zone).date() >= left:
        return None
    state = contact.state
    if state == ContactState.UNDELIVERED and fallback.undelivered_days is not None:
        return left, "undelivered"
    reasons: list[tuple[int | None, str]] = [(fallback.unanswered_days, "unanswered")]
    known = state != ContactState.UNKNOWN_FINAL  # of what may never have left, nobody tells
    if known and channel in TELL_READING and state < ContactState.READ:
        reasons.insert(0, (fallback.unread_days, "unread"))
    if known and channel in TELL_DELIVERY and state < ContactState.DELIVERED:
        reasons.insert(0, (fallback.undelivered_days, "undelivered"))
    dated = [(left + days * ONE_DAY, why) for days, why in reasons if days is not None]
    return min(dated, key=lambda found: found[0], default=None)


def stands(
    state: DebtorState,
    debt: DebtState,
    step_key: str,
    step: Step | None,
    zone: ZoneInfo,
    day: date,
) -> bool:
    """Say whether a planned message of this step is a first one, or a follow-up still wanted."""
    sent = debt.steps.get(step_key, NOTHING_DONE).sent_on
    if not sent:
        return True
    if step is None or step.fallback is None:
        return False
    channel, contact_id = list(sent.items())[-1]
    contact = state.contacts.get(str(contact_id))
    found = wanted(step.fallback, channel, contact, state.answered_at, zone)
    return found is not None and found[0] <= day


def channels_left(step: Step, record: StepRecord) -> tuple[str, ...]:
    """Return the step's channels that carried nothing yet, in order; a person is none of them."""
    done = {*record.sent_on, *record.failed_on, HANDOFF}
    return tuple(channel for channel in step.channels if channel not in done)


def reason_of(view: View, found: FollowUp) -> Reason:
    """Return the reason of a follow-up, for plans and `explain`."""
    inputs = {
        "step": found.step.key,
        "after": found.channel,
        "because": found.because,
        "due": found.due.isoformat(),
        "day": view.day.isoformat(),
        "ladder": view.ladder.id,
    }
    verdict = "due" if found.due <= view.day else "wait"
    return Reason(rule="ladder.fallback", version=str(view.version), verdict=verdict, inputs=inputs)


def _open(view: View, index: int, record: StepRecord) -> bool:
    """Say whether the step may be followed up: nothing is on its way, nothing later is due."""
    step = view.ladder.steps[index]
    if record.state not in ("sent", "open", "unknown_final") or step.stage < view.debt.stage:
        return False
    if step.mandatory:
        return record.state != "unknown_final"  # a person decides what becomes of it
    return not any(_due(view.debt, later, view.day) for later in view.ladder.steps[index + 1 :])


def _due(debt: DebtState, step: Step, day: date) -> bool:
    pending = debt.steps.get(step.key, NOTHING_DONE).state == "pending"
    return pending and due_day(debt, step) <= day
