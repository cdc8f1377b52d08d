"""A service's schema with the outbox and a holds lane, on the run's real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.databases import Database
from shared.kafka import Producer, admin
from shared.postgres import Connection, Pool, open_pool, outbox

PARTITIONS = 3


async def create_tables(conn: Connection) -> None:
    """Run the DDL helpers as a migration would."""
    statements: list[str] = []

    class Recorder:
        def execute(self, sqltext: str) -> None:
            statements.append(sqltext)

    outbox.create_tables(Recorder())
    outbox.create_lane(Recorder())
    for statement in statements:
        await conn.execute(statement)
    await outbox.prepare(conn)


@pytest.fixture
async def pool(fresh_database: Database) -> AsyncIterator[Pool]:
    """The scheduler's pool in a database of this test's own, tables made."""
    made = await open_pool(fresh_database.url("scheduler"), service="scheduler", max_size=6)
    async with made.acquire() as conn:
        await create_tables(conn)
    yield made
    await made.close()


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
