"""Contacts and their slots: planned, due, handed over, moved forward, never back.

In: whole batches from one fenced transaction. Out: pages of due contacts, open tasks. One
statement per function; the caller owns the transaction and has locked its shard.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection


class ContactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A contact as the dispatcher sees it. `wake_at` is the next instant that concerns it."""

    contact_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    channel: str
    account_id: str
    state: int
    priority: int
    wake_at: datetime | None
    not_after: datetime
    traceparent: str | None = None
    task: bytes | None = None


class DueContact(msgspec.Struct, frozen=True, kw_only=True):
    """A contact whose instant has come; `task` is the encoded task once it was dispatched."""

    contact_id: UUID
    debtor_id: UUID
    tenant_id: str
    account_id: str
    state: int
    priority: int
    not_after: datetime
    again: bool
    closings: int
    task: bytes | None
    traceparent: str | None


class AccountDue(msgspec.Struct, frozen=True, kw_only=True):
    """An account with due contacts; `under_way`: handed over and not yet accepted."""

    tenant_id: str
    account_id: str
    under_way: int


_DUE_COLUMNS = """c.contact_id, c.debtor_id, c.tenant_id, c.account_id, c.state, c.priority,
    c.not_after, c.again, c.closings, c.task, c.traceparent"""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """The one place of a step and channel in a debt's episode."""

    debt_id: UUID
    episode: int
    step_key: str
    channel: str
    contact_id: UUID


async def take_slots(conn: Connection, slots: Sequence[Slot]) -> set[UUID]:
    """Take the slots of new contacts; return the contacts that found one of theirs taken."""
    rows = await conn.fetch(
        """
        INSERT INTO contact_slot (debt_id, episode, step_key, channel, contact_id)
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[])
        ON CONFLICT DO NOTHING
        RETURNING debt_id, contact_id
        """,
        [s.debt_id for s in slots],
        [s.episode for s in slots],
        [s.step_key for s in slots],
        [s.channel for s in slots],
        [s.contact_id for s in slots],
    )
    taken = {(row["debt_id"], row["contact_id"]) for row in rows}
    return {s.contact_id for s in slots if (s.debt_id, s.contact_id) not in taken}


async def free_slots(conn: Connection, contact_ids: Sequence[UUID]) -> None:
    """Free the slots of contacts of which nothing was accepted (rank 40)."""
    await conn.execute(
        "UPDATE contact_slot SET freed = true WHERE contact_id = ANY($1::uuid[]) AND NOT freed",
        list(contact_ids),
    )


async def release_slots(conn: Connection, released: Sequence[tuple[UUID, UUID]]) -> None:
    """Free the slots of (contact, debt) that a person lets be tried again."""
    await conn.execute(
        """
        UPDATE contact_slot AS s SET freed = true
        FROM unnest($1::uuid[], $2::uuid[]) AS u(contact, debt)
        WHERE s.contact_id = u.contact AND s.debt_id = u.debt AND NOT s.freed
        """,
        [r[0] for r in released],
        [r[1] for r in released],
    )


async def insert_contacts(conn: Connection, partition: int, rows: Sequence[ContactRow]) -> None:
    """Insert new contacts, planned or handed over already; a repeated plan changes nothing."""
    await conn.execute(
        """
        INSERT INTO contact (shard, contact_id, debtor_id, tenant_id, portfolio_id, channel,
                             account_id, state, priority, wake_at, not_after, traceparent, task)
        SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                                 $7::text[], $8::smallint[], $9::int[], $10::timestamptz[],
                                 $11::timestamptz[], $12::text[], $13::bytea[])
        ON CONFLICT (contact_id) DO NOTHING
        """,
        partition,
        [r.contact_id for r in rows],
        [r.debtor_id for r in rows],
        [r.tenant_id for r in rows],
        [r.portfolio_id for r in rows],
        [r.channel for r in rows],
        [r.account_id for r in rows],
        [r.state for r in rows],
        [r.priority for r in rows],
        [r.wake_at for r in rows],
        [r.not_after for r in rows],
        [r.traceparent for r in rows],
        [r.task for r in rows],
    )


async def raise_contacts(
    conn: Connection, rows: Sequence[tuple[UUID, int, datetime | None]]
) -> None:
    """Move contacts forward: (contact id, state, next instant). Never backwards."""
    await conn.execute(
        """
        UPDATE contact AS c SET state = u.state, wake_at = u.wake, again = false,
               task = CASE WHEN u.state < 40 THEN c.task END
        FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[]) AS u(id, state, wake)
        WHERE c.contact_id = u.id
          AND CASE WHEN u.state BETWEEN 40 AND 43 THEN 40 ELSE u.state END
            > CASE WHEN c.state BETWEEN 40 AND 43 THEN 40 ELSE c.state END
        """,
        [r[0] for r in rows],
        [r[1] for r in rows],
        [r[2] for r in rows],
    )


