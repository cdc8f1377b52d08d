"""One stage per test: fresh database, topics of its own, a provider at the wire."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.databases import Database
from shared.kafka import admin
from shared.postgres import migrate
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
