"""Topics of one's own on the run's real Kafka, and a producer."""

from collections.abc import AsyncIterator

import pytest

from shared.kafka import Producer, admin

PARTITIONS = 3


@pytest.fixture
async def suffix(kafka_bootstrap: str, topic_suffix: str) -> str:
    """Create all topics, three partitions each, with this test's suffix; return the suffix."""
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    return topic_suffix


@pytest.fixture
async def producer(kafka_bootstrap: str) -> AsyncIterator[Producer]:
    """A started producer."""
    made = Producer(kafka_bootstrap)
    await made.start()
    yield made
    await made.stop()
