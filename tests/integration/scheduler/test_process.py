"""The scheduler as a process: starts from settings, plans what is posted, drains, says why not."""

import asyncio
import base64
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import httpx
import msgspec
import pytest

import services.scheduler
from deploy.local import databases
from deploy.local.databases import Database
from deploy.local.kafka import Kafka
from deploy.local.processes import free_port
from shared.events.contact import ContactTask
from shared.events.envelope import encode
from shared.events.hold import CompleteThrough, Hold
from shared.events.identities import time_ordered_id
from shared.events.topics import CONTACT_HOLDS, CONTACT_TASKS_SMS, DEBT_EVENTS, PLATFORM_CONFIG
from shared.kafka import admin
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing
from tests.support.bus import read_all, until
from tests.support.scheduler import ENTRIES, PORTFOLIO, a_payment, a_registration

PACKS = Path(services.scheduler.__file__).parent / "packs"
PARTITIONS = 2
SECONDS_MAX = 60.0
TENANT = {"tenant": "acme"}
# A Monday at noon in São Paulo, ten days after the sample debt's due date.
NOON = "2026-03-02T15:00:00Z"


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
async def settings(own_kafka: Kafka, fresh_database: Database) -> dict[str, str]:
    await databases.set_mode(fresh_database, "sandbox")
    return {
        "PATH": os.environ["PATH"],
        "MODE": "sandbox",
        "KAFKA_BOOTSTRAP": own_kafka.bootstrap,
        "KAFKA_PARTITIONS": str(PARTITIONS),
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "POSTGRES_URL": fresh_database.url("scheduler"),
        "HTTP_PORT": str(free_port()),
        "IDENTITY_KEYS": f"k1:{key()}",
        "ADDRESS_KEY": key(),
    }


