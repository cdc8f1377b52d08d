"""Debtor states and debts: the folded state as one blob, and what the database itself guards.

In: whole batches from one fenced transaction. Out: states to decide on. The caller owns the
transaction and has locked its shard.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection


class DebtorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One debtor's folded state and the law-time instant at which to look again.

    `held`: a hold is why nothing is planned, so its lift ends the wait.
    """

    debtor_id: UUID
    tenant_id: str
    wake_at: datetime | None
    state: bytes
    held: bool = False


class DebtRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the database itself guards of a debt: stage never falls."""

    debt_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    episode: int
    stage: int
    status: str


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
        INSERT INTO debtor AS d (debtor_id, shard, tenant_id, wake_at, state, held)
        SELECT id, $1, tenant, wake, state, held
        FROM unnest($2::uuid[], $3::text[], $4::timestamptz[], $5::bytea[], $6::bool[])
             AS u(id, tenant, wake, state, held)
        ON CONFLICT (debtor_id) DO UPDATE SET
            wake_at = EXCLUDED.wake_at, state = EXCLUDED.state, held = EXCLUDED.held
        """,
        partition,
        [r.debtor_id for r in rows],
        [r.tenant_id for r in rows],
        [r.wake_at for r in rows],
        [r.state for r in rows],
        [r.held for r in rows],
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


async def due_debtors(conn: Connection, *, partition: int, now: datetime, limit: int) -> list[UUID]:
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
