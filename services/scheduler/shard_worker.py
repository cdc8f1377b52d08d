"""One shard's worker: folds its records, dispatches its due contacts, wakes its due debtors.

In: records put by the planner's fetch loop, and the clock. Out: one committed transaction per
batch, each beginning with the shard row locked under our epoch. Infrastructure errors are retried
for ever with a bounded pause; a record that cannot be folded is buried with its reason.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from services.scheduler.dispatcher import Dispatch
from services.scheduler.planning import Incoming, plan_due, plan_events, read
from services.scheduler.store import debtors, lifts, shards
from services.scheduler.traces import folding, woken
from services.scheduler.working_set import WorkingSet
from shared.events.envelope import Envelope, UnreadableEvent
from shared.events.topics import DEBT_EVENTS
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.errors import PublishFailed, StopPartition
from shared.kafka.records import Record
from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Pool
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

BATCH_RECORDS_MAX = 1_000  # unnest and COPY gain nothing beyond (measured)
DUE_DEBTORS_MAX = 500  # deciding 500 debtors takes some 50 ms: stops wait no longer for the lock
IDLE_SECONDS = 0.25  # between looks at what time alone makes due; all else wakes the worker
# From one batch to the next while busy: a batch costs some 25 statements whatever it carries, so
# it must grow with the load; the first one after a rest waits for nothing.
SPACING_SECONDS = 0.05
FEW_SPACING_SECONDS = 0.01  # after a batch of a few: a lone fact must not wait for company
BUSY_RECORDS = 4  # a process owns up to a dozen shards: their cycles must not add up
RETRY_SECONDS = 0.5  # after a lost database connection

log = get_logger(__name__)

# The database or the broker is away: wait and try again. Anything else is in the records.
AWAY: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, PublishFailed)
NOT_THE_RECORDS: tuple[type[Exception], ...] = (shards.Fenced, StopPartition, *AWAY)


class ShardTools(msgspec.Struct, frozen=True, kw_only=True):
    """What every worker of a process shares. `wake_relay` tells the outbox relay to look."""

    pool: Pool
    dispatch: Dispatch
    dead_letters: DeadLetters
    wake_relay: Callable[[], None]
    observe_clock: Callable[..., None]
    group: str = ""
    trace_sample_ratio: float = 0.0


class ShardWorker:
    """Owns one shard until it is stopped or fenced."""

    def __init__(self, position: shards.ShardPosition, tools: ShardTools) -> None:
        """Start at the offsets stored with the work."""
        self._partition = position.partition
        self._epoch = position.epoch
        self.debt_offset = position.debt_offset
        self.contact_offset = position.contact_offset
        self._tools = tools
        self._inbox: deque[Record] = deque()
        self._wake = asyncio.Event()
        self._stopping = False

    def put(self, records: Sequence[Record]) -> None:
        """Queue records for folding."""
        self._inbox.extend(records)
        self._wake.set()

    def waiting(self) -> int:
        """How many records wait."""
        return len(self._inbox)

    def wake(self) -> None:
        """Look now: something may have become due."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the transaction under way, then end."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until stopped; raise `Fenced` when the shard was taken over."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            began = loop.time()
            self._wake.clear()  # before looking: what comes meanwhile ends the next wait at once
            try:
                moved = await self._cycle()
            except AWAY as error:
                log.warning("retry", shard=self._partition, error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if moved and len(self._inbox) < BATCH_RECORDS_MAX:
                spacing = SPACING_SECONDS if moved >= BUSY_RECORDS else FEW_SPACING_SECONDS
                await asyncio.sleep(max(0.0, began + spacing - loop.time()))
            if not moved:
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wake.wait()

    async def _cycle(self) -> int:
        """Do what there is to do, one page of each kind; return how much moved."""
        folded = await self._fold_inbox()
        async with self._tools.pool.acquire() as conn:
            contacts_due, debtors_due, lifted = await shards.peek(conn, self._partition)
            contacts_due = contacts_due or bool(
                await self._tools.dispatch.rooms(conn, self._partition)
            )
        dispatched = await self._dispatch() if contacts_due else 0
        woken = await self._wake_debtors() if debtors_due else 0
        if lifted:
            await self._wake_held()
        return folded + dispatched + woken + int(lifted)

    async def _fold_inbox(self) -> int:
        if not self._inbox:
            return 0
        batch = [self._inbox[i] for i in range(min(len(self._inbox), BATCH_RECORDS_MAX))]
        await self._fold(batch)
        for _ in batch:
            self._inbox.popleft()
        return len(batch)

    async def _fold(self, batch: Sequence[Record]) -> None:
        """Fold a batch in one transaction; when it fails by its content, find the record."""
        try:
            await self._fold_once(batch)
        except NOT_THE_RECORDS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, one record must not stop a shard
            if len(batch) == 1:
                reason = f"cannot be folded: {type(error).__name__}"
                log.error("bury", shard=self._partition, reason=reason)  # noqa: TRY400 - no values in logs
                await self._tools.dead_letters.bury(batch[0], reason, error)
                await self._skip(batch[0])
                return
            middle = len(batch) // 2
            await self._fold(batch[:middle])
            await self._fold(batch[middle:])

    async def _fold_once(self, batch: Sequence[Record]) -> None:
        incoming: list[Incoming] = []
        async with self._tools.pool.transaction() as conn:
            position = await shards.lock_shard(conn, partition=self._partition, epoch=self._epoch)
            debt, contact = position.debt_offset, position.contact_offset
            for record in batch:
                if record.topic == DEBT_EVENTS.name:
                    if record.offset <= position.debt_offset:
                        continue
                    debt = max(debt, record.offset)
                else:
                    if record.offset <= position.contact_offset:
                        continue
                    contact = max(contact, record.offset)
                item = await self._read(record)
                if item is not None:
                    incoming.append(item)
            ws = await self._working_set(conn)
            if incoming:
                with folding(incoming, self._tools.group) as traced:
                    await plan_events(ws, traced, self._tools.dispatch)
            await shards.save_offsets(
                conn, partition=self._partition, debt_offset=debt, contact_offset=contact
            )
        self.debt_offset, self.contact_offset = debt, contact
        ws.tally.publish()
        metrics.EVENTS_FOLDED.inc(len(incoming))
        self._tools.wake_relay()

    async def _read(self, record: Record) -> Incoming | None:
        try:
            return read(Envelope.from_record(record.headers, record.value))
        except UnreadableEvent as error:
            await self._tools.dead_letters.bury(record, str(error), error)
            return None

    async def _skip(self, record: Record) -> None:
        """Move past a buried record."""
        async with self._tools.pool.transaction() as conn:
            position = await shards.lock_shard(conn, partition=self._partition, epoch=self._epoch)
            is_debt = record.topic == DEBT_EVENTS.name
            self.debt_offset = max(position.debt_offset, record.offset if is_debt else -1)
            self.contact_offset = max(position.contact_offset, -1 if is_debt else record.offset)
            await shards.save_offsets(
                conn,
                partition=self._partition,
                debt_offset=self.debt_offset,
                contact_offset=self.contact_offset,
            )

    async def _dispatch(self) -> int:
        async with self._tools.pool.transaction() as conn:
            await shards.lock_shard(conn, partition=self._partition, epoch=self._epoch)
            ws = await self._working_set(conn)
            count = await self._tools.dispatch.page(ws)
        ws.tally.publish()
        self._tools.wake_relay()
        return count

    async def _wake_debtors(self) -> int:
        async with self._tools.pool.transaction() as conn:
            await shards.lock_shard(conn, partition=self._partition, epoch=self._epoch)
            ws = await self._working_set(conn)
            due = await debtors.due_debtors(
                conn, partition=self._partition, now=ws.law, limit=DUE_DEBTORS_MAX
            )
            if due:
                ws.out.traces |= woken(due, self._tools.trace_sample_ratio)
                await plan_due(ws, due, self._tools.dispatch)
        ws.tally.publish()
        self._tools.wake_relay()
        return len(due)

    async def _wake_held(self) -> None:
        """A hold was lifted: whom it kept back is due now, not at the hourly look."""
        async with self._tools.pool.transaction() as conn:
            await shards.lock_shard(conn, partition=self._partition, epoch=self._epoch)
            law, _ = await shards.clocks(conn)
            await lifts.wake_page(conn, partition=self._partition, now=law)

    async def _working_set(self, conn: Connection) -> WorkingSet:
        law, machine = await shards.clocks(conn)
        self._tools.observe_clock(law, machine)
        return WorkingSet(
            conn,
            partition=self._partition,
            law=law,
            machine=machine,
            address_subject_of=self._tools.dispatch.address_subject_of,
        )
