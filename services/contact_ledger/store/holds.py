"""Holds: which versions are recorded, and what each hold says now.

In: holds as they came over their lane, which is read whole at every start. Out: those that are new.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from shared.events.hold import Hold
from shared.postgres.connection import Connection


async def add(conn: Connection, holds: Sequence[Hold]) -> set[tuple[UUID, int]]:
    """Note these versions and keep the newest of each hold; return (hold, version) that are new."""
    rows = await conn.fetch(
        """
        INSERT INTO hold_version (hold_id, version)
        SELECT DISTINCT hold_id, version FROM unnest($1::uuid[], $2::int[]) AS h (hold_id, version)
        ORDER BY hold_id, version
        ON CONFLICT DO NOTHING RETURNING hold_id, version
        """,
        [hold.hold_id for hold in holds],
        [hold.version for hold in holds],
    )
    new = {(row["hold_id"], row["version"]) for row in rows}
    newest = {
        hold.hold_id: hold
        for hold in sorted(holds, key=lambda hold: hold.version)
        if (hold.hold_id, hold.version) in new
    }
    if newest:
        await _keep(conn, [newest[hold_id] for hold_id in sorted(newest)])
    return new


async def debtors_of(
    conn: Connection, debts: Sequence[tuple[str, UUID]]
) -> Mapping[tuple[str, UUID], UUID]:
    """Return the debtor of each debt that is known by now."""
    rows = await conn.fetch(
        """
        SELECT a.tenant_id, a.debt_id, a.debtor_id
        FROM unnest($1::text[], $2::uuid[]) AS held (tenant_id, debt_id)
        JOIN account a USING (tenant_id, debt_id)
        """,
        [tenant_id for tenant_id, _ in debts],
        [debt_id for _, debt_id in debts],
    )
    return {(row["tenant_id"], row["debt_id"]): row["debtor_id"] for row in rows}


async def _keep(conn: Connection, holds: Sequence[Hold]) -> None:
    await conn.execute(
        """
        INSERT INTO hold AS h (hold_id, tenant_id, scope, subject, reason, version, state, until)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[],
                             $7::text[], $8::timestamptz[])
        ON CONFLICT (hold_id) DO UPDATE SET
            reason = excluded.reason, version = excluded.version, state = excluded.state,
            until = excluded.until
        WHERE excluded.version > h.version
        """,
        [hold.hold_id for hold in holds],
        [hold.tenant_id for hold in holds],
        [hold.scope for hold in holds],
        [hold.subject for hold in holds],
        [hold.reason for hold in holds],
        [hold.version for hold in holds],
        [hold.state for hold in holds],
        [hold.until for hold in holds],
    )
