"""Record what happened: whole Kafka batches, one transaction each, exactly once in effect.

In: debt.events.v1 and contact.events.v1. Out: entries, projections and the consumed offsets, all in
one commit; unreadable records go to the dead letters first. Resuming starts one record early, at
the last one recorded: if another record is there, the log was lost and is read from its beginning,
which costs time and changes nothing (entries are known by event time and id).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from services.contact_ledger.batches import (
    Batch,
    Unreadable,
    log_was_replaced,
    read_batch,
    without,
)
from services.contact_ledger.facts import Fact
from services.contact_ledger.store import months, offsets
from services.contact_ledger.store.failures import UNSTORABLE_ERRORS
from services.contact_ledger.store.offsets import Fenced, Position
from services.contact_ledger.traces import recording
from services.contact_ledger.writer import Writer, Written
from shared.events.envelope import UnreadableEvent
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.errors import PublishFailed, StopPartition
from shared.kafka.records import Record, TopicPartition
from shared.postgres.connection import TRANSIENT_ERRORS, Pool
from shared.telemetry import logs, metrics

IDLE_WAIT_MS = 200  # a stop is noticed within it; records end the wait at once
# After a batch the next look is short: only an empty one shows that the recorder has caught up.
BUSY_WAIT_MS = 10
RETRY_SECONDS_FIRST = 0.1
RETRY_SECONDS_MAX = 5.0  # the database is away: no use in asking more often

_log = logs.get_logger(__name__)
_RETRIED: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, PublishFailed)


class Recorder:
    """The loop that records events. One per process; replicas share the partitions."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: GroupConsumer,
        dead_letters: DeadLetters,
        writer: Writer,
        records_max: int,
    ) -> None:
        self._pool = pool
        self._consumer = consumer
        self._dead_letters = dead_letters
        self._writer = writer
        self._records_max = records_max
        self._epochs: dict[TopicPartition, int] = {}
        self._unchecked: dict[TopicPartition, Position] = {}
        self._working = asyncio.Lock()
        self.stopped_partitions: set[TopicPartition] = set()
        self.in_hand = 0  # records fetched and not yet committed
        self.caught_up = False  # with this process's own partitions; `progress` tells of the group
        self._busy = True
        self.entries_total = 0
        self.records_total = 0

    @property
    def unchecked(self) -> frozenset[TopicPartition]:
        """Partitions whose log nobody has compared yet with what was recorded of it."""
        return frozenset(self._unchecked)

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`."""
        await self._consumer.start(self._on_assigned, self._on_revoked)
        try:
            while not stop.is_set():
                await self._step(stop)
        finally:
            await self._consumer.stop()

    async def _step(self, stop: asyncio.Event) -> None:
        wait_ms = BUSY_WAIT_MS if self._busy else IDLE_WAIT_MS
        try:
            fetched = await self._consumer.fetch(self._records_max, wait_ms)
        except _RETRIED as error:  # the positions could not be read: ask again
            _log.warning("assignment_failed", error_type=type(error).__name__)
            await _pause(stop, RETRY_SECONDS_FIRST)
            return
        fetched = self._checked(fetched)
        self._busy = bool(fetched)
        self.caught_up = not fetched and bool(self._epochs) and not self._unchecked
        if not fetched:
            return
        async with self._working:
            batch = read_batch(fetched, self._epochs)
            self.in_hand = len(batch.facts) + len(batch.unreadable)
            await self._record(batch, stop)
            self.in_hand = 0

    async def _record(self, batch: Batch, stop: asyncio.Event) -> None:
        """Bury, then commit; whatever is only away for a while is tried again until `stop`."""
        pause = RETRY_SECONDS_FIRST
        while True:
            try:
                batch = await self._bury(batch)
                await self._commit(batch)
            except Fenced:
                _log.warning("batch_fenced", partitions=len(batch.positions))
                self._go_back(batch)
                return
            except _RETRIED as error:
                _log.warning("batch_failed", error_type=type(error).__name__)
                if stop.is_set():
                    return  # nothing was committed: whoever is next reads it again
                await _pause(stop, pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            else:
                next_offsets = {t: p.next_offset for t, p in batch.positions.items()}
                await self._consumer.commit(next_offsets)
                return

    async def _bury(self, batch: Batch) -> Batch:
        """Send what nobody can read to the dead letters; stop a partition that holds too much."""
        stopped: set[TopicPartition] = set()
        while batch.unreadable:
            letter = batch.unreadable[0]
            target = (letter.record.topic, letter.record.partition)
            if target not in stopped:
                try:
                    await self._dead_letters.bury(letter.record, str(letter.error), letter.error)
                except StopPartition:
                    stopped.add(target)
                else:
                    metrics.LEDGER_DEAD_LETTERS.inc()
            batch.unreadable.pop(0)
        if not stopped:
            return batch
        _log.error("partitions_stopped", partitions=len(stopped))
        self.stopped_partitions |= stopped
        self._go_back(batch, stopped)
        self._consumer.pause(stopped)
        return without(batch, stopped)

    async def _commit(self, batch: Batch) -> None:
        if not batch.positions:
            return
        made = await self._writer.prepare(self._pool, batch.facts)
        try:
            with recording(batch.records):
                written = await self._write(batch.facts, batch.positions)
        except UNSTORABLE_ERRORS as error:
            _log.warning("batch_unstorable", error_type=type(error).__name__)
            await self._isolate(batch.facts, batch.records)
            written = await self._write([], batch.positions)
        if made:
            async with self._pool.acquire() as conn:
                await months.analyse(conn, made)
        self._report(written)
        self.records_total += len(batch.records)

    async def _write(
        self, facts: list[Fact], positions: Mapping[TopicPartition, Position]
    ) -> Written:
        async with self._pool.acquire() as conn, conn.transaction():
            await offsets.advance(conn, positions)
            written = await self._writer.write(conn, facts)
        self._writer.remember(written)
        return written

    async def _isolate(self, facts: list[Fact], records: list[Record]) -> None:
        """Halve a batch that cannot be stored until the record to blame is alone; bury that one.

        Offsets move only afterwards: a crash in between repeats the search, and nothing else.
        """
        if not facts:
            return
        try:
            written = await self._write(facts, {})
        except UNSTORABLE_ERRORS as error:
            if len(facts) == 1:
                reason = UnreadableEvent("the ledger's tables cannot hold this record")
                await self._bury(Batch(unreadable=[Unreadable(record=records[0], error=reason)]))
                _log.error("record_unstorable", type=facts[0].type, error_type=type(error).__name__)
                return
            middle = len(facts) // 2
            await self._isolate(facts[:middle], records[:middle])
            await self._isolate(facts[middle:], records[middle:])
        else:
            self._report(written)

    def _report(self, written: Written) -> None:
        self.entries_total += len(written.facts)
        metrics.LEDGER_ENTRIES.inc(len(written.facts))
        metrics.LEDGER_REPEATED.inc(written.known)
        for alarm in written.alarms:
            metrics.LEDGER_ALARMS.labels(alarm.kind).inc()
            _log.error("contact_contradiction", kind=alarm.kind, contact_id=str(alarm.contact_id))

    def _checked(
        self, fetched: Mapping[TopicPartition, list[Record]]
    ) -> dict[TopicPartition, list[Record]]:
        """Drop the one record read again on resuming; go to the beginning of a replaced log."""
        kept: dict[TopicPartition, list[Record]] = {}
        for target, records in fetched.items():
            position = self._unchecked.pop(target, None)
            if position is None or not records:
                kept[target] = records
            elif not log_was_replaced(position, records[0]):
                kept[target] = [r for r in records if r.offset >= position.next_offset]
            else:
                _log.warning("log_replaced", topic=target[0], partition=target[1])
                metrics.LEDGER_LOGS_REPLACED.inc()
                self._consumer.seek(*target, 0)
        return {target: records for target, records in kept.items() if records}

    async def _on_assigned(
        self, partitions: frozenset[TopicPartition]
    ) -> dict[TopicPartition, int]:
        async with self._pool.transaction() as conn:
            taken = await offsets.take_over(conn, self._consumer.cluster_id or "", partitions)
        self._epochs = {target: position.epoch for target, position in taken.items()}
        self._unchecked = {t: p for t, p in taken.items() if p.next_offset > 0}
        _log.info("partitions_assigned", partitions=len(taken))
        return {target: max(p.next_offset - 1, 0) for target, p in taken.items()}

    async def _on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        async with self._working:  # the batch in hand is committed, or fails, first
            for target in partitions:
                self._epochs.pop(target, None)
                self._unchecked.pop(target, None)

    def _go_back(self, batch: Batch, targets: set[TopicPartition] | None = None) -> None:
        for target, first in batch.firsts.items():
            if targets is None or target in targets:
                self._consumer.seek(*target, first)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
