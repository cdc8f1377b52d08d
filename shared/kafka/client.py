"""The only place that makes aiokafka objects: every setting explicit, every type named.

In: addresses and a few settings. Out: started producers, consumers and admin clients behind
protocols (aiokafka is untyped), and `attempt_until`, the bounded retry of everything at start.
"""

# Protocols name what aiokafka documents.

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_exponential,
)

from shared.kafka.cluster import Brokers, connection
from shared.kafka.records import Record

T = TypeVar("T")

BATCH_BYTES_MAX = 900_000  # under the broker's message.max.bytes (1,048,588) with room for framing
PRODUCE_TIMEOUT_MS = 10_000  # one produce request; the whole publish has its own deadline
RETRY_BACKOFF_MS = 100  # between aiokafka's own retries
METADATA_AGE_MS_MAX = 10_000  # a topic that was re-created is seen after at most this long
CONNECT_BACKOFF_SECONDS_MIN = 0.1  # first pause between tries to reach a broker
CONNECT_BACKOFF_SECONDS_MAX = 2.0  # later pauses: a restarted broker is found within two seconds
CLOSE_SECONDS_MAX = 5.0  # a client that cannot close by then is abandoned
REBALANCE_TIMEOUT_MS = 60_000  # how long a rebalance waits for slow members
# JoinGroup waits as long as a rebalance: a shorter request would time out and rejoin for ever.
CONSUMER_REQUEST_TIMEOUT_MS = REBALANCE_TIMEOUT_MS + 5_000
READER_REQUEST_TIMEOUT_MS = 10_000  # readers join no group, nothing of theirs waits that long
POLL_INTERVAL_MS_MAX = 300_000  # a member that does not poll for so long is thrown out
HEARTBEATS_PER_SESSION = 3  # as Kafka advises: three chances before a session ends
# How long the broker holds an empty fetch. Data ends the wait at once, but only data of partitions
# that the fetch names: aiokafka leaves out those whose records were being handled when it asked, so
# that a fact may wait this long for the next one. An empty fetch costs some 0.5 ms of CPU in all.
GROUP_FETCH_WAIT_MS = 200
FETCH_WAIT_MS = 500  # readers of compacted topics, which hand everything over at once
FETCH_BYTES_MIN = 1  # the broker answers as soon as there is anything
FETCH_BYTES_MAX = 16 * 1024 * 1024  # memory of one answer
PARTITION_FETCH_BYTES_MAX = 2 * 1024 * 1024  # per partition; above the largest batch
NO_EPOCH = -1

ConnectionFailures: tuple[type[Exception], ...] = (KafkaError, OSError, TimeoutError)


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What may differ between installations and consumers; the rest is fixed above.

    `silence_seconds_max` is the watchdog: no sign of life from the brokers for that long raises
    `KafkaSilent`; 0 switches it off.
    """

    session_timeout_ms: int = 30_000
    fetch_bytes_min: int = FETCH_BYTES_MIN
    fetch_wait_ms: int = GROUP_FETCH_WAIT_MS
    silence_seconds_max: float = 180.0
    commit_interval_seconds: float = 1.0
    start_seconds_max: float = 60.0


class RawRecord(Protocol):
    """aiokafka's ConsumerRecord, as far as we read it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Delivered(Protocol):
    """aiokafka's RecordMetadata of a batch: the offset of its first record."""

    offset: int


class BatchBuilder(Protocol):
    """aiokafka's BatchBuilder."""

    def append(
        self,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> object | None: ...
    def record_count(self) -> int: ...


class RawProducer(Protocol):
    """AIOKafkaProducer, as far as we use it."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def partitions_for(self, topic: str) -> set[int]: ...
    def create_batch(self) -> BatchBuilder: ...
    async def send_batch(
        self, batch: BatchBuilder, topic: str, *, partition: int
    ) -> Awaitable[Delivered]: ...


class RawConsumer(Protocol):
    """AIOKafkaConsumer, as far as we use it."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, topics: Sequence[str], *, listener: object) -> None: ...
    def assign(self, partitions: Sequence[TopicPartition]) -> None: ...
    def assignment(self) -> set[TopicPartition]: ...
    def seek(self, partition: TopicPartition, offset: int) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    async def getmany(
        self, *, timeout_ms: int, max_records: int | None
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]: ...
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...
    async def beginning_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]: ...
    async def end_offsets(
        self, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, int]: ...


class TopicAnswer(NamedTuple):
    """What the brokers say about the cluster: its id, and the partition count per topic."""

    cluster_id: str
    partitions: dict[str, int]


