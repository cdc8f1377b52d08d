"""Holds that people placed or lifted, whose debtors are to be woken: a row per hold and shard.

In: the transaction that changes a hold asks; each shard's owner takes its row up. Out: after a
lift, debtors and contacts that it kept back become due; after a placement, debtors of whom people
outside have a step that it stops. A page per transaction under the shard's lock, so that planning,
which writes the same rows, neither overwrites a wake-up nor misses the change.

A lift of one person's or one debt's hold wakes those alone, found by key. Nobody is missed: whoever
read the hold before it was lifted has committed its mark before we have the shard's lock, and whom
a mark may concern is told by rows that were committed no later. A person who was merged may bind
others, whom no key names: then, as with wider holds, everybody whom the tenant's holds keep back is
looked at. A person with an identity left was not merged: intake points them all at the survivor
before any shard is told.
"""

from datetime import datetime
from uuid import UUID

from shared.events.hold import Hold
from shared.http.auth import PLATFORM_TENANT
from shared.postgres.connection import Connection

WAKE_NAMED = """
WITH person AS (
    SELECT $3::uuid AS debtor_id WHERE $3 IS NOT NULL
    UNION SELECT debtor_id FROM debt WHERE debt_id = $4::uuid
    UNION SELECT debtor_id FROM debt_reference WHERE debt_id = $4
), debtors AS (
    UPDATE debtor AS d SET wake_at = least(d.wake_at, $2), held = false
    FROM person p
    WHERE d.debtor_id = p.debtor_id AND d.shard = $1 AND d.held AND d.tenant_id = $5
    RETURNING 1
)
SELECT count(*) FROM debtors
"""
PAGE_MAX = 2_000  # debtors and contacts woken by one transaction: some 30 ms under the lock


async def ask(conn: Connection, hold: Hold) -> None:
    """Ask every shard to wake whom this hold, placed or lifted, concerns."""
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
    """Wake one page for the shard's oldest change; forget it with the last page.

    Whoever is still held by something else is judged anew and waits again.
    """
    row = await conn.fetchrow(
        """
        SELECT l.hold_id, l.tenant_id, h.scope, h.subject, h.state = 'active' AS stops
        FROM lift l JOIN hold h USING (hold_id)
        WHERE l.shard = $1 ORDER BY l.hold_id LIMIT 1
        """,
        partition,
    )
    if row is None:
        return 0
    paged = not row["stops"] or row["scope"] != "address"
    if row["stops"]:
        woken = await _wake_stopped(
            conn, partition, now, row["hold_id"], PAGE_MAX if paged else None
        )
    elif await _is_narrow(conn, row["scope"], row["subject"]):
        woken = await _wake_named(conn, partition, now, row["subject"])
    else:
        woken = await _wake_held(conn, partition, now, row["tenant_id"])
    # Not when none is left: who is held by something else is found for ever.
    if not paged or woken < PAGE_MAX:
        await conn.execute(
            "DELETE FROM lift WHERE shard = $1 AND hold_id = $2", partition, row["hold_id"]
        )
    return woken


async def count(conn: Connection) -> int:
    """How many changes some shard has not taken up whole."""
    found: int = await conn.fetchval("SELECT count(*) FROM lift")
    return found


async def _is_narrow(conn: Connection, scope: str, subject: str) -> bool:
    """Say whether whom a hold may keep back is found by its subject alone."""
    named = _named_by(subject)
    if named is None or scope not in {"debtor", "debt"}:
        return False
    if scope == "debt":
        return True
    _, tenant_id, _ = subject.split(":", 2)
    unmerged: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM identity WHERE debtor_id = $1 AND tenant_id = $2)",
        named,
        tenant_id,
    )
    return unmerged


def _named_by(subject: str) -> UUID | None:
    try:
        return UUID(subject.split(":", 2)[-1])
    except ValueError:
        return None


async def _wake_named(conn: Connection, partition: int, now: datetime, subject: str) -> int:
    """Wake the one debtor, or the debtor of the one debt.

    Contacts need not be looked for: such a hold cancels what is planned, and only a wider one
    (`policy.silence`) lets it wait.
    """
    scope, tenant_id, _ = subject.split(":", 2)
    named = _named_by(subject)
    woken: int = await conn.fetchval(
        WAKE_NAMED,
        partition,
        now,
        named if scope == "debtor" else None,
        named if scope == "debt" else None,
        tenant_id,
    )
    return woken


async def _wake_held(conn: Connection, partition: int, now: datetime, tenant_id: str) -> int:
    """Wake whom holds of this tenant keep back, one page."""
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
        tenant_id == PLATFORM_TENANT,
        tenant_id,
        PAGE_MAX,
    )
    return woken


async def _wake_stopped(
    conn: Connection, partition: int, now: datetime, hold_id: UUID, limit: int | None
) -> int:
    """Wake debtors of whom people have a step that this hold stops, at most `limit`.

    Deciding on them closes those hand-offs, so that the next page finds others. Whose address it is
    no table tells, so a hold on one that people use wakes everybody of the tenant of whom people
    have a step: all at once (no limit), since most of those hand-offs stay and would be found for
    ever. They are few: people have them in hand.
    """
    woken: int = await conn.fetchval(
        """
        WITH stopped AS (
            SELECT DISTINCT d.debtor_id
            FROM hold h
            JOIN work_item w ON w.kind = 'handoff' AND w.state <> 'closed'
                AND (h.scope = 'everything' OR w.tenant_id = h.tenant_id)
            JOIN debt b ON b.debt_id = w.debt_id
            JOIN debtor d ON d.debtor_id = b.debtor_id AND d.shard = $1
                AND (d.wake_at IS NULL OR d.wake_at > $2)
            WHERE h.hold_id = $3 AND (h.until IS NULL OR h.until > $2)
              AND (starts_with(h.subject, 'address:' || w.tenant_id || ':voice:')
                OR starts_with(h.subject, 'address:' || w.tenant_id || ':letter:')
                OR h.subject IN (
                'everything', 'tenant:' || w.tenant_id,
                'portfolio:' || w.tenant_id || ':' || b.portfolio_id,
                'channel:' || w.tenant_id || ':handoff',
                'debtor:' || w.tenant_id || ':' || w.debtor_id,
                'debtor:' || w.tenant_id || ':' || b.debtor_id,
                'debt:' || w.tenant_id || ':' || w.debt_id))
            LIMIT $4::bigint
        ), debtors AS (
            UPDATE debtor AS d SET wake_at = $2
            FROM stopped s WHERE d.debtor_id = s.debtor_id RETURNING 1
        )
        SELECT count(*) FROM debtors
        """,
        partition,
        now,
        hold_id,
        limit,
    )
    return woken
