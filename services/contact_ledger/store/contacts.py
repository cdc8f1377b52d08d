"""Contacts as they stand: the export, and the daily balance that must add up.

In: a tenant and what it asks for. Out: rows of `contact`, page by page; per local day how many were
planned and in which class each of them is.
"""

from collections.abc import Callable
from datetime import date, datetime
from uuid import UUID

import msgspec

from services.contact_ledger.changes import PLATFORM
from shared.events.states import STATES
from shared.postgres.connection import Connection

CLASSES = ("withheld", "cancelled", "expired", "failed", "unknown", "sent", "open")
STATES_OF: dict[str, list[int]] = {
    name: [int(state) for state, row in STATES.items() if row.balance_class == name]
    for name in CLASSES
}


class ContactFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one contact, as it is stored and as it is shown; instants are law time.

    `day` is the debtor's local day of the balance; `due_at` when it was planned for, `not_after`
    the end of its lawful window, `resolve_by` when an unknown outcome becomes final.
    """

    contact_id: UUID
    debtor_id: UUID | None
    portfolio_id: str | None
    channel: str | None
    origin: str
    step_key: str | None
    stage: int | None
    manual: bool
    debt_ids: list[UUID]
    attempt_ids: list[UUID]
    accepted_ids: list[UUID]
    state_at: datetime | None
    state_code: str | None
    day: date | None
    planned_at: datetime | None
    dispatched_at: datetime | None
    accepted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    replied_at: datetime | None
    right_party_at: datetime | None
    opted_out_at: datetime | None
    due_at: datetime | None
    not_after: datetime | None
    resolve_by: datetime | None
    account_id: str | None
    template: str | None
    segments: int | None


class Contact(ContactFacts, frozen=True, kw_only=True):
    """One contact as it is stored. `items` is JSON, `state` a rank of `states`."""

    items: str | None
    state: int | None
    state_rules: list[str] | None


_NAMES = ", ".join(Contact.__struct_fields__)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which contacts: None and empty mean any. Days are the debtors' local days, both included."""

    tenant_id: str
    portfolio_id: str | None = None
    channel: str | None = None
    states: list[int] = []
    day_from: date | None = None
    day_to: date | None = None
    debtor_id: UUID | None = None
    contact_id: UUID | None = None
    recorded_too: bool = False


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ended: by day and id when days were asked for, else by id."""

    contact_id: UUID
    day: date | None = None


class DayBalance(msgspec.Struct, frozen=True, kw_only=True):
    """One local day: what was planned, and where each of those contacts is counted."""

    day: date | None
    planned: int
    withheld: int
    cancelled: int
    expired: int
    failed: int
    unknown: int
    sent: int
    open: int


async def page(
    conn: Connection, wanted: Wanted, *, after: Place | None, limit: int
) -> list[Contact]:
    """Return up to `limit` contacts beyond `after`."""
    conditions = ["tenant_id = $1"]
    args: list[object] = [wanted.tenant_id]

    def add(condition: str, *values: object) -> None:
        names = [f"${len(args) + i}" for i in range(1, len(values) + 1)]
        args.extend(values)
        conditions.append(condition.format(*names))

    by_day = wanted.day_from is not None or wanted.day_to is not None
    _filter(wanted, add)
    if after is not None and by_day:
        add("(day, contact_id) > ({}, {})", after.day, after.contact_id)
    elif after is not None:
        add("contact_id > {}", after.contact_id)
    args.append(limit)
    rows = await conn.fetch(
        f"SELECT {_NAMES} FROM contact WHERE {' AND '.join(conditions)} "  # noqa: S608 - constants
        f"ORDER BY {'day, contact_id' if by_day else 'contact_id'} LIMIT ${len(args)}",
        *args,
    )
    return [Contact(**{name: row[name] for name in Contact.__struct_fields__}) for row in rows]


async def balance(
    conn: Connection, tenant_id: str, day_from: date | None, day_to: date | None
) -> list[DayBalance]:
    """Return the balance of each local day; day None holds contacts that nobody planned."""
    classes = ", ".join(
        f"count(*) FILTER (WHERE state = ANY (${i}::int[])) AS {name}"
        for i, name in enumerate(CLASSES, 4)
    )
    rows = await conn.fetch(
        f"""
        SELECT day, count(*) FILTER (WHERE planned_at IS NOT NULL) AS planned, {classes}
        FROM contact
        WHERE tenant_id = $1 AND state IS NOT NULL AND origin = '{PLATFORM}'
          AND (day IS NULL OR (day >= COALESCE($2, '-infinity'::date)
                               AND day <= COALESCE($3, 'infinity'::date)))
        GROUP BY day ORDER BY day NULLS LAST
        """,  # noqa: S608 - constant names
        tenant_id,
        day_from,
        day_to,
        *STATES_OF.values(),
    )
    return [msgspec.convert(dict(row.items()), DayBalance) for row in rows]


# One condition per thing that can be asked for; every {} is its value.
_CONDITIONS = {
    "portfolio_id": "portfolio_id = {}",
    "channel": "channel = {}",
    "states": "state = ANY ({}::int[])",
    "day_from": "day >= {}",
    "day_to": "day <= {}",
    "contact_id": "contact_id = {}",
    # Found through the entries: an index by debtor would have to be kept up with every contact.
    "debtor_id": "contact_id IN (SELECT e.contact_id FROM entry e WHERE e.tenant_id = $1 "
    "AND e.debtor_id = {} AND e.contact_id IS NOT NULL)",
}


def _filter(wanted: Wanted, add: Callable[..., None]) -> None:
    if not wanted.recorded_too:
        add("origin = {} AND state IS NOT NULL", PLATFORM)
    for name, condition in _CONDITIONS.items():
        value = getattr(wanted, name)
        if value not in (None, []):
            add(condition, value)
