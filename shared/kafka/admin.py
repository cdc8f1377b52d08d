"""Topics as the product needs them: created once, counted always.

In: the topic table of `shared.events.topics`, a partition count and a replication factor. Out:
existing topics (with their dead-letter topics), `PartitionCountChanged` when a count differs, the
cluster's id, end offsets, and single records read back by offset.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from aiokafka import TopicPartition as RawPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.events.topics import RETENTION_DAYS, TOPICS, Topic, dead_letters
from shared.kafka.client import (
    RawConsumer,
    TopicAnswer,
    as_record,
    ask_cluster,
    attempt_until,
    close_quietly,
    new_admin,
    new_reader,
)
from shared.kafka.cluster import Brokers
from shared.kafka.errors import PartitionCountChanged
from shared.kafka.records import Record, TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

DAY_MS = 24 * 3_600 * 1_000
SEGMENT_MS = 6 * 3_600 * 1_000  # retention counts from a segment's end: at most 6 h beyond 7 days
COMPACTION_LAG_MS_MAX = DAY_MS  # a compacted topic is clean after a day, so readers start fast
TOMBSTONE_MS = 30 * DAY_MS  # a lift is a version; null records come after 30 days at the earliest
DIRTY_RATIO_MIN = "0.1"  # compact early: the topics are small and every replica reads them whole
MESSAGE_BYTES_MAX = 1_048_588  # Kafka's default, stated because the producer's batches rely on it
START_SECONDS_MAX = 60.0  # a broker may start together with the services
READ_SECONDS_MAX = 10.0  # one record read back by offset
CREATE_SECONDS_MAX = 30.0  # until every broker knows a new topic


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How topics are laid out in this installation; `suffix` keeps parallel tests apart."""

    partitions: int
    replication: int
    suffix: str = ""


async def ensure_topics(
    brokers: Brokers, *, partitions: int, replication: int, suffix: str = ""
) -> str:
    """Create missing topics and dead-letter topics, check the counts, return the cluster id.

    Raise `PartitionCountChanged` when a topic exists with another count.
    """
    layout = Layout(partitions=partitions, replication=replication, suffix=suffix)
    async with _admin(brokers) as admin:
        wanted = dict(_wanted(layout))
        answer = await ask_cluster(admin, list(wanted))
        missing = [topic for name, topic in wanted.items() if name not in answer.partitions]
        if missing:
            await _create(admin, missing)
            answer = await _wait_for(admin, list(wanted))
        for name, found in answer.partitions.items():
            if found != partitions:
                raise PartitionCountChanged(name, partitions, found)
        return answer.cluster_id


async def cluster_id(brokers: Brokers) -> str:
    """Return the id of the cluster: it changes when a broker's storage is formatted anew."""
    async with _admin(brokers) as admin:
        return (await ask_cluster(admin)).cluster_id


async def partition_counts(brokers: Brokers, topics: Iterable[str]) -> dict[str, int]:
    """Return the partition count of each topic that exists."""
    async with _admin(brokers) as admin:
        return (await ask_cluster(admin, list(topics))).partitions


async def end_offsets(brokers: Brokers, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return the offset after the last record of every partition of `topics`."""
    async with reading(brokers) as raw:
        counts = (await ask_cluster(raw, list(topics))).partitions
        targets = [RawPartition(name, number) for name in counts for number in range(counts[name])]
        found = await raw.end_offsets(targets) if targets else {}
        return {(target.topic, target.partition): offset for target, offset in found.items()}


async def bounds(
    brokers: Brokers, targets: Iterable[TopicPartition]
) -> dict[TopicPartition, tuple[int, int]]:
    """Return (first offset, end offset) of those partitions that exist."""
    async with reading(brokers) as raw:
        wanted = list(targets)
        counts = (await ask_cluster(raw, sorted({topic for topic, _ in wanted}))).partitions
        there = [RawPartition(*each) for each in wanted if each[1] < counts.get(each[0], 0)]
        if not there:
            return {}
        firsts = await raw.beginning_offsets(there)
        ends = await raw.end_offsets(there)
        return {(each.topic, each.partition): (firsts[each], ends[each]) for each in there}


async def records_at(
    brokers: Brokers, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Record]:
    """Return the first record at or after each offset; absent where none came within 10 s."""
    found: dict[TopicPartition, Record] = {}
    if not offsets:
        return found
    async with reading(brokers) as raw:
        raw.assign([RawPartition(*target) for target in offsets])
        for target, offset in offsets.items():
            raw.seek(RawPartition(*target), offset)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READ_SECONDS_MAX
        while len(found) < len(offsets) and loop.time() < deadline:
            for each, records in (await raw.getmany(timeout_ms=200, max_records=None)).items():
                target = (each.topic, each.partition)
                if target not in found:
                    found[target] = as_record(records[0])
                raw.pause(each)
    return found


@asynccontextmanager
async def reading(brokers: Brokers) -> "AsyncIterator[RawConsumer]":
    """Yield a started consumer without a group, closed at the end."""

    async def connect() -> RawConsumer:
        raw = new_reader(brokers)
        try:
            await raw.start()
        except BaseException:
            await close_quietly(raw.stop())
            raise
        return raw

    raw = await attempt_until(connect, START_SECONDS_MAX)
    try:
        yield raw
    finally:
        await close_quietly(raw.stop())


@asynccontextmanager
async def _admin(brokers: Brokers) -> "AsyncIterator[Any]":
    async def connect() -> Any:
        admin = new_admin(brokers)
        try:
            await admin.start()
        except BaseException:
            await close_quietly(admin.close())
            raise
        return admin

    admin = await attempt_until(connect, START_SECONDS_MAX)
    try:
        yield admin
    finally:
        await close_quietly(admin.close())


def _wanted(layout: Layout) -> Iterable[tuple[str, NewTopic]]:
    for topic in TOPICS:
        name = f"{topic.name}{layout.suffix}"
        yield name, _new(name, layout, _kept(topic))
        buried = dead_letters(name)
        yield buried, _new(buried, layout, _retained())


def _new(name: str, layout: Layout, configs: dict[str, str]) -> NewTopic:
    configs |= {
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        # All replicas but one must have a record before it is acknowledged.
        "min.insync.replicas": str(max(1, layout.replication - 1)),
        "unclean.leader.election.enable": "false",
    }
    return NewTopic(name, layout.partitions, layout.replication, topic_configs=configs)


def _kept(topic: Topic) -> dict[str, str]:
    if not topic.compacted:
        return _retained()
    return {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": DIRTY_RATIO_MIN,
        "max.compaction.lag.ms": str(COMPACTION_LAG_MS_MAX),
        "delete.retention.ms": str(TOMBSTONE_MS),
        "segment.ms": str(SEGMENT_MS),
    }


def _retained() -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_DAYS * DAY_MS),
        "segment.ms": str(SEGMENT_MS),
    }


async def _create(admin: Any, topics: list[NewTopic]) -> None:
    answer = await admin.create_topics(topics)
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        # Another service was quicker: the counts are checked right after.
        if code and error is not TopicAlreadyExistsError:
            msg = f"cannot create topic {name}: {error.__name__}"
            raise KafkaError(msg)
    log.info("created %d topics", len(topics))


async def _wait_for(admin: Any, names: list[str]) -> TopicAnswer:
    """Poll until every topic is known: creation is acknowledged before all brokers know it."""

    async def ask() -> TopicAnswer:
        answer = await ask_cluster(admin, names)
        if len(answer.partitions) < len(names):
            msg = "new topics are not known yet"
            raise ConnectionError(msg)
        return answer

    return await attempt_until(ask, CREATE_SECONDS_MAX)
