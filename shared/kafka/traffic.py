"""Records as they go and come, counted per batch and (sampled ones) traced.

In: batches to publish, batches fetched. Out: counters by topic, the time that a publication takes,
a `send` span for each sampled record. With no collector, or nothing sampled, only the counting.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache

from shared.kafka.errors import PublishFailed
from shared.kafka.records import Outgoing, Record, TopicPartition
from shared.telemetry import export, metrics
from shared.telemetry.labels import Counts
from shared.telemetry.messaging import message_spans
from shared.telemetry.tracing import TRACEPARENT

TOPICS_MAX = 64  # topics and their dead letters


@contextmanager
def sending(batch: Sequence[Outgoing]) -> Iterator[None]:
    """Run the publication of one batch."""
    topics = [record.topic for record in batch]
    traced = export.current() is not None
    spans = message_spans("send", topics, list(map(_trace_of, batch))) if traced else nullcontext()
    began = time.monotonic()
    try:
        with spans:
            yield
    except PublishFailed:
        metrics.KAFKA_PUBLISH_FAILURES.inc()
        raise
    metrics.KAFKA_PUBLISH_SECONDS.observe(time.monotonic() - began)
    for topic, count in Counter(topics).items():
        _published(topic).inc(count)


def count_assigned(group: str) -> None:
    """Count that a consumer group gave this process other partitions."""
    metrics.KAFKA_ASSIGNMENTS.labels(group).inc()


def count_fetched(batches: Mapping[TopicPartition, Sequence[Record]]) -> None:
    """Count what one fetch brought."""
    for (topic, _), records in batches.items():
        _fetched(topic).inc(len(records))


def _trace_of(record: Outgoing) -> str | None:
    """Return what `Envelope.headers` puts last."""
    if not record.headers or record.headers[-1][0] != TRACEPARENT:
        return None
    return record.headers[-1][1].decode("latin-1")


@lru_cache(TOPICS_MAX)
def _published(topic: str) -> Counts:
    return metrics.KAFKA_PUBLISHED.labels(topic)


@lru_cache(TOPICS_MAX)
def _fetched(topic: str) -> Counts:
    return metrics.KAFKA_FETCHED.labels(topic)