async def accounts_due(conn: Connection, partition: int) -> list[AccountDue]:
    """Each account with due planned contacts, and how much of it is under way already.

    Walks the index from account to account, so a million contacts waiting for one slow number
    cost as much as one.
    """
    rows = await conn.fetch(
        """
        WITH RECURSIVE account AS (
            (SELECT tenant_id, account_id FROM contact WHERE shard = $1 AND state = 0
             ORDER BY tenant_id, account_id LIMIT 1)
            UNION ALL
            SELECT n.tenant_id, n.account_id
            FROM account a, LATERAL (
                SELECT tenant_id, account_id FROM contact
                WHERE shard = $1 AND state = 0
                  AND (tenant_id, account_id) > (a.tenant_id, a.account_id)
                ORDER BY tenant_id, account_id LIMIT 1) n
        )
        SELECT a.tenant_id, a.account_id,
               (SELECT count(*) FROM contact o WHERE o.shard = $1 AND o.tenant_id = a.tenant_id
                  AND o.account_id = a.account_id AND o.state = ANY (ARRAY[10, 20])) AS under_way
        FROM account a
        WHERE EXISTS (SELECT 1 FROM contact d WHERE d.shard = $1 AND d.state = 0
                        AND d.tenant_id = a.tenant_id AND d.account_id = a.account_id
                        AND d.wake_at <= platform.law_now())
        """,
        partition,
    )
    return [AccountDue(**dict(row.items())) for row in rows]


async def under_way(conn: Connection, partition: int) -> dict[tuple[str, str], int]:
    """Contacts handed over and not yet accepted, per (tenant, account): one index, counted."""
    rows = await conn.fetch(
        """
        SELECT tenant_id, account_id, count(*) AS contacts FROM contact
        WHERE shard = $1 AND state = ANY (ARRAY[10, 20]) GROUP BY 1, 2
        """,
        partition,
    )
    return {(row["tenant_id"], row["account_id"]): row["contacts"] for row in rows}


async def planned_due(
    conn: Connection, *, partition: int, now: datetime, rooms: Sequence[tuple[str, str, int]]
) -> list[DueContact]:
    """Due planned contacts, oldest first: at most `room` for each (tenant, account, room)."""
    rows = await conn.fetch(
        f"""
        SELECT {_DUE_COLUMNS}
        FROM unnest($3::text[], $4::text[], $5::int[]) AS a(tenant, account, room),
             LATERAL (SELECT * FROM contact
                      WHERE shard = $1 AND state = 0 AND tenant_id = a.tenant
                        AND account_id = a.account AND wake_at <= $2
                      ORDER BY wake_at LIMIT a.room) c
        """,  # noqa: S608 - a constant column list
        partition,
        now,
        [r[0] for r in rooms],
        [r[1] for r in rooms],
        [r[2] for r in rooms],
    )
    return [DueContact(**dict(row.items())) for row in rows]


async def open_due(
    conn: Connection, *, partition: int, now: datetime, limit: int
) -> list[DueContact]:
    """Contacts under way whose instant has come: returned by their sender, or past closing."""
    rows = await conn.fetch(
        f"""
        SELECT {_DUE_COLUMNS} FROM contact c
        WHERE shard = $1 AND state > 0 AND wake_at <= $2
        ORDER BY wake_at LIMIT $3
        """,  # noqa: S608 - a constant column list
        partition,
        now,
        limit,
    )
    return [DueContact(**dict(row.items())) for row in rows]


async def dispatch_contacts(
    conn: Connection, rows: Sequence[tuple[UUID, datetime, datetime, bytes]]
) -> None:
    """Hand contacts over: (contact id, closing instant, not_after, encoded task)."""
    await conn.execute(
        """
        UPDATE contact AS c SET state = 10, wake_at = u.wake, not_after = u.not_after,
               task = u.task, again = false
        FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::bytea[])
             AS u(id, wake, not_after, task)
        WHERE c.contact_id = u.id AND c.state = 0
        """,
        [r[0] for r in rows],
        [r[1] for r in rows],
        [r[2] for r in rows],
        [r[3] for r in rows],
    )


async def open_tasks(
    conn: Connection, *, after: UUID, limit: int
) -> list[tuple[UUID, UUID, str, str, bytes]]:
    """Tasks of all open contacts, by id, for a broker that lost its log."""
    rows = await conn.fetch(
        """
        SELECT contact_id, debtor_id, tenant_id, channel, task FROM contact
        WHERE state IN (10, 20) AND task IS NOT NULL AND contact_id > $1
        ORDER BY contact_id LIMIT $2
        """,
        after,
        limit,
    )
    return [
        (r["contact_id"], r["debtor_id"], r["tenant_id"], r["channel"], r["task"]) for r in rows
    ]
