"""Recognising a log that was lost: another cluster, or not the record we had acknowledged.

In: the cluster id and the last acknowledged (offset, event id) per partition that a relay stored.
Out: nothing, or `LogLost` with the reason; the relay then publishes again from what it kept.
"""

from collections.abc import Awaitable, Callable, Mapping

from shared.kafka import admin
from shared.kafka.admin import Layout
from shared.kafka.client import ConnectionFailures
from shared.kafka.cluster import Brokers
from shared.kafka.errors import PublishFailed
from shared.kafka.producer import Producer
from shared.kafka.records import Record, TopicPartition
from shared.postgres.pages import Ack, RelayState


class LogLost(Exception):
    """Kafka no longer holds what it acknowledged."""


async def inspect(producer: Producer, state: RelayState) -> str:
    """Return the cluster's id; raise `LogLost`, or `PublishFailed` when no broker answers.

    A record that aged out (retention, compaction) is not a loss: then the log goes on beyond it.
    """
    cluster_id = await producer.cluster_id()
    if cluster_id is None:
        msg = "no broker answers"
        raise PublishFailed(msg)
    if state.cluster_id is not None and state.cluster_id != cluster_id:
        msg = "the Kafka cluster is another one"
        raise LogLost(msg)
    if state.acks:
        try:
            await _look_at_last_records(producer.brokers, state.acks)
        except ConnectionFailures as error:
            msg = f"the log cannot be inspected ({type(error).__name__})"
            raise PublishFailed(msg) from error
    return cluster_id


async def rebuild(
    producer: Producer, layout: Layout | None, on_log_lost: Callable[[], Awaitable[None]] | None
) -> str:
    """Make the topics anew, let the service re-publish its state; return the cluster's id."""
    if layout is not None:
        await admin.ensure_topics(
            producer.brokers,
            partitions=layout.partitions,
            replication=layout.replication,
            suffix=layout.suffix,
        )
    if on_log_lost is not None:
        await on_log_lost()
    return await admin.cluster_id(producer.brokers)


async def _look_at_last_records(brokers: Brokers, acks: Mapping[TopicPartition, Ack]) -> None:
    bounds = await admin.bounds(brokers, acks)
    there: dict[TopicPartition, int] = {}
    for target, ack in acks.items():
        first, end = bounds.get(target, (0, 0))
        if end <= ack.offset:
            msg = f"{target[0]}/{target[1]} ends before its last acknowledged record"
            raise LogLost(msg)
        if first <= ack.offset:
            there[target] = ack.offset
    for target, record in (await admin.records_at(brokers, there)).items():
        if record.offset == there[target] and _event_id(record) != str(acks[target].event_id):
            msg = f"{target[0]}/{target[1]} holds another record at the last acknowledged offset"
            raise LogLost(msg)


def check_advance(acks: Mapping[TopicPartition, Ack], firsts: Mapping[TopicPartition, int]) -> None:
    """Raise `LogLost` when a new record landed at or before an offset acknowledged earlier."""
    for target, offset in firsts.items():
        known = acks.get(target)
        if known is not None and offset <= known.offset:
            msg = f"{target[0]}/{target[1]} went back: its log is younger than our last record"
            raise LogLost(msg)


def _event_id(record: Record) -> str:
    return record.headers.get("ce_id", b"").decode(errors="replace")
