"""Planner and dispatcher rows: shards, debtor states, debts, contacts, slots.

In: values from one fenced transaction. Out: rows, a page at a time. Every function is one
statement over arrays; the caller owns the transaction and has locked its shard first.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.engine import Connection


class Fenced(Exception):  # noqa: N818 - a fact about ownership, not an error of ours
    """Another process took the shard over: this one must drop what it was doing."""


class ShardPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a shard and up to which offsets its events are folded (-1: none yet)."""

    partition: int
    epoch: int
    debt_offset: int
    contact_offset: int


class DebtorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One debtor's folded state and the law-time instant at which to look again."""

    debtor_id: UUID
    tenant_id: str
    wake_at: datetime | None
    state: bytes


class DebtRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the database itself guards of a debt: stage never falls."""

    debt_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    episode: int
    stage: int
    status: str


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


async def take_over(
    conn: Connection, *, partition: int, owner: str, cluster_id: str
) -> ShardPosition:
    """Become the shard's owner: the epoch rises, so an older owner's next commit fails.

    Offsets of another cluster (a broker that was emptied) mean nothing and start over.
    """
    row = await conn.fetchrow(
        """
        INSERT INTO shard AS s (partition, epoch, cluster_id, debt_offset, contact_offset, owner)
        VALUES ($1, 1, $2, -1, -1, $3)
        ON CONFLICT (partition) DO UPDATE SET
            epoch = s.epoch + 1,
            owner = EXCLUDED.owner,
            taken_at = clock_timestamp(),
            debt_offset = CASE WHEN s.cluster_id = EXCLUDED.cluster_id
                               THEN s.debt_offset ELSE -1 END,
            contact_offset = CASE WHEN s.cluster_id = EXCLUDED.cluster_id
                                  THEN s.contact_offset ELSE -1 END,
            cluster_id = EXCLUDED.cluster_id
        RETURNING partition, epoch, debt_offset, contact_offset
        """,
        partition,
        cluster_id,
        owner,
    )
    return ShardPosition(**dict(row))


async def lock_shard(conn: Connection, *, partition: int, epoch: int) -> ShardPosition:
    """Lock the shard row first of all; raise `Fenced` when the epoch is no longer ours."""
    row = await conn.fetchrow(
        """
        SELECT partition, epoch, debt_offset, contact_offset
        FROM shard WHERE partition = $1 AND epoch = $2 FOR UPDATE
        """,
        partition,
        epoch,
    )
    if row is None:
        msg = f"shard {partition} was taken over (epoch {epoch} is past)"
        raise Fenced(msg)
    return ShardPosition(**dict(row))


async def clocks(conn: Connection) -> tuple[datetime, datetime]:
    """Law time and machine time, read after the shard was locked and before its state."""
    row = await conn.fetchrow("SELECT platform.law_now() AS law, platform.machine_now() AS machine")
    return row["law"], row["machine"]


async def save_offsets(
    conn: Connection, *, partition: int, debt_offset: int, contact_offset: int
) -> None:
    """Remember the last folded offsets with the work itself."""
    await conn.execute(
        "UPDATE shard SET debt_offset = $2, contact_offset = $3 WHERE partition = $1",
        partition,
        debt_offset,
        contact_offset,
    )


async def load_debtors(conn: Connection, debtor_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Folded states of these debtors; unknown ones are absent."""
    rows = await conn.fetch(
        "SELECT debtor_id, state FROM debtor WHERE debtor_id = ANY($1::uuid[])", list(debtor_ids)
    )
    return {row["debtor_id"]: row["state"] for row in rows}


async def save_debtors(conn: Connection, partition: int, rows: Sequence[DebtorRow]) -> None:
    """Insert or replace folded states."""
    await conn.execute(
        """
        INSERT INTO debtor AS d (debtor_id, shard, tenant_id, wake_at, state)
        SELECT id, $1, tenant, wake, state
        FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bytea[])
             AS u(id, tenant, wake, state)
        ON CONFLICT (debtor_id) DO UPDATE SET wake_at = EXCLUDED.wake_at, state = EXCLUDED.state
        """,
        partition,
        [r.debtor_id for r in rows],
        [r.tenant_id for r in rows],
        [r.wake_at for r in rows],
        [r.state for r in rows],
    )


