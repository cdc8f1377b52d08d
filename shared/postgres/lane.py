"""The holds' own lane: published at once, deleted when acknowledged, marked when complete.

In: rows of a small outbox (`outbox.append_to_lane`), and `wake()` after a commit. Out: records on
one compacted topic. It waits for no other transaction (any open one would delay a stop; versions
order holds). With marks, every second each partition gets `complete_through = T`: every hold
committed before T, machine time, is already there; when anything was not published, no mark.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from uuid import uuid4

from shared.events.envelope import Envelope, encode
from shared.events.hold import COMPLETE_THROUGH_KEY, CompleteThrough
from shared.events.topics import CONTACT_HOLDS
from shared.kafka.admin import Layout
from shared.kafka.client import ConnectionFailures
from shared.kafka.errors import PublishFailed
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing
from shared.postgres import leadership, pages
from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Pool
from shared.postgres.log_loss import LogLost, rebuild
from shared.postgres.outbox import headers_from

log = logging.getLogger(__name__)

PAGE_ROWS_MAX = 500  # holds are few; a flood of them (an emergency import) goes in pages
POLL_SECONDS = 0.1  # other replicas' holds are looked for 10 times a second; our own wake it
MARK_SECONDS = 1.0  # a sender stops claiming when marks are 3 s old: three chances
IDLE_SECONDS_MAX = 3  # a frozen holder loses the lock so soon: stops must act within 5 s
RETRY_SECONDS = 0.1  # after a failure, doubling
RETRY_SECONDS_MAX = 1.0
MARK_TYPE = "hold.complete_through.v1"

# What a broker or a database that is away or restarting causes: wait and go on.
SURVIVABLE: tuple[type[Exception], ...] = (
    PublishFailed,
    *ConnectionFailures,
    *TRANSIENT_ERRORS,
)


class LaneRelay:
    """Publishes one lane of a service. `run` is one loop; any replica may call it."""

    def __init__(
        self,
        pool: Pool,
        producer: Producer,
        table: str = "hold_outbox",
        topic: str = CONTACT_HOLDS.name,
        *,
        marks: bool = False,
        source: str = "regua/scheduler",
        lock_key: int | str | None = None,
        layout: Layout | None = None,
        on_log_lost: Callable[[], Awaitable[None]] | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Keep the settings; nothing happens before `run`.

        `marks` only for the scheduler. `on_log_lost` re-appends the live holds from their table
        to the lane (an emptied broker has none of them); no mark is written before that is done.
        """
        self._pool = pool
        self._producer = producer
        self._table = table
        self._topic = topic
        self._marks = marks
        self._source = source
        self._lock_key = lock_key
        self._layout = layout
        self._on_log_lost = on_log_lost
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._cluster_id: str | None = None
        self._mark_due_at = 0.0
        self._last_mark_offsets: dict[int, int] = {}
        self._in_hand = 0
        self.leading = False
        self.published_total = 0
        self.complete_through: datetime | None = None

    def wake(self) -> None:
        """Look for rows now: call after the commit of every transaction that appended."""
        self._wake.set()

    def pending(self) -> int:
        """Rows known to be unpublished here; 0 = nothing known."""
        return self._in_hand + int(self._wake.is_set())

    async def count_pending(self) -> int:
        """Count unpublished rows of all replicas (at most 100,000)."""
        query = f"SELECT count(*) FROM (SELECT 1 FROM {self._table} LIMIT 100000) unpublished"  # noqa: S608 - our own table name
        return int(await self._pool.fetchval(query))

    async def run(self, stop: asyncio.Event) -> None:
        """Lead when nobody else does, publish until `stop`; survive brokers and database."""
        pause = RETRY_SECONDS
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                async with leadership.hold(
                    self._pool, f"lane/{self._table}", self._lock_key, stop, IDLE_SECONDS_MAX
                ) as conn:
                    if conn is not None:
                        await self._lead(conn, stop)
            except SURVIVABLE as error:
                log.warning("the lane stopped (%s); trying again", type(error).__name__)
            finally:
                self.leading = False
                self._in_hand = 0
            if asyncio.get_running_loop().time() - began > RETRY_SECONDS_MAX:
                pause = RETRY_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)

    async def _lead(self, conn: Connection, stop: asyncio.Event) -> None:
        self._cluster_id = (await pages.load_state(conn, self._table)).cluster_id
        self._last_mark_offsets.clear()
        self.leading = True
        while not stop.is_set():
            try:
                await self._cycle(conn)
            except LogLost as loss:
                await self._recover(conn, str(loss))

    async def _cycle(self, conn: Connection) -> None:
        loop = asyncio.get_running_loop()
        self._wake.clear()
        mark_due = loop.time() >= self._mark_due_at
        if mark_due:
            await self._check_cluster(conn)
        # Read before the rows, by a statement of its own: what was committed before this instant
        # is in the snapshot of the next statement.
        complete_through = await self._machine_now(conn) if mark_due and self._marks else None
        await self._publish_all(conn)
        if mark_due:
            self._mark_due_at = loop.time() + MARK_SECONDS
        if complete_through is not None:
            await self._mark(conn, complete_through)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._poll_seconds)

    async def _publish_all(self, conn: Connection) -> None:
        """Publish and delete every committed row; raise when any could not be published."""
        while True:
            rows = await conn.fetch(
                f"SELECT id, key, headers, value FROM {self._table} ORDER BY id LIMIT $1",  # noqa: S608 - our own table name
                PAGE_ROWS_MAX,
            )
            if not rows:
                return
            self._in_hand = len(rows)
            batch = [
                Outgoing(self._topic, row["key"], headers_from(row["headers"]), row["value"])
                for row in rows
            ]
            await leadership.patiently(conn, self._producer.publish(batch))
            await conn.execute(
                f"DELETE FROM {self._table} WHERE id = ANY($1::bigint[])",  # noqa: S608 - our own
                [row["id"] for row in rows],
            )
            self.published_total += len(rows)
            self._in_hand = 0
            if len(rows) < PAGE_ROWS_MAX:
                return

    async def _mark(self, conn: Connection, complete_through: datetime) -> None:
        count = await self._producer.partitions(self._topic)
        envelope = Envelope(
            id=uuid4(),
            type=MARK_TYPE,
            source=self._source,
            time=complete_through,
            key=COMPLETE_THROUGH_KEY,
            tenant_id="*",
            data=encode(CompleteThrough(at=complete_through)),
        )
        headers = envelope.headers()
        batch = [
            Outgoing(self._topic, COMPLETE_THROUGH_KEY, headers, envelope.data, number)
            for number in range(count)
        ]
        placed = await leadership.patiently(conn, self._producer.publish(batch))
        for partition, offset in placed:
            if 0 <= offset <= self._last_mark_offsets.get(partition, -1):
                msg = f"{self._topic}/{partition} went back"
                raise LogLost(msg)
        self._last_mark_offsets.update(placed)
        self.complete_through = complete_through

    async def _check_cluster(self, conn: Connection) -> None:
        found = await leadership.patiently(conn, self._producer.cluster_id())
        if found is None:
            msg = "no broker answers"
            raise PublishFailed(msg)
        if self._cluster_id is None:
            await pages.save_cluster(conn, self._table, found)
            self._cluster_id = found
        if found != self._cluster_id:
            msg = "the Kafka cluster is another one"
            raise LogLost(msg)

    async def _recover(self, conn: Connection, reason: str) -> None:
        """Make the topics anew and let the service append its live holds again; then go on."""
        log.error("Kafka lost the lane (%s): publishing holds again", reason)
        self._last_mark_offsets.clear()
        found = await leadership.patiently(
            conn, rebuild(self._producer, self._layout, self._on_log_lost)
        )
        await pages.save_cluster(conn, self._table, found)
        self._cluster_id = found
        self._mark_due_at = 0.0

    async def _machine_now(self, conn: Connection) -> datetime:
        instant: datetime = await conn.fetchval("SELECT platform.machine_now()")
        return instant
