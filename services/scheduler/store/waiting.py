"""What waits for people, counted: open and claimed work items by kind and age.

In: a connection. Out: numbers for the gauges. Only what is not closed is looked at.
"""

from shared.postgres.connection import Connection

OPEN_COUNTED_MAX = 100_000  # of what waits: some 30 ms, and nobody needs more digits
AGES = ("under_1d", "1d_to_7d", "over_7d")  # after a week a hand-off's licence is over


async def open_by_age(conn: Connection) -> dict[tuple[str, str], int]:
    """Count what waits for people, of all tenants, by kind and age in law time."""
    rows = await conn.fetch(
        """
        SELECT kind, age, count(*) AS items FROM (
            SELECT kind, CASE WHEN opened_at > law - interval '1 day' THEN 'under_1d'
                              WHEN opened_at > law - interval '7 days' THEN '1d_to_7d'
                              ELSE 'over_7d' END AS age
            FROM work_item, platform.law_now() AS law
            WHERE state <> 'closed' LIMIT $1
        ) AS waiting GROUP BY kind, age
        """,
        OPEN_COUNTED_MAX,
    )
    return {(row["kind"], row["age"]): row["items"] for row in rows}
