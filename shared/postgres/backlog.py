"""What an outbox holds that was not published yet.

In: a relay's name, or a place in the outbox. Out: counts, bounded, and whether there is anything.
"""

from shared.postgres.connection import Connection
from shared.postgres.pages import Position

COUNTED_MAX = 100_000  # counting stops here; "more" is all that anyone needs to know


async def count_unpublished(conn: Connection, name: str) -> int:
    """Count what a relay has not published yet, in one statement, however often it is asked.

    At most 100,000 committed rows, and one more while rows are published again. A relay that never
    led has published nothing: then everything counts.
    """
    count = await conn.fetchval(
        """
        SELECT (again_generation IS NOT NULL)::int + (
            SELECT count(*) FROM (
                SELECT 1 FROM outbox o
                WHERE o.day >= r.day - 1 AND o.day <= (now() AT TIME ZONE 'UTC')::date
                  AND (o.generation, o.xid, o.id) > (r.generation, r.xid, r.id)
                LIMIT $2
            ) unpublished
        )
        FROM relay r WHERE r.name = $1
        """,
        name,
        COUNTED_MAX,
    )
    return await count_after(conn, Position()) if count is None else int(count)


async def count_after(conn: Connection, position: Position) -> int:
    """Count committed rows beyond `position`, readable yet or not (at most 100,000)."""
    count = await conn.fetchval(
        """
        SELECT count(*) FROM (
            SELECT 1 FROM outbox o
            WHERE o.day >= $1::date - 1 AND o.day <= (now() AT TIME ZONE 'UTC')::date
              AND (o.generation, o.xid, o.id) > ($2::int, $3::xid8, $4::bigint)
            LIMIT $5
        ) unpublished
        """,
        position.day,
        position.generation,
        position.xid,
        position.id,
        COUNTED_MAX,
    )
    return int(count)


async def anything_after(conn: Connection, position: Position) -> bool:
    """Say whether committed rows exist beyond `position`, readable yet or not."""
    found = await conn.fetchval(
        """
        SELECT EXISTS (
            SELECT 1 FROM outbox o
            WHERE o.day >= $1::date - 1 AND o.day <= (now() AT TIME ZONE 'UTC')::date
              AND (o.generation, o.xid, o.id) > ($2::int, $3::xid8, $4::bigint)
        )
        """,
        position.day,
        position.generation,
        position.xid,
        position.id,
    )
    return bool(found)
