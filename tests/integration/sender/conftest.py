"""One stage per test: fresh database, topics of its own, a provider at the wire; or a pool."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from deploy.local.databases import Database
from shared.kafka import admin
from shared.postgres import Pool, migrate, open_pool
from shared.sender.store import partitions
from tests.support.contacts import now
from tests.support.sending import PARTITIONS, TOKEN, Stage


@pytest.fixture
async def stage(
    fresh_database: Database,
    kafka_bootstrap: str,
    topic_suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stage]:
    """A sender's surroundings, with its schema migrated and its account and template known."""
    monkeypatch.setenv("TEST_SMS_SID", "AC" + "1" * 32)
    monkeypatch.setenv("TEST_SMS_TOKEN", TOKEN)
    migrate.upgrade("sms_sender", fresh_database.url("sms_sender"))
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    made = Stage(fresh_database, kafka_bootstrap, topic_suffix)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def pool(fresh_database: Database) -> AsyncIterator[Pool]:
    """A migrated schema of a sender, with partitions for these days."""
    url = fresh_database.url("sms_sender")
    migrate.upgrade("sms_sender", url)
    made = await open_pool(url, service="sms_sender", max_size=10)
    async with made.transaction() as conn:
        today = now().date()
        days = [today + timedelta(days=number) for number in range(-1, 3)]
        await partitions.ensure(conn, "attempt", days)
    yield made
    await made.close()
