"""A migrated ledger database, a pool in it as the service opens it, and topics to read from."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.databases import Database
from services.contact_ledger.store import feed
from shared.http.client import open_client
from shared.http.server import HttpServer
from shared.kafka import admin
from shared.kafka.producer import Producer
from shared.postgres import Pool, migrate, open_pool
from tests.support.ledger_bus import PARTITIONS, Bus
from tests.support.ledger_http import Ledger


@pytest.fixture
async def ledger_url(fresh_database: Database) -> str:
    """URL of the ledger's role in a fresh, migrated database."""
    url = fresh_database.url("contact_ledger")
    await asyncio.to_thread(migrate.upgrade, "contact_ledger", url)
    return url


@pytest.fixture
async def pool(ledger_url: str) -> AsyncIterator[Pool]:
    """The ledger's pool."""
    opened = await open_pool(ledger_url, service="contact_ledger")
    async with opened.acquire() as conn:
        await feed.ensure_generation(conn)
    yield opened
    await opened.close()


@pytest.fixture
async def ledger(pool: Pool, ledger_url: str) -> AsyncIterator[Ledger]:
    """The ledger over HTTP."""
    made = Ledger(pool, ledger_url)
    server = await HttpServer.start(made.app, made.settings)
    made.client = open_client(f"http://127.0.0.1:{server.port}")
    yield made
    await made.client.aclose()
    await server.stop()


@pytest.fixture
async def bus(kafka_bootstrap: str, topic_suffix: str) -> AsyncIterator[Bus]:
    """Topics of this test's own, and who publishes to them."""
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    producer = Producer(kafka_bootstrap)
    await producer.start()
    yield Bus(kafka_bootstrap, topic_suffix, producer)
    await producer.stop()
