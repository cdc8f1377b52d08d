"""Caps: how often a person may be contacted, in the law's own unit.

In: contacts in the state (dispatched, unknown and sent ones count; planned ones are reservations
while planning), contacts made elsewhere, and the caps of all packs. Out: the first local date on
which one more contact is allowed. Dates are the debtor's own; n days mean [d-(n-1), d].
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from services.scheduler.policy.rulebook import Cap
from services.scheduler.policy.state import DebtorState
from shared.events.states import STATES, ContactState

SEARCH_DAYS_MAX = 62  # the longest cap counts 45 dates; a minimum gap can add a few
WEEK_DAYS = 7

COUNTING = frozenset(int(state) for state, row in STATES.items() if row.counts_in_caps)


class Counted(NamedTuple):
    """A contact that counts: when, where, and about which debts (none: about the person)."""

    channel: str
    day: date
    debt_ids: tuple[UUID, ...]


class Capped(NamedTuple):
    """A cap that is full: which, of which pack, how many it counted, and when it frees."""

    cap: Cap
    pack: str
    used: int
    free_on: date


def counted(
    state: DebtorState, zone: ZoneInfo, *, reserve_planned: bool, but: UUID | None = None
) -> list[Counted]:
    """List what counts. `reserve_planned`: planned contacts too; `but` leaves one contact out."""
    found = []
    leave_out = str(but) if but is not None else None
    for key, record in state.contacts.items():
        planned = record.state == ContactState.PLANNED
        if key == leave_out or not (record.state in COUNTING or (planned and reserve_planned)):
            continue
        day = record.local_date
        if day is None:
            if record.at is None:
                continue
            day = record.at.astimezone(zone).date()
        found.append(Counted(record.channel, day, tuple(item.debt_id for item in record.items)))
    found.extend(
        Counted(past.channel, past.at.astimezone(zone).date(), ()) for past in state.past.values()
    )
    return found


def check(
    contacts: list[Counted],
    caps: Iterable[tuple[Cap, str]],
    debt_ids: tuple[UUID, ...],
    day: date,
) -> Capped | None:
    """Return the cap that stands against one more contact on `day`, None when there is none.

    `free_on` is the first date on which every cap allows it.
    """
    in_force = list(caps)
    first = _full(contacts, in_force, debt_ids, day)
    if first is None:
        return None
    cap, pack, count = first
    free = day + timedelta(days=1)
    for _ in range(SEARCH_DAYS_MAX):
        if _full(contacts, in_force, debt_ids, free) is None:
            break
        free += timedelta(days=1)
    return Capped(cap, pack, count, free)


def used(contacts: list[Counted], cap: Cap, debt_id: UUID, day: date) -> int:
    """Return how many contacts a cap counts on `day`, for one debt when it counts per debt."""
    return sum(
        _in_window(cap, day, each.day)
        for each in contacts
        if each.channel in cap.channels and (cap.scope != "debt" or _about(each, debt_id))
    )


def _full(
    contacts: list[Counted], caps: list[tuple[Cap, str]], debt_ids: tuple[UUID, ...], day: date
) -> tuple[Cap, str, int] | None:
    for cap, pack in caps:
        relevant = [c for c in contacts if c.channel in cap.channels]
        for debt_id in debt_ids if cap.scope == "debt" else (None,):
            days = [c.day for c in relevant if debt_id is None or _about(c, debt_id)]
            count = sum(_in_window(cap, day, other) for other in days)
            if count >= cap.maximum or _too_close(cap, day, days):
                return cap, pack, count
    return None


def _about(contact: Counted, debt_id: UUID) -> bool:
    """A contact about no debt in particular counts for each of them."""
    return not contact.debt_ids or debt_id in contact.debt_ids


def _in_window(cap: Cap, day: date, other: date) -> bool:
    if cap.window == "week":
        monday = day - timedelta(days=day.weekday())
        return monday <= other < monday + timedelta(days=WEEK_DAYS)
    return day - timedelta(days=cap.days - 1) <= other <= day


def _too_close(cap: Cap, day: date, days: list[date]) -> bool:
    if not cap.min_gap_days or not days:
        return False
    return any(abs((day - other).days) < cap.min_gap_days for other in days)
