"""Publishing whole batches: one explicit batch per partition, all partitions at once, one await.

In: a sequence of `Outgoing`. Out: (partition, offset) of each, in the order given, after all
replicas have them. A publish that is not acknowledged in time raises `PublishFailed` and throws
the connection's state away, so that nothing of it is sent behind the caller's back later.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, cast

from shared.kafka.client import (
    CLOSE_SECONDS_MAX,
    ConnectionFailures,
    Delivered,
    RawProducer,
    ask_cluster,
    attempt_until,
    close_quietly,
    new_producer,
)
from shared.kafka.cluster import Brokers
from shared.kafka.errors import PublishFailed
from shared.kafka.records import Outgoing, TopicPartition, partition_of
from shared.kafka.traffic import sending

PUBLISH_SECONDS_MAX = 30.0  # a broker restarted with its data acknowledges again within 13 s
START_SECONDS_MAX = 60.0  # services and broker may start together
PROBE_SECONDS_MAX = 5.0  # a metadata answer takes milliseconds; longer means no broker

_Chunk = tuple[TopicPartition, list[int]]


class Producer:
    """An idempotent producer for whole batches; safe to share between loops of one process."""

    def __init__(
        self,
        brokers: Brokers,
        *,
        client_id: str = "regua",
        publish_seconds_max: float = PUBLISH_SECONDS_MAX,
        start_seconds_max: float = START_SECONDS_MAX,
    ) -> None:
        """Keep the settings; `start` connects. Times are seconds."""
        self.brokers = brokers
        self._client_id = client_id
        self._publish_seconds_max = publish_seconds_max
        self._start_seconds_max = start_seconds_max
        self._raw: RawProducer | None = None
        self._starting = asyncio.Lock()
        self._disposals: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> None:
        """Connect, waiting for a broker up to `start_seconds_max`."""
        await attempt_until(self._connected, self._start_seconds_max)

    async def stop(self) -> None:
        """Wait for what is being sent (bounded) and close."""
        self._stopped = True
        raw, self._raw = self._raw, None
        if raw is not None:
            await close_quietly(raw.stop())
            await _dispose(raw)
        if self._disposals:
            await asyncio.wait(self._disposals, timeout=CLOSE_SECONDS_MAX)

    async def publish(self, batch: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """Publish `batch` and return (partition, offset) per record, in its order.

        The offset is -1 when the broker recognised a repetition but not its offset. Raise
        `PublishFailed` when not everything was acknowledged within the deadline: the caller
        publishes the batch again; a part of it may then be on the log twice.
        """
        if not batch:
            return []
        with sending(batch):
            return await self._publish(batch)

    async def _publish(self, batch: Sequence[Outgoing]) -> list[tuple[int, int]]:
        raw: RawProducer | None = None
        try:
            async with asyncio.timeout(self._publish_seconds_max):
                raw = await self._connected()
                return await _send(raw, batch)
        except ConnectionFailures as error:
            self._discard(raw)
            msg = f"{len(batch)} records were not acknowledged ({type(error).__name__})"
            raise PublishFailed(msg) from error
        except BaseException:
            # Cancelled: what aiokafka still holds would be sent later, out of order.
            self._discard(raw)
            raise

    async def partitions(self, topic: str) -> int:
        """Return the partition count of a topic; raise `PublishFailed` if no broker tells it."""
        try:
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                return len(await (await self._connected()).partitions_for(topic))
        except ConnectionFailures as error:
            msg = f"no partitions known for {topic} ({type(error).__name__})"
            raise PublishFailed(msg) from error

    async def cluster_id(self) -> str | None:
        """Return the id of the cluster that answers now, or None when none does."""
        with suppress(*ConnectionFailures):
            async with asyncio.timeout(PROBE_SECONDS_MAX):
                return (await ask_cluster(await self._connected())).cluster_id
        return None

    async def _connected(self) -> RawProducer:
        if self._raw is not None:
            return self._raw
        async with self._starting:
            if self._raw is None:
                if self._stopped:
                    msg = "the producer was stopped"
                    raise PublishFailed(msg)
                raw = new_producer(self.brokers, self._client_id)
                try:
                    await raw.start()
                except BaseException:
                    await _dispose(raw)
                    raise
                self._raw = raw
            return self._raw

    def _discard(self, raw: RawProducer | None) -> None:
        """Drop a connection in doubt; the next publish makes a new one."""
        if raw is None or raw is not self._raw:
            return
        self._raw = None
        disposal = asyncio.get_running_loop().create_task(_dispose(raw))
        self._disposals.add(disposal)
        disposal.add_done_callback(self._disposals.discard)


async def _send(raw: RawProducer, batch: Sequence[Outgoing]) -> list[tuple[int, int]]:
    """Send in rounds of at most one chunk per partition, so that order holds within each."""
    waiting = await _by_partition(raw, batch)
    placed: list[tuple[int, int]] = [(-1, -1)] * len(batch)
    while waiting:
        chunks: list[_Chunk] = []
        acks: list[Awaitable[Delivered]] = []
        for target, indices in list(waiting.items()):
            builder = raw.create_batch()
            taken = _fill(builder.append, batch, indices)
            chunks.append((target, indices[:taken]))
            if taken == len(indices):
                del waiting[target]
            else:
                waiting[target] = indices[taken:]
            acks.append(await raw.send_batch(builder, target[0], partition=target[1]))
        answers = await asyncio.gather(*acks, return_exceptions=True)
        for (target, indices), delivered in zip(chunks, answers, strict=True):
            if isinstance(delivered, BaseException):
                raise delivered
            base = delivered.offset
            for position, index in enumerate(indices):
                placed[index] = (target[1], base + position if base >= 0 else -1)
    return placed


def _fill(append: Any, batch: Sequence[Outgoing], indices: list[int]) -> int:
    """Append records until the batch is full; return how many went in (at least one)."""
    for taken, index in enumerate(indices):
        record = batch[index]
        if (
            append(
                timestamp=None,
                key=record.key.encode(),
                value=record.value,
                headers=record.headers,
            )
            is None
        ):
            return taken
    return len(indices)


async def _by_partition(
    raw: RawProducer, batch: Sequence[Outgoing]
) -> dict[TopicPartition, list[int]]:
    counts: dict[str, int] = {}
    targets: dict[TopicPartition, list[int]] = {}
    for index, record in enumerate(batch):
        topic = record.topic
        partition = record.partition
        if partition is None:
            count = counts.get(topic)
            if count is None:
                count = counts[topic] = len(await raw.partitions_for(topic))
            partition = partition_of(record.key, count)
        targets.setdefault((topic, partition), []).append(index)
    return targets


async def _dispose(raw: RawProducer) -> None:
    """End a producer without flushing: close its sockets first, then its sending task."""
    inner = cast("Any", raw)
    inner._closed = True  # noqa: SLF001 - else its destructor complains; stop() would flush
    with suppress(*ConnectionFailures, asyncio.CancelledError):
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            sending = inner._sender.sender_task  # noqa: SLF001 - aiokafka has no abort()
            if sending is not None:
                sending.cancel()
            await inner.client.close()
            if sending is not None:
                await asyncio.wait([sending], timeout=CLOSE_SECONDS_MAX)
