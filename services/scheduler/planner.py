"""The planner: owns shards, folds their events, plans and dispatches for their debtors.

In: debt.events.v1 and contact.events.v1 (co-partitioned: partition p of both is shard p). Out: the
planning tables and the outbox, in transactions that each begin by locking the shard row with our
epoch. One worker per owned shard does everything for it, one transaction at a time, so planning
and dispatching never interleave; a process that lost a shard fails at the lock and drops it.
"""

import asyncio
from contextlib import suppress

from services.scheduler.shard_worker import ShardTools, ShardWorker
from services.scheduler.store import shards
from shared.events.topics import CONTACT_EVENTS, DEBT_EVENTS
from shared.kafka.consumer import GroupConsumer
from shared.kafka.records import TopicPartition
from shared.postgres.connection import Pool
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

FETCH_RECORDS_MAX = 2_000  # two full planning batches: one is folded while the next arrives
FETCH_WAIT_MS = 50  # an idle planner looks up this often; data ends the wait at once
INBOX_RECORDS_MAX = 4_000  # per shard, about 4 MB: beyond it nothing more is fetched
BACK_PRESSURE_SECONDS = 0.02  # pause before looking whether a full inbox has drained

log = get_logger(__name__)


class Planner:
    """Runs a `ShardWorker` for every shard that the consumer group gives to this process."""

    def __init__(
        self,
        *,
        pool: Pool,
        consumer: GroupConsumer,
        tools: ShardTools,
        owner: str,
    ) -> None:
        """Keep the parts; `run` starts them."""
        self._pool = pool
        self._consumer = consumer
        self._tools = tools
        self._owner = owner
        self._workers: dict[int, ShardWorker] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch and hand to the shards' workers until `stop`; then let them finish their batch."""
        await self._consumer.start(on_assigned=self._assigned, on_revoked=self._revoked)
        try:
            while not stop.is_set():
                self._raise_crashed()
                if any(w.waiting() > INBOX_RECORDS_MAX for w in self._workers.values()):
                    await asyncio.sleep(BACK_PRESSURE_SECONDS)
                    continue
                fetched = await self._consumer.fetch(FETCH_RECORDS_MAX, FETCH_WAIT_MS)
                for (_, partition), records in fetched.items():
                    worker = self._workers.get(partition)
                    if worker is not None:
                        worker.put(records)
                await self._commit()
        finally:
            await self._stop_workers(list(self._workers))
            await self._commit()
            await self._consumer.stop()

    def pending(self) -> int:
        """Records fetched and not folded."""
        return sum(worker.waiting() for worker in self._workers.values())

    def wake(self) -> None:
        """Let every worker look at once at what is due: law time was stepped."""
        for worker in self._workers.values():
            worker.wake()

    def owned(self) -> list[int]:
        """Shards this process owns now."""
        return sorted(self._workers)

    async def _assigned(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        """Take over every shard whose two partitions are ours; say where to resume.

        Also asked again when the broker turned out to be another one (emptied): the workers of
        the old log end first, and the offsets start over.
        """
        await self._stop_workers(list(self._workers))
        cluster = self._consumer.cluster_id or ""
        numbers = {number for topic, number in partitions if topic == DEBT_EVENTS.name}
        resume: dict[TopicPartition, int] = {}
        for shard in sorted(numbers):
            async with self._pool.acquire() as conn:
                position = await shards.take_over(
                    conn, partition=shard, owner=self._owner, cluster_id=cluster
                )
            resume[(DEBT_EVENTS.name, shard)] = position.debt_offset + 1
            resume[(CONTACT_EVENTS.name, shard)] = position.contact_offset + 1
            worker = ShardWorker(position, self._tools)
            self._workers[shard] = worker
            self._tasks[shard] = asyncio.get_running_loop().create_task(worker.run())
            log.info("take_over", shard=shard, epoch=position.epoch)
        metrics.SHARDS_OWNED.set(len(self._workers))
        return resume

    async def _revoked(self, partitions: frozenset[TopicPartition]) -> None:
        await self._stop_workers([n for topic, n in partitions if topic == DEBT_EVENTS.name])
        metrics.SHARDS_OWNED.set(len(self._workers))

    async def _stop_workers(self, numbers: list[int]) -> None:
        workers = [self._workers.pop(shard) for shard in numbers if shard in self._workers]
        tasks = [self._tasks.pop(shard) for shard in numbers if shard in self._tasks]
        for worker in workers:
            worker.stop()
        if tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _raise_crashed(self) -> None:
        for shard, task in list(self._tasks.items()):
            if not task.done():
                continue
            self._workers.pop(shard, None)
            del self._tasks[shard]
            error = task.exception()
            if error is None:
                continue
            if isinstance(error, shards.Fenced):
                log.warning("fenced", shard=shard)
                continue
            raise error

    async def _commit(self) -> None:
        """Tell Kafka where we are (for lag metrics only: the truth is in the shard rows)."""
        offsets: dict[TopicPartition, int] = {}
        for shard, worker in self._workers.items():
            offsets[(DEBT_EVENTS.name, shard)] = worker.debt_offset + 1
            offsets[(CONTACT_EVENTS.name, shard)] = worker.contact_offset + 1
        if offsets:
            await self._consumer.commit(offsets)
