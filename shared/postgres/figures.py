"""Figures that no event tells: looked up every few seconds, beside the work and never on its way.

In: a pool, and looks (small async functions that set gauges). Out: gauges for pool, database and
outboxes, and whatever a service adds: lag, unknown attempts, KPIs. A look that fails is left out
until the next; what several replicas see alike is one figure, so dashboards take its maximum.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic

from shared.kafka.client import ConnectionFailures
from shared.postgres import backlog
from shared.postgres.connection import TRANSIENT_ERRORS, Pool
from shared.postgres.pages import Position
from shared.telemetry import logs, metrics

LOOK_SECONDS = 10.0  # below a scrape's 15 s; some ten small queries a minute in all
MARKS_MAX = 360  # ends of the outbox kept in mind: an hour of looks, then the age stops growing
OUTBOX, HOLDS = "outbox", "holds"  # values of the label

# Of this database; transactions of other users are not ours to see in detail.
DATABASE = """
SELECT pg_database_size(d.datid) AS bytes, d.numbackends AS connections,
    current_setting('max_connections')::int AS connections_max,
    d.xact_commit AS commits, d.xact_rollback AS rollbacks, d.deadlocks AS deadlocks,
    d.blks_hit AS hits, d.blks_read AS reads,
    (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - a.xact_start)), 0)
     FROM pg_stat_activity a WHERE a.usename = current_user)::float8 AS oldest_seconds
FROM pg_stat_database d WHERE d.datname = current_database()
"""

# The newest committed row: what the relay has to reach.
NEWEST = """
SELECT o.generation, o.xid, o.id, o.day FROM outbox o
WHERE o.day >= (now() AT TIME ZONE 'UTC')::date - 1
ORDER BY o.generation DESC, o.xid DESC, o.id DESC LIMIT 1
"""
LANE = "SELECT count(*) FROM (SELECT 1 FROM hold_outbox LIMIT $1) waiting"
# A day's new partition has no statistics: left alone, the planner sorts it whole (see pages).
BY_KEY = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
RELAY = "SELECT generation, xid, id, day FROM relay WHERE name = $1"

Look = Callable[[], Awaitable[None]]

_log = logs.get_logger(__name__)


class Waiting:
    """How long the oldest unpublished row has been waiting, told by where the outbox ended when.

    Rows bear no time; a row seen at the end of the outbox is old when the relay has not passed it.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[tuple[int, int, int], float]] = deque(maxlen=MARKS_MAX)

    def age(self, newest: Position | None, published: Position, now: float) -> float:
        """Return the age in seconds, 0 when everything is out; times are monotonic."""
        if newest is not None and (not self._marks or newest[:3] > self._marks[-1][0]):
            if len(self._marks) == MARKS_MAX:
                self._marks.pop()  # the oldest tells the age; the newest can be seen again
            self._marks.append((newest[:3], now))
        while self._marks and self._marks[0][0] <= published[:3]:
            self._marks.popleft()
        return now - self._marks[0][1] if self._marks else 0.0


class Figures:
    """The loop that looks. One per process, not critical."""

    def __init__(self, pool: Pool, looks: Sequence[Look] = ()) -> None:
        """`looks` are the service's own, besides pool and database."""
        self._pool = pool
        self._waiting = Waiting()
        self._lane_since: float | None = None
        self._counted: dict[str, int] = {}
        self._looks: list[Look] = [self._look_at_pool, self._look_at_database, *looks]

    def with_outbox(self) -> "Figures":
        """Look at the outbox and at the holds' own, too; return this."""
        self._looks += [self._look_at_outbox, self._look_at_lane]
        return self

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds until `stop`."""
        while not stop.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def look(self) -> None:
        """Take every figure once; what is away keeps its last value."""
        for look in self._looks:
            try:
                await look()
            except (*TRANSIENT_ERRORS, *ConnectionFailures) as error:
                _log.debug("look_failed", error_type=type(error).__name__)

    async def _look_at_pool(self) -> None:
        metrics.POOL_IN_USE.set(self._pool.in_use)
        metrics.POOL_MAX.set(self._pool.size_max)

    async def _look_at_database(self) -> None:
        row = await self._pool.fetchrow(DATABASE)
        if row is None:
            return
        metrics.DATABASE_BYTES.set(row["bytes"])
        metrics.DATABASE_CONNECTIONS.set(row["connections"])
        metrics.DATABASE_CONNECTIONS_MAX.set(row["connections_max"])
        metrics.DATABASE_OLDEST_TRANSACTION.set(row["oldest_seconds"])
        for name, metric in (
            ("commits", metrics.DATABASE_TRANSACTIONS.labels("commit")),
            ("rollbacks", metrics.DATABASE_TRANSACTIONS.labels("rollback")),
            ("deadlocks", metrics.DATABASE_DEADLOCKS),
            ("hits", metrics.DATABASE_BLOCKS.labels("memory")),
            ("reads", metrics.DATABASE_BLOCKS.labels("disk")),
        ):
            before = self._counted.get(name, row[name])
            metric.inc(max(0, row[name] - before))  # statistics that were reset start over
            self._counted[name] = row[name]

    async def _look_at_outbox(self) -> None:
        async with self._pool.transaction() as conn:
            await conn.execute(BY_KEY)
            stored = await conn.fetchrow(RELAY, OUTBOX)
            published = Position(*stored) if stored is not None else Position()
            newest = await conn.fetchrow(NEWEST)
            waiting = await backlog.count_after(conn, published)
        age = self._waiting.age(Position(*newest) if newest else None, published, monotonic())
        metrics.OUTBOX_ROWS.labels(OUTBOX).set(waiting)
        metrics.OUTBOX_AGE.labels(OUTBOX).set(age if waiting else 0.0)

    async def _look_at_lane(self) -> None:
        """A lane's rows are deleted when published: the age counts from when none were left."""
        waiting = int(await self._pool.fetchval(LANE, backlog.COUNTED_MAX))
        self._lane_since = (self._lane_since or monotonic()) if waiting else None
        age = monotonic() - self._lane_since if self._lane_since is not None else 0.0
        metrics.OUTBOX_ROWS.labels(HOLDS).set(waiting)
        metrics.OUTBOX_AGE.labels(HOLDS).set(age)
