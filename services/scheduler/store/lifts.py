"""Lifted holds whose debtors are still to be woken: one row per lift and shard.

In: the transaction that lifts a hold asks; each shard's owner takes its row up. Out: debtors and
contacts that a hold keeps back become due, a page per transaction under the shard's lock, so that
planning, which writes the same rows, neither overwrites a wake-up nor misses the lift.
"""

from datetime import datetime

from shared.events.hold import Hold
from shared.http.auth import PLATFORM_TENANT
from shared.postgres.connection import Connection

PAGE_MAX = 2_000  # debtors and contacts woken by one transaction: some 30 ms under the lock


async def ask(conn: Connection, hold: Hold) -> None:
    """Ask every shard to wake what holds of this hold's tenant keep back."""
    await conn.execute(
        """
        INSERT INTO lift (shard, hold_id, tenant_id)
        SELECT partition, $1, $2 FROM shard
        ON CONFLICT (shard, hold_id) DO NOTHING
        """,
        hold.hold_id,
        hold.tenant_id,
    )


async def wake_page(conn: Connection, *, partition: int, now: datetime) -> int:
    """Wake one page for the shard's oldest lift; forget the lift when nobody is left to wake.

    Whoever is still held by something else is judged anew and waits again.
    """
    row = await conn.fetchrow(
        "SELECT hold_id, tenant_id FROM lift WHERE shard = $1 ORDER BY hold_id LIMIT 1", partition
    )
    if row is None:
        return 0
    everybody = row["tenant_id"] == PLATFORM_TENANT
    woken: int = await conn.fetchval(
        """
        WITH waiting AS (
            SELECT debtor_id FROM debtor
            WHERE shard = $1 AND held AND ($3 OR tenant_id = $4) LIMIT $5
        ), debtors AS (
            UPDATE debtor AS d SET wake_at = least(d.wake_at, $2), held = false
            FROM waiting w WHERE d.debtor_id = w.debtor_id RETURNING 1
        ), planned AS (
            SELECT contact_id FROM contact
            WHERE shard = $1 AND held AND state = 0 AND ($3 OR tenant_id = $4) LIMIT $5
        ), contacts AS (
            UPDATE contact AS c SET wake_at = least(c.wake_at, $2), held = false
            FROM planned p WHERE c.contact_id = p.contact_id RETURNING 1
        )
        SELECT (SELECT count(*) FROM debtors) + (SELECT count(*) FROM contacts)
        """,
        partition,
        now,
        everybody,
        row["tenant_id"],
        PAGE_MAX,
    )
    if not woken:
        await conn.execute(
            "DELETE FROM lift WHERE shard = $1 AND hold_id = $2", partition, row["hold_id"]
        )
    return woken


async def count(conn: Connection) -> int:
    """How many lifts some shard has not taken up whole."""
    found: int = await conn.fetchval("SELECT count(*) FROM lift")
    return found