def new_producer(brokers: Brokers, client_id: str) -> RawProducer:
    """Make an idempotent producer that waits for all replicas; its batches are ours to build."""
    return cast(
        "RawProducer",
        AIOKafkaProducer(
            **connection(brokers),
            client_id=client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES_MAX,
            max_request_size=BATCH_BYTES_MAX,
            request_timeout_ms=PRODUCE_TIMEOUT_MS,
            retry_backoff_ms=RETRY_BACKOFF_MS,
            metadata_max_age_ms=METADATA_AGE_MS_MAX,
            compression_type=None,
        ),
    )


def new_group_consumer(brokers: Brokers, group: str, settings: ConsumerSettings) -> RawConsumer:
    """Make a group member: range assignor (co-partitioning), earliest, never commits by itself."""
    return cast(
        "RawConsumer",
        AIOKafkaConsumer(
            **connection(brokers),
            client_id=group,
            group_id=group,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.session_timeout_ms // HEARTBEATS_PER_SESSION,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
            fetch_min_bytes=settings.fetch_bytes_min,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            **_reading(),
        ),
    )


def new_reader(brokers: Brokers) -> RawConsumer:
    """Make a consumer without a group: it is told what to read, and from where."""
    return cast(
        "RawConsumer",
        AIOKafkaConsumer(
            **connection(brokers),
            group_id=None,
            request_timeout_ms=READER_REQUEST_TIMEOUT_MS,
            fetch_min_bytes=FETCH_BYTES_MIN,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            **_reading(),
        ),
    )


def new_admin(brokers: Brokers) -> Any:
    """Make an admin client."""
    return AIOKafkaAdminClient(
        **connection(brokers),
        request_timeout_ms=READER_REQUEST_TIMEOUT_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )


def _reading() -> dict[str, Any]:
    return {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_uncommitted",
        "fetch_max_bytes": FETCH_BYTES_MAX,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES_MAX,
        "metadata_max_age_ms": METADATA_AGE_MS_MAX,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "check_crcs": True,
    }


def cluster_client(owner: object) -> Any:
    """Return the network client inside a producer, consumer or admin client."""
    return getattr(owner, "client", None) or getattr(owner, "_client", None)


async def ask_cluster(owner: object, topics: Sequence[str] = ()) -> TopicAnswer:
    """Ask any broker for the cluster's id and the partition counts of `topics`."""
    client = cluster_client(owner)
    answer = await client.send(
        client.get_random_node(),
        MetadataRequest(list(topics), allow_auto_topic_creation=False),
    )
    found = answer.to_object()
    return TopicAnswer(
        cluster_id=str(found["cluster_id"]),
        partitions={
            str(topic["topic"]): len(topic["partitions"])
            for topic in found["topics"]
            if topic["error_code"] == 0
        },
    )


def listener(
    on_revoked: Callable[[], Awaitable[None]], on_assigned: Callable[[], None]
) -> ConsumerRebalanceListener:
    """Wrap two callbacks as aiokafka's rebalance listener."""

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
        async def on_partitions_revoked(self, revoked: object) -> None:
            del revoked
            await on_revoked()

        async def on_partitions_assigned(self, assigned: object) -> None:
            del assigned
            on_assigned()

    return Listener()


def as_record(raw: RawRecord) -> Record:
    """Turn aiokafka's record into ours."""
    key = raw.key.decode(errors="replace") if raw.key is not None else None
    return Record(
        raw.topic, raw.partition, raw.offset, key, dict(raw.headers), raw.value, raw.timestamp
    )


async def attempt_until(attempt: Callable[[], Awaitable[T]], seconds_max: float) -> T:
    """Call `attempt` until it succeeds, with growing pauses; raise its last error after the limit.

    `attempt` must build new aiokafka objects each time: one that failed to start cannot be reused.
    """

    async def once() -> T:
        return await attempt()

    patience = AsyncRetrying(
        retry=retry_if_exception_type(ConnectionFailures),
        wait=wait_exponential(CONNECT_BACKOFF_SECONDS_MIN, CONNECT_BACKOFF_SECONDS_MAX),
        stop=stop_before_delay(seconds_max),
        reraise=True,
    )
    return await patience(once)


async def close_quietly(closing: Awaitable[object]) -> None:
    """Close a client within `CLOSE_SECONDS_MAX`, whatever state its brokers are in."""
    with suppress(*ConnectionFailures, AssertionError, asyncio.CancelledError):
        await asyncio.wait_for(closing, CLOSE_SECONDS_MAX)
