"""Upkeep of the outbox's day partitions: ahead in time, with statistics, dropped when old.

In: the relay's connection, once an hour and after pages. Out: partitions for a week ahead; ANALYZE
after a partition's first page (without statistics every page sorts the whole partition, 60 times
dearer); partitions older than the re-publication window gone, never while anything is unpublished.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import date, timedelta

from shared.postgres import outbox
from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Row

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 3_600.0  # partitions are made a week ahead; an hour is early enough
WINDOW_DAYS = 14  # what can be published again after a lost log
LOCK_TIMEOUT = "1s"  # upkeep never makes writers wait longer; it comes again
# Statistics are taken when a partition has so many rows published: the first page, then as the
# estimates would go wrong by an order of magnitude.
ANALYZE_AT_ROWS = (1, 2_000, 20_000, 200_000, 2_000_000)


class Upkeep:
    """What a leading relay does besides publishing."""

    def __init__(self) -> None:
        """Start with an upkeep that is due now."""
        self._due_at = 0.0
        self._rows: dict[date, int] = {}

    async def when_due(self, conn: Connection, name: str) -> None:
        """Once an hour: partitions ahead, old ones dropped; a lock that is taken, later."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._due_at:
            return
        self._due_at = loop.time() + INTERVAL_SECONDS
        try:
            async with conn.transaction():
                await conn.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await outbox.ensure_partitions(conn)
            await drop_old(conn, name)
        except TRANSIENT_ERRORS as error:
            if conn.is_closed():
                raise
            log.warning("outbox upkeep postponed (%s)", type(error).__name__)
            self._due_at = loop.time() + INTERVAL_SECONDS / 60

    async def published(self, conn: Connection, page: Sequence[Row]) -> None:
        """Count a published page per day, and take statistics when it is time."""
        for day in {page[0]["day"], page[-1]["day"]}:
            before = self._rows.get(day, 0)
            after = before + sum(row["day"] == day for row in page)
            self._rows[day] = after
            if any(before < rows <= after for rows in ANALYZE_AT_ROWS):
                await conn.execute(f"ANALYZE {outbox.partition_name(day)}")


async def drop_old(conn: Connection, name: str, window_days: int = WINDOW_DAYS) -> list[str]:
    """Drop partitions older than the window whose rows were all published; return their names."""
    today: date = await conn.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    oldest_kept = outbox.partition_name(today - timedelta(days=window_days))
    rows = await conn.fetch(
        """
        SELECT c.relname AS name, i.inhdetachpending AS half_detached
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'outbox'::regclass AND c.relname < $1
        ORDER BY c.relname
        """,
        oldest_kept,
    )
    dropped = []
    for row in rows:
        partition = str(row["name"])
        if await _unpublished(conn, partition, name):
            log.error("outbox partition %s is old but not published: kept", partition)
            break
        # CONCURRENTLY lets writers go on; a detachment that was interrupted is finished.
        how = "FINALIZE" if row["half_detached"] else "CONCURRENTLY"
        await conn.execute(f"ALTER TABLE outbox DETACH PARTITION {partition} {how}")
        await conn.execute(f"DROP TABLE {partition}")
        dropped.append(partition)
    return dropped


async def _unpublished(conn: Connection, partition: str, name: str) -> bool:
    found = await conn.fetchval(
        f"""
        SELECT EXISTS (
            SELECT 1 FROM {partition} o, relay r
            WHERE r.name = $1 AND (
                (o.generation, o.xid, o.id) > (r.generation, r.xid, r.id)
                OR (r.again_generation IS NOT NULL
                    AND (o.generation, o.xid, o.id) > (r.again_generation, r.again_xid, r.again_id))
            )
        ) OR NOT EXISTS (SELECT 1 FROM relay r WHERE r.name = $1)
        """,  # noqa: S608 - the partition's name comes from the catalogue
        name,
    )
    return bool(found)
