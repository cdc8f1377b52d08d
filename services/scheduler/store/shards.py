"""Shard rows: who owns a partition, under which epoch, and up to which offsets it is folded.

In: the planner taking a partition over, or starting a transaction. Out: positions, the clocks read
after the lock, and what is due. Whoever commits planning work has locked the row first, under its
own epoch: an owner of the past fails there (`Fenced`).
"""

from datetime import datetime

import msgspec

from shared.postgres.connection import Connection


class Fenced(Exception):
    """Another process took the shard over: this one must drop what it was doing."""


class ShardPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns a shard and up to which offsets its events are folded (-1: none yet)."""

    partition: int
    epoch: int
    debt_offset: int
    contact_offset: int


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
    assert row is not None  # noqa: S101 - an upsert always returns its row
    return ShardPosition(**dict(row.items()))


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
    return ShardPosition(**dict(row.items()))


async def clocks(conn: Connection) -> tuple[datetime, datetime]:
    """Law time and machine time, read after the shard was locked and before its state."""
    row = await conn.fetchrow("SELECT platform.law_now() AS law, platform.machine_now() AS machine")
    assert row is not None  # noqa: S101 - a query without FROM returns one row
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


async def offsets(conn: Connection) -> dict[int, tuple[int, int]]:
    """Last folded offsets (debt events, contact events) of every shard."""
    rows = await conn.fetch("SELECT partition, debt_offset, contact_offset FROM shard")
    return {row["partition"]: (row["debt_offset"], row["contact_offset"]) for row in rows}


async def peek(conn: Connection, partition: int) -> tuple[bool, bool, bool]:
    """Say whether a contact under way, a debtor, or a lift of the shard is due: no lock taken."""
    row = await conn.fetchrow(
        """
        SELECT EXISTS (SELECT 1 FROM contact
                       WHERE shard = $1 AND state > 0 AND wake_at <= l.now) AS contacts,
               EXISTS (SELECT 1 FROM debtor WHERE shard = $1 AND wake_at <= l.now) AS debtors,
               EXISTS (SELECT 1 FROM lift WHERE shard = $1) AS lifts
        FROM (SELECT platform.law_now() AS now) AS l
        """,
        partition,
    )
    assert row is not None  # noqa: S101 - a query over one row returns one
    return row["contacts"], row["debtors"], row["lifts"]


async def next_due(conn: Connection) -> datetime | None:
    """The earliest law-time instant at which a debtor or contact wants attention.

    Index probes only, per shard and account: the answer costs the same over millions of contacts.
    """
    due: datetime | None = await conn.fetchval(
        """
        WITH RECURSIVE account AS (
            (SELECT shard, tenant_id, account_id FROM contact WHERE state = 0
             ORDER BY shard, tenant_id, account_id LIMIT 1)
            UNION ALL
            SELECT n.shard, n.tenant_id, n.account_id
            FROM account a, LATERAL (
                SELECT shard, tenant_id, account_id FROM contact
                WHERE state = 0 AND (shard, tenant_id, account_id)
                                    > (a.shard, a.tenant_id, a.account_id)
                ORDER BY shard, tenant_id, account_id LIMIT 1) n
        )
        SELECT least(
            (SELECT min(p.due) FROM account a, LATERAL (
                SELECT min(wake_at) AS due FROM contact c
                WHERE c.state = 0 AND c.shard = a.shard AND c.tenant_id = a.tenant_id
                  AND c.account_id = a.account_id) p),
            (SELECT min(o.due) FROM shard s, LATERAL (
                SELECT min(wake_at) AS due FROM contact c
                WHERE c.shard = s.partition AND c.state > 0 AND c.wake_at IS NOT NULL) o),
            (SELECT min(d.due) FROM shard s, LATERAL (
                SELECT min(wake_at) AS due FROM debtor d
                WHERE d.shard = s.partition AND d.wake_at IS NOT NULL) d))
        """
    )
    return due
