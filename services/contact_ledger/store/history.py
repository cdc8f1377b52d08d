"""A debtor's entries, page by page, in the order in which things happened.

In: a tenant's debtor. Out: stored entries with their sealed bodies. A debtor has the history of
those who were merged into it, and of the holds on its debts that came before anyone knew whose
debts they were.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection, Row

MERGES_DEEP_MAX = 8  # debtors merged into debtors merged into ...; bounds the recursion

_NAMES = """event_time, event_id, tenant_id, debtor_id, debt_id, contact_id, portfolio_id, channel,
    type, source, state, at, machine_at, recorded_at, body_sealed"""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One entry as it is stored."""

    event_time: datetime
    event_id: UUID
    tenant_id: str
    debtor_id: UUID | None
    debt_id: UUID | None
    contact_id: UUID | None
    portfolio_id: str | None
    channel: str | None
    type: str
    source: str
    state: int | None
    at: datetime
    machine_at: datetime
    recorded_at: datetime
    body_sealed: bytes | None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page of history ended: law time, machine time, event id."""

    event_time: datetime
    machine_at: datetime
    event_id: UUID


async def known(conn: Connection, tenant_id: str, debtor_id: UUID) -> bool:
    """Say whether this tenant has such a debtor: each has a data key from its first entry on."""
    found = await conn.fetchval(
        "SELECT true FROM debtor_key WHERE tenant_id = $1 AND debtor_id = $2", tenant_id, debtor_id
    )
    return bool(found)


async def with_merged(conn: Connection, tenant_id: str, debtor_id: UUID) -> list[UUID]:
    """Return the debtor's id and those of all who were merged into it."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE same AS (
            SELECT $2::uuid AS debtor_id, 0 AS depth
            UNION
            SELECT m.merged_debtor_id, same.depth + 1
            FROM same JOIN debtor_merge m
              ON m.tenant_id = $1 AND m.debtor_id = same.debtor_id AND same.depth < $3
        )
        SELECT DISTINCT debtor_id FROM same
        """,
        tenant_id,
        debtor_id,
        MERGES_DEEP_MAX,
    )
    return [row["debtor_id"] for row in rows]


async def page(
    conn: Connection,
    tenant_id: str,
    debtors: Collection[UUID],
    *,
    after: Place | None,
    limit: int,
    newest_first: bool,
) -> list[Entry]:
    """Return up to `limit` entries beyond `after`."""
    order = "event_time DESC, machine_at DESC, event_id DESC" if newest_first else _FORWARD
    beyond = "<" if newest_first else ">"
    place = f"AND (e.event_time, e.machine_at, e.event_id) {beyond} ($3, $4, $5)" if after else ""
    args: list[object] = [tenant_id, list(debtors)]
    if after is not None:
        args += [after.event_time, after.machine_at, after.event_id]
    args.append(limit)
    bound = f"${len(args)}"
    rows = await conn.fetch(
        f"""
        WITH own AS (
            SELECT page.* FROM unnest($2::uuid[]) AS person (debtor_id) CROSS JOIN LATERAL (
                SELECT {_NAMES} FROM entry e
                WHERE e.tenant_id = $1 AND e.debtor_id = person.debtor_id {place}
                ORDER BY {order} LIMIT {bound}
            ) AS page
        ), of_debts AS (
            SELECT page.* FROM account a CROSS JOIN LATERAL (
                SELECT {_NAMES} FROM entry e
                WHERE e.tenant_id = $1 AND e.debtor_id IS NULL AND e.debt_id = a.debt_id {place}
                ORDER BY {order} LIMIT {bound}
            ) AS page
            WHERE a.tenant_id = $1 AND a.debtor_id = ANY ($2::uuid[])
        )
        SELECT * FROM (SELECT * FROM own UNION ALL SELECT * FROM of_debts) AS both_kinds
        ORDER BY {order} LIMIT {bound}
        """,  # noqa: S608 - constant parts
        *args,
    )
    return to_entries(rows)


_FORWARD = "event_time, machine_at, event_id"


def to_entries(rows: Sequence[Row]) -> list[Entry]:
    """Return rows that hold an entry's columns as entries."""
    return [Entry(**{name: row[name] for name in Entry.__struct_fields__}) for row in rows]
