"""The directory behind a real compacted topic: what was there before, what comes, what goes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest

from shared.directory import Directory
from shared.events.configuration import ConfigEntry, Tenant
from shared.events.envelope import Envelope, encode
from shared.events.topics import PLATFORM_CONFIG
from shared.kafka.admin import ensure_topics
from shared.kafka.producer import Producer
from shared.kafka.reader import CompactedReader
from shared.kafka.records import Outgoing

WAIT_SECONDS = 20.0


def an_outgoing(topic: str, name: str, version: int, tenant_id: str = "acme") -> Outgoing:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    entry = ConfigEntry(
        kind="tenant",
        tenant_id=tenant_id,
        id=tenant_id,
        version=version,
        body=msgspec.Raw(msgspec.json.encode(Tenant(name=name))),
        changed_at=now,
        changed_by="test",
    )
    envelope = Envelope(
        id=uuid4(),
        type="config.changed.v1",
        source="regua/scheduler",
        time=now,
        key=entry.key,
        tenant_id=tenant_id,
        data=encode(entry),
    )
    return Outgoing(topic=topic, key=entry.key, headers=envelope.headers(), value=envelope.data)


@pytest.fixture
async def topic(kafka_bootstrap: str, topic_suffix: str) -> str:
    await ensure_topics(kafka_bootstrap, partitions=2, replication=1, suffix=topic_suffix)
    return PLATFORM_CONFIG.name + topic_suffix


@pytest.fixture
async def producer(kafka_bootstrap: str) -> AsyncIterator[Producer]:
    made = Producer(kafka_bootstrap)
    await made.start()
    yield made
    await made.stop()


async def test_a_directory_follows_its_topic(
    kafka_bootstrap: str, topic: str, producer: Producer
) -> None:
    await producer.publish(
        [an_outgoing(topic, "Old", 1), an_outgoing(topic, "Beta", 1, tenant_id="beta")]
    )
    directory = Directory()
    reader = CompactedReader(kafka_bootstrap, topic)
    async with asyncio.TaskGroup() as group:
        group.create_task(directory.follow(reader))
        assert await directory.wait_for("tenant", "acme", "acme", WAIT_SECONDS)
        assert await directory.wait_for("tenant", "beta", "beta", WAIT_SECONDS)
        assert directory.body("tenant", "acme", "acme", Tenant) == Tenant(name="Old")

        await producer.publish([an_outgoing(topic, "New", 2)])
        assert await directory.wait_for("tenant", "acme", "acme", WAIT_SECONDS, version=2)
        assert directory.body("tenant", "acme", "acme", Tenant) == Tenant(name="New")

        broken = Outgoing(topic=topic, key="tenant/acme/acme", headers=[], value=b"\xff{")
        await producer.publish([broken, an_outgoing(topic, "Newer", 3)])
        assert await directory.wait_for("tenant", "acme", "acme", WAIT_SECONDS, version=3)
        await reader.stop()


async def test_two_replicas_hear_the_same(
    kafka_bootstrap: str, topic: str, producer: Producer
) -> None:
    directories = [Directory(), Directory()]
    readers = [CompactedReader(kafka_bootstrap, topic) for _ in directories]
    async with asyncio.TaskGroup() as group:
        for directory, reader in zip(directories, readers, strict=True):
            group.create_task(directory.follow(reader))
        await producer.publish([an_outgoing(topic, "One", 1)])
        for directory in directories:
            assert await directory.wait_for("tenant", "acme", "acme", WAIT_SECONDS)
        for reader in readers:
            await reader.stop()