async def save_states(conn: Connection, rows: Sequence[tuple[UUID, bytes]]) -> None:
    """Replace folded states that were not decided anew: their next instant stays."""
    await conn.execute(
        """
        UPDATE debtor AS d SET state = u.state
        FROM unnest($1::uuid[], $2::bytea[]) AS u(id, state) WHERE d.debtor_id = u.id
        """,
        [r[0] for r in rows],
        [r[1] for r in rows],
    )


async def save_debts(conn: Connection, rows: Sequence[DebtRow]) -> None:
    """Insert or update debts; the trigger refuses a stage that falls."""
    await conn.execute(
        """
        INSERT INTO debt AS d
            (debt_id, debtor_id, tenant_id, portfolio_id, episode, stage, status)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[],
                             $5::int[], $6::int[], $7::text[])
        ON CONFLICT (debt_id) DO UPDATE SET
            debtor_id = EXCLUDED.debtor_id, portfolio_id = EXCLUDED.portfolio_id,
            episode = EXCLUDED.episode, stage = EXCLUDED.stage, status = EXCLUDED.status
        """,
        [r.debt_id for r in rows],
        [r.debtor_id for r in rows],
        [r.tenant_id for r in rows],
        [r.portfolio_id for r in rows],
        [r.episode for r in rows],
        [r.stage for r in rows],
        [r.status for r in rows],
    )


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


async def insert_contacts(conn: Connection, partition: int, rows: Sequence[ContactRow]) -> None:
    """Insert planned contacts (a repeated plan finds its row and changes nothing)."""
    await conn.execute(
        """
        INSERT INTO contact (shard, contact_id, debtor_id, tenant_id, portfolio_id, channel,
                             account_id, state, priority, wake_at, not_after, traceparent)
        SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                                 $7::text[], $8::smallint[], $9::int[], $10::timestamptz[],
                                 $11::timestamptz[], $12::text[])
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
    return [AccountDue(**dict(row)) for row in rows]


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
    return [DueContact(**dict(row)) for row in rows]


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
    return [DueContact(**dict(row)) for row in rows]


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


async def postpone_contacts(
    conn: Connection, rows: Sequence[tuple[UUID, datetime | None, bool, int]]
) -> None:
    """Look at contacts again later: (contact id, instant, hand over again?, closings asked)."""
    await conn.execute(
        """
        UPDATE contact AS c SET wake_at = u.wake, again = u.again, closings = u.closings
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bool[], $4::int[])
             AS u(id, wake, again, closings)
        WHERE c.contact_id = u.id AND c.state < 30
        """,
        [r[0] for r in rows],
        [r[1] for r in rows],
        [r[2] for r in rows],
        [r[3] for r in rows],
    )


async def peek(conn: Connection, partition: int) -> tuple[bool, bool]:
    """Say whether a contact under way, and a debtor, of the shard is due: no lock taken."""
    row = await conn.fetchrow(
        """
        SELECT EXISTS (SELECT 1 FROM contact
                       WHERE shard = $1 AND state > 0 AND wake_at <= l.now) AS contacts,
               EXISTS (SELECT 1 FROM debtor WHERE shard = $1 AND wake_at <= l.now) AS debtors
        FROM (SELECT platform.law_now() AS now) AS l
        """,
        partition,
    )
    return row["contacts"], row["debtors"]


async def due_debtors(
    conn: Connection, *, partition: int, now: datetime, limit: int
) -> list[UUID]:
    """One page of debtors whose state must be decided again."""
    rows = await conn.fetch(
        """
        SELECT debtor_id FROM debtor WHERE shard = $1 AND wake_at <= $2
        ORDER BY wake_at, debtor_id LIMIT $3
        """,
        partition,
        now,
        limit,
    )
    return [row["debtor_id"] for row in rows]


async def open_tasks(conn: Connection, *, after: UUID, limit: int) -> list[tuple[UUID, UUID, str, str, bytes]]:
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
    return [(r["contact_id"], r["debtor_id"], r["tenant_id"], r["channel"], r["task"]) for r in rows]


async def next_due(conn: Connection) -> datetime | None:
    """The earliest law-time instant at which a debtor or contact wants attention."""
    row = await conn.fetchrow(
        """
        SELECT least((SELECT min(wake_at) FROM debtor WHERE wake_at IS NOT NULL),
                     (SELECT min(wake_at) FROM contact WHERE wake_at IS NOT NULL)) AS due
        """
    )
    due: datetime | None = row["due"]
    return due
