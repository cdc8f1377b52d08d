"""The ledger as a process: starts from settings, survives kill, drains, refuses in one line."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from deploy.local.databases import Database
from deploy.local.kafka import Kafka
from deploy.local.processes import free_port
from shared.events.configuration import ApiKey, ConfigEntry
from shared.events.topics import CONTACT_EVENTS, DEBT_EVENTS, PLATFORM_CONFIG
from shared.http.auth import digest_of
from shared.http.client import open_client
from shared.kafka import admin
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing
from tests.support.bus import until
from tests.support.ledger import NOW, TENANT, Debtor, an_envelope

PARTITIONS = 2
SECONDS_MAX = 60.0
HEADERS = {"X-API-Key": "key"}


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def settings(own_kafka: Kafka, fresh_database: Database) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP": own_kafka.bootstrap,
        "KAFKA_PARTITIONS": str(PARTITIONS),
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "POSTGRES_URL": fresh_database.url("contact_ledger"),
        "HTTP_PORT": str(free_port()),
        "LEDGER_KEK": key(),
        "LOOKUP_KEY": f"k1:{key()}",
        "TEXT_KEY": key(),
    }


async def run(
    command: str, settings: dict[str, str], stderr: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.contact_ledger",
        command,
        env=settings,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=stderr,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(SECONDS_MAX):
        _, said = await process.communicate()
    return process.returncode, (said or b"").decode()


async def answer(settings: dict[str, str], path: str) -> Any:
    """What the process answers; None while it does not."""
    client = open_client(f"http://127.0.0.1:{settings['HTTP_PORT']}", HEADERS)
    try:
        found = await client.get(path)
    except OSError:
        return None
    except Exception as error:
        if "connect" not in type(error).__name__.lower():
            raise
        return None
    finally:
        await client.aclose()
    return found.json() if found.status_code == 200 else None


@asynccontextmanager
async def serving(settings: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    # Nobody reads while the test runs, and a full pipe stops who writes.
    process = await run("serve", settings, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def publish(settings: dict[str, str], topic: str, envelopes: list[Any]) -> None:
    producer = Producer(settings["KAFKA_BOOTSTRAP"])
    await producer.start()
    await producer.publish([Outgoing(topic, e.key, e.headers(), e.data) for e in envelopes])
    await producer.stop()


async def prepare(settings: dict[str, str]) -> None:
    """Migrate, create the topics, configure one key."""
    assert await ended(await run("migrate", settings)) == (0, "")
    await admin.ensure_topics(settings["KAFKA_BOOTSTRAP"], partitions=PARTITIONS, replication=1)
    body = ApiKey(sha256=digest_of("key"), scopes=("read", "operator"), label="test")
    entry = ConfigEntry(
        kind="api_key",
        tenant_id=TENANT,
        id="key",
        version=1,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=NOW,
        changed_by="test",
    )
    record = Outgoing(PLATFORM_CONFIG.name, entry.key, [], msgspec.json.encode(entry))
    producer = Producer(settings["KAFKA_BOOTSTRAP"])
    await producer.start()
    await producer.publish([record])
    await producer.stop()


async def test_killed_while_recording_it_records_everything_once(
    settings: dict[str, str],
) -> None:
    await prepare(settings)
    for _ in range(2):
        await publish_lives(settings, 600)
        async with serving(settings) as process:
            await until(lambda: _recorded(settings, 1), SECONDS_MAX)
            process.kill()
            await process.wait()
    await publish_lives(settings, 600)
    async with serving(settings) as process:
        await until(lambda: _sent(settings, 1_800), SECONDS_MAX)
        await until(lambda: _drained(settings), SECONDS_MAX)
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


async def publish_lives(settings: dict[str, str], count: int) -> None:
    """Debts, each with a contact that was planned, accepted, delivered."""
    debtors = [Debtor() for _ in range(count)]
    debts = [an_envelope("debt.registered.v1", d.registered().data) for d in debtors]
    facts = [
        an_envelope(f"contact.{step}.v1", contact.state(f"contact.{step}").data)
        for contact in (debtor.contact() for debtor in debtors)
        for step in ("planned", "accepted", "delivered")
    ]
    await publish(settings, DEBT_EVENTS.name, debts)
    await publish(settings, CONTACT_EVENTS.name, facts)


async def _recorded(settings: dict[str, str], entries: int) -> bool:
    found = await answer(settings, "/v1/progress")
    return found is not None and found["counters"].get("entries", 0) >= entries


async def _sent(settings: dict[str, str], contacts: int) -> bool:
    found = await answer(settings, "/v1/balance")
    return found is not None and found["totals"]["sent"] == contacts


async def _drained(settings: dict[str, str]) -> bool:
    found = await answer(settings, "/v1/progress")
    return found is not None and not any(found["pending"].values())


async def test_an_unmigrated_schema_and_a_wrong_key_are_one_line_each(
    settings: dict[str, str],
) -> None:
    code, said = await ended(await run("serve", settings))
    assert code == 3
    assert "python -m services.contact_ledger migrate" in said.strip().splitlines()[-1]
    await prepare(settings)
    await publish(
        settings, DEBT_EVENTS.name, [an_envelope("debt.registered.v1", Debtor().registered().data)]
    )
    async with serving(settings):
        await until(lambda: _recorded(settings, 1), SECONDS_MAX)
    code, said = await ended(await run("serve", settings | {"LEDGER_KEK": key()}))
    assert code == 3
    assert "LEDGER_KEK" in said.strip().splitlines()[-1]


@pytest.mark.parametrize("name", ["LEDGER_KEK", "LOOKUP_KEY", "TEXT_KEY", "POSTGRES_URL"])
async def test_a_missing_setting_is_one_line_naming_it(name: str) -> None:
    settings = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/none",
        "LEDGER_KEK": key(),
        "LOOKUP_KEY": key(),
        "TEXT_KEY": key(),
    }
    del settings[name]
    code, said = await ended(await run("serve", settings))
    assert code == 2
    (line,) = said.strip().splitlines()
    assert name in line
