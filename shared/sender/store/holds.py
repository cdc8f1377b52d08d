"""This sender's copy of the holds: what the claim anti-joins.

In: holds from the lane, and opt-outs from this sender's own webhooks. Out: rows; the newest
version wins whatever order they come in.
"""

from collections.abc import Iterable, Sequence

from shared.events.hold import Hold
from shared.postgres import Connection

UPSERT = """
INSERT INTO hold (hold_id, tenant_id, scope, subject, reason, version, state, placed_at, until,
    lifted_at, origin)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[],
    $7::text[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[])
ON CONFLICT (hold_id) DO UPDATE
SET tenant_id = excluded.tenant_id, scope = excluded.scope, subject = excluded.subject,
    reason = excluded.reason, version = excluded.version, state = excluded.state,
    placed_at = excluded.placed_at, until = excluded.until, lifted_at = excluded.lifted_at,
    origin = excluded.origin
WHERE hold.version < excluded.version
"""

PLACED_BY = """
SELECT hold_id, tenant_id, scope, subject, reason, version, state, placed_at, until, lifted_at,
    origin
FROM hold WHERE origin = $1 AND state = 'active'
"""


async def upsert(conn: Connection, holds: Iterable[Hold]) -> None:
    """Write holds; older versions than the stored ones change nothing."""
    rows = newest(holds)
    if rows:
        await conn.execute(
            UPSERT,
            [hold.hold_id for hold in rows],
            [hold.tenant_id for hold in rows],
            [hold.scope for hold in rows],
            [hold.subject for hold in rows],
            [hold.reason for hold in rows],
            [hold.version for hold in rows],
            [hold.state for hold in rows],
            [hold.placed_at for hold in rows],
            [hold.until for hold in rows],
            [hold.lifted_at for hold in rows],
            [hold.origin for hold in rows],
        )


async def placed_by(conn: Connection, origin: str) -> list[Hold]:
    """Return the active holds that this service itself has placed."""
    return [Hold(**dict(row.items())) for row in await conn.fetch(PLACED_BY, origin)]


def newest(holds: Iterable[Hold]) -> Sequence[Hold]:
    """Return the newest version of each hold, in id order (so that upserts never cross)."""
    by_id: dict[bytes, Hold] = {}
    for hold in holds:
        known = by_id.get(hold.hold_id.bytes)
        if known is None or known.version < hold.version:
            by_id[hold.hold_id.bytes] = hold
    return [by_id[key] for key in sorted(by_id)]
