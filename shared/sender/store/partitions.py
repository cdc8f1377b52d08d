"""Day partitions of attempts and receipts: made before they are needed, dropped after retention.

In: the dates that tasks name, and today. Out: partitions. Made by ATTACH, which does not stop
running claims; under an advisory lock, so that replicas do not race. A partition of attempts is
never dropped while one of its rows still waits for evidence.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from shared.postgres import Connection
from shared.sender.tables import ATTEMPT_FILLFACTOR_PERCENT

PARTITIONS_LOCK = 0x5E4D_0001  # any constant of our own; the schema's oid separates the senders

EXISTING = """
SELECT child.relname FROM pg_inherits
JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class child ON child.oid = inhrelid
WHERE parent.oid = $1::text::regclass
"""
LOCK = "SELECT pg_advisory_xact_lock($1, current_schema()::regnamespace::oid::integer)"
STILL_OPEN = """
SELECT EXISTS (SELECT FROM unknown_attempt WHERE ends_on = $1)
"""


async def existing(conn: Connection, table: str) -> set[date]:
    """Return the dates that have a partition of `table` (attempt or receipt)."""
    rows = await conn.fetch(EXISTING, table)
    return {date.fromisoformat(row["relname"].rpartition("_")[2]) for row in rows}


async def ensure(conn: Connection, table: str, days: Iterable[date]) -> None:
    """Make the missing partitions of `table` for `days`; the caller opened the transaction."""
    wanted = set(days)
    if wanted <= await existing(conn, table):
        return
    await conn.execute(LOCK, PARTITIONS_LOCK)
    for day in sorted(wanted - await existing(conn, table)):
        name = f"{table}_{day:%Y%m%d}"
        await conn.execute(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
            f" WITH (fillfactor = {ATTEMPT_FILLFACTOR_PERCENT}, autovacuum_analyze_threshold = 500)"
        )
        await conn.execute(
            f"ALTER TABLE {table} ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        )


async def drop_before(conn: Connection, table: str, first_kept: date) -> list[date]:
    """Drop partitions of `table` older than `first_kept` that nothing waits for; return them."""
    await conn.execute(LOCK, PARTITIONS_LOCK)
    dropped = []
    for day in sorted(await existing(conn, table)):
        if day >= first_kept:
            break
        if table == "attempt" and await conn.fetchval(STILL_OPEN, day):
            continue
        await conn.execute(f"DROP TABLE {table}_{day:%Y%m%d}")
        dropped.append(day)
    return dropped
