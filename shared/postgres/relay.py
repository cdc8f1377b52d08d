"""The relay: publishes a service's outbox in commit order, whole pages at a time.

In: rows that transactions appended (`outbox.append`), and `wake()` after a commit. Out: records on
Kafka, at least once; position and acknowledged offsets in one statement. One process at a time
leads. A lost log is recognised (see `log_loss`): then the hook re-publishes from state tables, and
the relay publishes its kept window again behind the live rows, at a bounded rate.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from shared.kafka.admin import Layout
from shared.kafka.client import ConnectionFailures
from shared.kafka.errors import PublishFailed
from shared.kafka.producer import Producer
from shared.postgres import backlog, leadership, outbox, pages, upkeep
from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Pool, Row
from shared.postgres.log_loss import LogLost, check_advance, inspect, rebuild
from shared.postgres.pages import Position, RelayState
from shared.telemetry import metrics

log = logging.getLogger(__name__)

PAGE_ROWS_MAX = 2_000  # reading 600 or 2,000 rows costs the same per row; 2,000 make 1.2 MB
POLL_SECONDS = 0.1  # other replicas' commits wake nobody here: looked for 10 times a second
SPACING_SECONDS = 0.05  # while busy: at most 20 cycles a second (each costs the broker 4–5 ms)
FEW_SPACING_SECONDS = 0.015  # after a page of a few rows, which wait for no others
BUSY_ROWS = 16
UNSETTLED_SECONDS_MIN = 0.002  # rows behind an open transaction: looked at again this soon,
UNSETTLED_SECONDS_MAX = 0.02  # then less often
PROBE_SECONDS = 5.0  # how often the cluster id is compared
AGAIN_ROWS_PER_SECOND = 5_000  # re-publication: 1 M rows in 3.5 min, with room for live rows
RETRY_SECONDS_MIN = 0.1  # after a failure, doubling
RETRY_SECONDS_MAX = 3.0

# What a broker or a database that is away or restarting causes: wait and go on.
SURVIVABLE: tuple[type[Exception], ...] = (
    PublishFailed,
    *ConnectionFailures,
    *TRANSIENT_ERRORS,
)


class Relay:
    """Publishes `outbox` of one service. `run` is one loop; any replica may call it."""

    def __init__(
        self,
        pool: Pool,
        producer: Producer,
        *,
        lock_key: int | str | None = None,
        name: str = "outbox",
        layout: Layout | None = None,
        on_log_lost: Callable[[], Awaitable[None]] | None = None,
        page_rows_max: int = PAGE_ROWS_MAX,
        poll_seconds: float = POLL_SECONDS,
        again_rows_per_second: int = AGAIN_ROWS_PER_SECOND,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        """Keep the settings; nothing happens before `run`.

        `layout` lets the relay create the topics of an emptied broker anew; `on_log_lost` then
        re-publishes what the service keeps as state (configuration, holds, open contacts' tasks).
        `lock_key` None derives the advisory lock from the schema and `name`.
        """
        self._pool = pool
        self._producer = producer
        self._lock_key = lock_key
        self._name = name
        self._layout = layout
        self._on_log_lost = on_log_lost
        self._page_rows_max = page_rows_max
        self._poll_seconds = poll_seconds
        self._again_rows_per_second = again_rows_per_second
        self._probe_seconds = probe_seconds
        self._wake = asyncio.Event()
        self._unsettled = False
        self._unsettled_seconds = UNSETTLED_SECONDS_MIN
        self._in_hand = 0
        self._generation = 0
        self._state = RelayState(Position(), None, None, None, {})
        self._probed_at = 0.0
        self._again_at = 0.0
        self._upkeep = upkeep.Upkeep()
        self.leading = False
        self.published_total = 0
        self.batches_total = 0  # one per partition and cycle: what the broker works by
        self.log_losses_total = 0

    def wake(self) -> None:
        """Look for rows now: call after the commit of every transaction that appended."""
        self._wake.set()

    def pending(self) -> int:
        """Rows known to be unpublished here; 0 = nothing (see `count_pending` across replicas)."""
        again = self._state.again is not None
        return self._in_hand + int(self._wake.is_set() or self._unsettled) + int(again)

    async def count_pending(self) -> int:
        """Count unpublished rows of all replicas by the stored position (at most 100,000)."""
        async with self._pool.acquire() as conn:
            return await backlog.count_unpublished(conn, self._name)

    async def run(self, stop: asyncio.Event) -> None:
        """Lead when nobody else does, publish until `stop`; survive brokers and database.

        Raises only what is neither: a fault of the program ends the process.
        """
        pause = RETRY_SECONDS_MIN
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                async with leadership.hold(
                    self._pool,
                    f"relay/{self._name}",
                    self._lock_key,
                    stop,
                    options=pages.PLANNER_OPTIONS,
                ) as conn:
                    if conn is not None:
                        await self._lead(conn, stop)
            except SURVIVABLE as error:
                log.warning("the relay stopped (%s); trying again", type(error).__name__)
            finally:
                self.leading = False
                self._in_hand = 0
            if asyncio.get_running_loop().time() - began > RETRY_SECONDS_MAX:
                pause = RETRY_SECONDS_MIN
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)

    async def _lead(self, conn: Connection, stop: asyncio.Event) -> None:
        await outbox.prepare(conn)
        self._generation = await outbox.ensure_generation(conn)
        self._state = await pages.load_state(conn, self._name)
        await self._inspect(conn)
        self.leading = True
        self._wake.set()
        while not stop.is_set():
            try:
                await self._cycle(conn, stop)
            except LogLost as loss:
                await self._recover(conn, str(loss))

    async def _cycle(self, conn: Connection, stop: asyncio.Event) -> None:
        """Publish what is there, then a page of old rows if they are due; look around, and rest."""
        began = asyncio.get_running_loop().time()
        woken = self._wake.is_set()
        self._wake.clear()
        self._unsettled = self._unsettled or woken
        page = await self._read(conn, self._state.position)
        if page:
            await self._drain(conn, page, stop)
            self._unsettled = True
        elif self._unsettled:
            self._unsettled = await backlog.anything_after(conn, self._state.position)
        await self._publish_again(conn)
        await self._probe(conn)
        await self._upkeep.when_due(conn, self._name)
        if page:
            # Cycles in quick succession are spaced, so that batches grow with load.
            few = len(page) < BUSY_ROWS
            spacing = FEW_SPACING_SECONDS if few else SPACING_SECONDS
            await self._sleep(began + spacing)
        else:
            await self._rest()

    async def _drain(self, conn: Connection, page: list[Row], stop: asyncio.Event) -> None:
        """Publish page after page; the next one is read while one is on its way, order kept."""
        following = page
        unsaved: tuple[list[Row], list[tuple[int, int]]] | None = None

        async def meanwhile() -> None:
            nonlocal following
            if unsaved is not None:
                await self._save(conn, *unsaved)
            following = []
            if len(page) >= self._page_rows_max and not stop.is_set():
                following = await self._read(conn, pages.end_of(page))

        while following:
            page = following
            self._in_hand = len(page)
            publishing = self._producer.publish(pages.outgoing(page))
            unsaved = (
                page,
                await leadership.patiently(conn, publishing, self._watch, meanwhile),
            )
        if unsaved is not None:
            await self._save(conn, *unsaved)
        self._in_hand = 0

    async def _read(self, conn: Connection, after: Position) -> list[Row]:
        return await pages.read_page(conn, after, self._generation, self._page_rows_max)

    async def _save(
        self, conn: Connection, page: Sequence[Row], placed: Sequence[tuple[int, int]]
    ) -> None:
        lasts, firsts = pages.last_acks(page, placed)
        check_advance(self._state.acks, firsts)
        end = pages.end_of(page)
        await pages.save(
            conn, self._name, pages.SAVE_LIVE, position=end, acks=lasts, published=len(page)
        )
        self._state.position = end
        self._state.acks.update(lasts)
        self.published_total += len(page)
        self.batches_total += len(lasts)
        await self._upkeep.published(conn, page)

    async def _publish_again(self, conn: Connection) -> None:
        """Publish one page of the kept window again, when the rate allows."""
        again, until = self._state.again, self._state.until
        loop = asyncio.get_running_loop()
        if again is None or until is None or loop.time() < self._again_at:
            return
        page = await pages.read_again(conn, again, until, self._page_rows_max)
        if not page:
            await pages.end_again(conn, self._name)
            self._state.again = self._state.until = None
            log.info("the kept window was published again")
            return
        began = loop.time()
        publishing = self._producer.publish(pages.outgoing(page))
        placed = await leadership.patiently(conn, publishing, self._watch)
        lasts, firsts = pages.last_acks(page, placed)
        check_advance(self._state.acks, firsts)
        end = pages.end_of(page)
        await pages.save(
            conn, self._name, pages.SAVE_AGAIN, position=end, acks=lasts, published=len(page)
        )
        self._state.again = end
        self._state.acks.update(lasts)
        self.published_total += len(page)
        self.batches_total += len(lasts)
        self._again_at = began + len(page) / self._again_rows_per_second

    async def _inspect(self, conn: Connection) -> None:
        """Compare the log with what was acknowledged, before the first publication."""
        try:
            cluster_id = await leadership.patiently(conn, inspect(self._producer, self._state))
        except LogLost as loss:
            await self._recover(conn, str(loss))
            return
        if self._state.cluster_id is None:
            await pages.save_cluster(conn, self._name, cluster_id)
            self._state.cluster_id = cluster_id
        self._probed_at = asyncio.get_running_loop().time()

    async def _recover(self, conn: Connection, reason: str) -> None:
        """Make the topics anew, let the service re-publish its state, then our own window."""
        log.error("Kafka lost its log (%s): publishing again", reason)
        self.log_losses_total += 1
        metrics.KAFKA_LOG_LOSSES.inc()
        self._in_hand = 0
        cluster_id = await leadership.patiently(
            conn, rebuild(self._producer, self._layout, self._on_log_lost)
        )
        await pages.start_again(conn, self._name, cluster_id, self._state.position)
        self._state = await pages.load_state(conn, self._name)
        self._again_at = 0.0

    async def _probe(self, conn: Connection) -> None:
        if asyncio.get_running_loop().time() - self._probed_at >= self._probe_seconds:
            await leadership.patiently(conn, self._watch())

    async def _watch(self) -> None:
        """Raise `LogLost` when the cluster that answers is another one; silence is no answer."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._probed_at < min(self._probe_seconds, leadership.HEARTBEAT_SECONDS):
            return
        self._probed_at = loop.time()
        found = await self._producer.cluster_id()
        if found is not None and found != self._state.cluster_id:
            msg = "the Kafka cluster is another one"
            raise LogLost(msg)

    async def _rest(self) -> None:
        """Wait to be woken, for the poll interval, or (rows behind a transaction) a moment."""
        seconds = self._poll_seconds
        if self._unsettled:
            self._unsettled_seconds = min(self._unsettled_seconds * 2, UNSETTLED_SECONDS_MAX)
            seconds = self._unsettled_seconds
            self._wake.clear()
        else:
            self._unsettled_seconds = UNSETTLED_SECONDS_MIN
        if self._state.again is not None:
            seconds = min(seconds, max(self._again_at - asyncio.get_running_loop().time(), 0.0))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    @staticmethod
    async def _sleep(until: float) -> None:
        seconds = until - asyncio.get_running_loop().time()
        if seconds > 0:
            await asyncio.sleep(seconds)
