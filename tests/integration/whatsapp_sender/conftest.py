"""One sandbox a module, one stage a test: fresh database, topics of its own, Meta at the wire."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.databases import Database
from shared.kafka import admin
from shared.postgres import migrate
from tests.support import meta
from tests.support.sandbox import Sandbox
from tests.support.sending import PARTITIONS
from tests.support.whatsapp import SECRETS, WhatsAppStage


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
async def stage(
    sandbox: Sandbox,
    fresh_database: Database,
    kafka_bootstrap: str,
    topic_suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[WhatsAppStage]:
    """A WhatsApp sender's surroundings; debtors do only what the test says."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    migrate.upgrade("whatsapp_sender", fresh_database.url("whatsapp_sender"))
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    sandbox.control("DELETE", "/sandbox/faults")
    sandbox.control("POST", "/sandbox/behaviour", {"preset": "silent"})
    sandbox.control("POST", "/sandbox/accounts", meta.account(None))
    made = WhatsAppStage(fresh_database, kafka_bootstrap, topic_suffix, sandbox)
    await made.open()
    yield made
    await made.close()