async def run(
    settings: dict[str, str], *words: str, said: IO[bytes] | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.scheduler",
        *words,
        env=settings,
        stdout=said or asyncio.subprocess.PIPE,
        stderr=said or asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(SECONDS_MAX):
        out, err = await process.communicate()
    return process.returncode, (out or b"").decode(), (err or b"").decode()


class Client:
    """The process as its clients see it."""

    def __init__(self, settings: dict[str, str], api_key: str) -> None:
        self._http = httpx.AsyncClient(  # noqa: TID251 - a test's own client
            base_url=f"http://127.0.0.1:{settings['HTTP_PORT']}",
            headers={"X-API-Key": api_key},
            timeout=SECONDS_MAX,
        )

    async def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        return await self._http.request(method, path, params=TENANT, **request)

    async def ready(self) -> bool:
        try:
            return (await self._http.get("/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def drained(self) -> bool:
        progress = (await self.call("GET", "/v1/progress")).json()
        return not any(progress["pending"].values())

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def serving(settings: dict[str, str]) -> AsyncIterator[tuple[Client, Any]]:
    """A migrated, bootstrapped, ready process."""
    assert (await ended(await run(settings, "migrate")))[0] == 0
    code, out, _ = await ended(await run(settings, "bootstrap", "--force-new"))
    assert code == 0
    client = Client(settings, out.split()[-1])
    # A file, not a pipe: nobody reads while the test runs, and a full pipe stops who writes.
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, after the process
    process = await run(settings, "serve", said=said)
    try:
        await until(lambda: process.returncode is not None or client.ready(), SECONDS_MAX)
        assert process.returncode is None, text_of(said)
        yield client, process
    finally:
        await client.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
        said.close()


def text_of(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode()


async def configure(client: Client) -> None:
    await client.call("PUT", "/v1/config/tenant/acme", json={"name": "acme"})
    pack = (PACKS / "br-default.yaml").read_text()
    lawful = ("portfolio", "cards", PORTFOLIO | {"packs": ["br-default"]})
    for kind, entry_id, body in (("pack", "br-default", {"text": pack}), *ENTRIES[:-1], lawful):
        stored = await client.call("PUT", f"/v1/config/{kind}/{entry_id}", json=body)
        assert stored.status_code == 201, stored.text


async def test_what_is_posted_is_planned_and_handed_over(settings: dict[str, str]) -> None:
    async with serving(settings) as (client, process):
        await configure(client)
        await client.call("PUT", "/v1/clock", json={"law_now": NOON})

        posted = await client.call(
            "POST",
            "/v1/events",
            json=[a_registration(due_date="2026-03-01"), a_payment(2)],
            headers={"content-type": "application/cloudevents-batch+json"},
        )
        await until(client.drained, SECONDS_MAX)
        explained = await client.call("POST", "/v1/explain", json={"debt_ref": "D-1"})

        assert [one["status"] for one in posted.json()["results"]] == ["accepted", "parked"]
        assert explained.status_code == 200, explained.text
        events = await read_all(settings["KAFKA_BOOTSTRAP"], DEBT_EVENTS.name)
        assert sum(map(len, events.values())) == 1
        tasks = await read_all(settings["KAFKA_BOOTSTRAP"], CONTACT_TASKS_SMS.name)
        [task] = [record for records in tasks.values() for record in records]
        assert msgspec.json.decode(task.value or b"", type=ContactTask).step_key == "d1"
        entries = await read_all(settings["KAFKA_BOOTSTRAP"], PLATFORM_CONFIG.name)
        assert {record.key for records in entries.values() for record in records} >= {
            "portfolio/acme/cards",
            "ladder/acme/short",
        }
        process.send_signal(signal.SIGTERM)
        assert (await ended(process))[0] == 0


async def test_holds_go_out_at_once_and_senders_holds_come_in(settings: dict[str, str]) -> None:
    async with serving(settings) as (client, _):
        await configure(client)
        bootstrap = settings["KAFKA_BOOTSTRAP"]
        now = (await client.call("GET", "/v1/clock")).json()["machine_now"]
        theirs = Hold(
            hold_id=time_ordered_id(),
            tenant_id="acme",
            scope="address",
            subject="address:acme:sms:00",
            reason="opted_out",
            version=1,
            state="active",
            placed_at=datetime.fromisoformat(now),
            origin="sms_sender",
        )
        producer = Producer(bootstrap)
        await producer.start()
        headers = [("ce_type", b"hold.changed.v1")]
        await producer.publish(
            [Outgoing(CONTACT_HOLDS.name, str(theirs.hold_id), headers, encode(theirs))]
        )
        await producer.stop()
        placed = (await client.call("POST", "/v1/emergency-stop", json={"scope": "tenant"})).json()

        async def learned() -> bool:
            answer = await client.call("GET", "/v1/holds")
            return len(answer.json()["holds"]) == 2

        await until(learned, SECONDS_MAX)
        await until(client.drained, SECONDS_MAX)

        async def marked() -> bool:
            """Every partition says, each second, how far it is complete."""
            read = await read_all(bootstrap, CONTACT_HOLDS.name)
            newest = [
                msgspec.json.decode(r.value or b"", type=CompleteThrough).at
                for records in read.values()
                for r in [r for r in records if r.key == "complete_through"][-1:]
            ]
            return len(newest) == PARTITIONS and min(newest) >= datetime.fromisoformat(now)

        await until(marked, SECONDS_MAX)
        lane = await read_all(bootstrap, CONTACT_HOLDS.name)
        assert set(lane) == set(range(PARTITIONS))
        keys = {record.key for records in lane.values() for record in records}
        assert {placed["hold_id"], str(theirs.hold_id)} <= keys


async def test_a_second_first_key_is_refused_unless_forced(settings: dict[str, str]) -> None:
    await ended(await run(settings, "migrate"))

    first = await ended(await run(settings, "bootstrap"))
    second = await ended(await run(settings, "bootstrap"))
    forced = await ended(await run(settings, "bootstrap", "--force-new"))

    assert first[0] == forced[0] == 0
    assert second[0] == 1
    assert "--force-new" in second[2]
    assert first[1].split()[-1] != forced[1].split()[-1]


async def test_what_keeps_it_from_starting_is_one_line_with_the_remedy(
    settings: dict[str, str], own_kafka: Kafka
) -> None:
    async def said(changes: dict[str, str]) -> tuple[int | None, str]:
        given = {name: value for name, value in (settings | changes).items() if value}
        code, out, err = await ended(await run(given, "serve"))
        lines = [line for line in err.splitlines() if line.startswith("scheduler: ")]
        assert len(lines) == 1, (out, err)
        return code, lines[0]

    assert await said({"IDENTITY_KEYS": ""}) == (2, await _missing("IDENTITY_KEYS"))
    code, line = await said({})
    assert (code, "services.scheduler migrate" in line) == (3, True)
    await ended(await run(settings, "migrate"))
    code, line = await said({"MODE": "production"})
    assert (code, "set MODE=sandbox" in line) == (3, True)
    await admin.ensure_topics(own_kafka.bootstrap, partitions=PARTITIONS, replication=1)
    code, line = await said({"KAFKA_PARTITIONS": "3"})
    assert (code, "partitions" in line) == (3, True)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", int(settings["HTTP_PORT"]))
    async with server:
        code, line = await said({})
    assert (code, "HTTP_PORT" in line) == (3, True)


async def _missing(variable: str) -> str:
    return (
        f"scheduler: {variable} is not set; set {variable} "
        "(`settings` lists what each variable means)"
    )


async def test_accepted_events_survive_a_kill_and_an_emptied_broker(
    settings: dict[str, str], own_kafka: Kafka
) -> None:
    batch = {"content-type": "application/cloudevents-batch+json"}
    async with serving(settings) as (client, process):
        await configure(client)
        first = [a_registration(n) for n in range(40)]
        await client.call("POST", "/v1/events", json=first, headers=batch)
        process.kill()
        await process.wait()
    async with serving(settings) as (client, _):
        second = [a_registration(n) for n in range(40, 60)]
        await client.call("POST", "/v1/events", json=second, headers=batch)
        await until(client.drained, SECONDS_MAX)
        own_kafka.restart_empty()
        third = [a_registration(n) for n in range(60, 70)]
        await client.call("POST", "/v1/events", json=third, headers=batch)

        async def all_there() -> bool:
            events = await read_all(own_kafka.bootstrap, DEBT_EVENTS.name)
            ids = {r.headers["ce_id"] for records in events.values() for r in records}
            entries = await read_all(own_kafka.bootstrap, PLATFORM_CONFIG.name)
            keys = {r.key for records in entries.values() for r in records}
            return len(ids) == 70 and "portfolio/acme/cards" in keys

        await until(all_there, SECONDS_MAX)
        await until(client.drained, SECONDS_MAX)
