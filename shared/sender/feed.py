"""The task feed: Kafka records in, tasks in their lanes, offsets that move when it is safe.

In: `contact.tasks.<channel>.v1`. Out: `Work` for `deliver`, close requests for `closing`, and
unreadable records in the dead letters (and as INVALID attempts when their contact can be named).
An offset moves when every record before it has a row or a fact; redelivery is harmless, because
the claim refuses what it has seen.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from uuid import UUID

import msgspec

from shared.clock import Clock
from shared.events.contact import CloseRequested, ContactTask, Permit
from shared.events.envelope import Envelope, UnreadableEvent, decode
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.errors import PublishFailed, StopPartition
from shared.kafka.records import Record, TopicPartition
from shared.postgres import TRANSIENT_ERRORS, Connection, Pool, offsets
from shared.sender.attempts import Ticket, Work
from shared.sender.errors import ErrorKind
from shared.sender.lanes import Lanes
from shared.sender.store.endings import Close
from shared.sender.tickets import Tickets
from shared.telemetry import logs, metrics

FETCH_RECORDS_MAX = 1_000  # one decode pass; about half a megabyte
FETCH_WAIT_MS = 100  # idle polls are cheap, and offsets are noted at each
WAITING_TASKS_MAX = 4_000  # in hand before fetching pauses: about two seconds at full speed
ROOM_SECONDS = 0.01  # how often a full house looks for room
SAVE_SECONDS = 1.0  # a crash reads at most a second of tasks again
RETRY_SECONDS = 0.5  # a database or broker that is away is asked again
WINDOW_AHEAD_MAX = timedelta(days=60)  # a permit ends within days; further away it is nonsense
TASK = "contact.task.v1"
CLOSE_REQUESTED = "contact.close_requested.v1"

_log = logs.get_logger(__name__)


class Salvage(msgspec.Struct, frozen=True):
    """As much of an unreadable task as lets its contact be ended."""

    contact_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    channel: str
    permit: Permit


class TaskFeed:
    """One loop: fetch, decode, hand on, note offsets."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: GroupConsumer,
        group: str,
        lanes: Lanes,
        dead_letters: DeadLetters,
        clock: Clock,
        retention: timedelta,
        arrived: Callable[[], None],
        close: Callable[[list[Close]], Awaitable[None]],
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._group = group
        self._lanes = lanes
        self._dead_letters = dead_letters
        self._clock = clock
        self._retention = retention
        self._arrived = arrived
        self._close = close
        self._tickets = Tickets()
        self._moved: dict[TopicPartition, int] = {}
        self._saved_at = 0.0
        self.fetched_total = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Feed until `stop`; what is in hand then is delivered again to whoever comes next."""
        await self._consumer.start(self.on_assigned, self.on_revoked)
        try:
            while not stop.is_set():
                await self._note_offsets()
                if self._lanes.waiting >= WAITING_TASKS_MAX:
                    await asyncio.sleep(ROOM_SECONDS)
                    continue
                await self._fetch(stop)
        finally:
            await self._note_offsets(now=True)
            await self._consumer.stop()

    def pending(self) -> int:
        """Tasks fetched and not yet claimed or handed back."""
        return self._lanes.waiting

    async def lag(self, conn: Connection, ends: Mapping[TopicPartition, int]) -> int:
        """Return how many records are not settled, given where the logs end.

        Of partitions that are not ours (or, between two owners, nobody's) the stored offset tells.
        """
        self._moved.update(self._tickets.positions())
        others = [partition for partition in ends if partition not in self._tickets.next]
        cluster_id = self._consumer.cluster_id or ""
        known = await offsets.load(conn, self._group, cluster_id, others) if others else {}
        known |= self._tickets.next
        return sum(max(0, end - known[partition]) for partition, end in ends.items())

    async def on_assigned(
        self, partitions: frozenset[TopicPartition]
    ) -> Mapping[TopicPartition, int]:
        """Go on where the last owner's work ended; an emptied broker starts at its beginning."""
        async with self._pool.acquire() as conn:
            cluster_id = self._consumer.cluster_id or ""
            stored = await offsets.load(conn, self._group, cluster_id, partitions)
        self._lanes.drop(lambda work: not work.retry)
        self._moved.clear()
        self._tickets.begin(stored)
        return stored

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Let go of partitions: what is waiting is somebody else's, what is claimed stays ours."""
        self._lanes.drop(
            lambda work: work.ticket is not None and work.ticket.partition in partitions
        )
        await self._note_offsets(now=True)
        self._tickets.forget(partitions)

    async def _fetch(self, stop: asyncio.Event) -> None:
        try:
            batches = await self._consumer.fetch(FETCH_RECORDS_MAX, FETCH_WAIT_MS)
        except TRANSIENT_ERRORS as error:  # raised by on_assigned: the database is away
            _log.warning("assignment_postponed", error_type=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
            return
        for records in batches.values():
            await self._take(records, stop)

    async def _note_offsets(self, *, now: bool = False) -> None:
        """Store what may move, once a second; redelivery is harmless, so nothing waits for it."""
        self._moved.update(self._tickets.positions())
        if not self._moved or not (now or time.monotonic() - self._saved_at > SAVE_SECONDS):
            return
        self._saved_at = time.monotonic()
        moved, self._moved = self._moved, {}
        try:
            async with self._pool.acquire() as conn:
                await offsets.save(conn, self._group, self._consumer.cluster_id or "", moved)
        except TRANSIENT_ERRORS as error:
            self._moved = moved | self._moved
            _log.warning("offsets_postponed", error_type=type(error).__name__)
            return
        await self._consumer.commit(moved)

    async def _take(self, records: list[Record], stop: asyncio.Event) -> None:
        now = time.monotonic()
        closes: list[tuple[Close, Ticket]] = []
        for record in records:
            ticket = self._tickets.issue(record)
            try:
                task = self._decoded(record)
            except UnreadableEvent as error:
                await self._bury(record, ticket, error, stop)
                continue
            if isinstance(task, Close):
                closes.append((task, ticket))
            else:
                task.received_at = now
                task.ticket = ticket
                self._lanes.add(task)
        self.fetched_total += len(records)
        metrics.SENDER_TASKS_FETCHED.inc(len(records))
        self._arrived()
        if closes:
            await self._end([close for close, _ in closes], stop)
            for _, ticket in closes:
                ticket.settled = True

    def _decoded(self, record: Record) -> Work | Close:
        event = Envelope.from_record(record.headers, record.value)
        if event.type == CLOSE_REQUESTED:
            request = decode(event.data, CloseRequested)
            self._check_window(request.permit)
            return Close(request=request, traceparent=event.traceparent)
        if event.type != TASK:
            msg = f"unknown type {event.type[:80]} on a task topic"
            raise UnreadableEvent(msg)
        task = decode(event.data, ContactTask)
        self._check_window(task.permit)
        return Work(task=task, raw=event.data, traceparent=event.traceparent, received_at=0.0)

    def _check_window(self, permit: Permit) -> None:
        law = self._clock.law_now()
        times = (permit.issued_at, permit.not_before, permit.not_after)
        if any(each.tzinfo is None for each in times) or permit.not_before >= permit.not_after:
            msg = "the permit's interval is empty or its times are naive"
            raise UnreadableEvent(msg)
        if not law - self._retention < permit.not_after < law + WINDOW_AHEAD_MAX:
            msg = "the permit's window lies beyond what attempts are kept for"
            raise UnreadableEvent(msg)

    async def _bury(
        self, record: Record, ticket: Ticket, error: UnreadableEvent, stop: asyncio.Event
    ) -> None:
        """Bury an unreadable record; when its contact can be named, end that, too."""
        while not stop.is_set():
            try:
                await self._dead_letters.bury(record, str(error), error)
            except StopPartition as reason:
                _log.critical("task_partition_stopped", topic=record.topic, reason=str(reason))
                self._consumer.pause([(record.topic, record.partition)])
                return
            except PublishFailed:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            break
        metrics.SENDER_TASKS_UNREADABLE.inc()
        salvaged = self._salvaged(record.value)
        if salvaged is None:
            ticket.settled = not stop.is_set()
        else:
            salvaged.ticket = ticket
            self._lanes.add(salvaged)

    def _salvaged(self, value: bytes | None) -> Work | None:
        try:
            found = msgspec.json.decode(value or b"", type=Salvage)
            self._check_window(found.permit)
        except (msgspec.DecodeError, UnicodeDecodeError, UnreadableEvent):
            return None
        return Work(
            task=_stub(found),
            raw=b"",
            traceparent=None,
            received_at=time.monotonic(),
            fault=ErrorKind.TASK_UNREADABLE.value,
        )

    async def _end(self, closes: list[Close], stop: asyncio.Event) -> None:
        while True:
            try:
                await self._close(closes)
            except TRANSIENT_ERRORS as error:
                _log.warning("close_postponed", error_type=type(error).__name__)
                if stop.is_set():
                    raise
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def _stub(found: Salvage) -> ContactTask:
    return ContactTask(
        contact_id=found.contact_id,
        debtor_id=found.debtor_id,
        tenant_id=found.tenant_id,
        portfolio_id=found.portfolio_id,
        channel=found.channel,
        address="",
        locale="",
        account_id="",
        template_id="",
        template_version=0,
        content_class="",
        step_key="",
        stage=0,
        items=(),
        values={},
        subjects=(),
        permit=found.permit,
    )
