"""A sender at work in a test: real Kafka and PostgreSQL, a provider at the wire, one builder each.

In: a database, a broker, topics of one's own. Out: `Stage`: it plays the scheduler (configuration,
tasks, holds, marks) and the provider (answers by script, signed webhooks), and reads what the
sender states. The sender runs in this process (`running`) or as its own (`spawned`).
"""

import asyncio
import base64
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import msgspec
from aiohttp import web
from twilio.request_validator import RequestValidator

from deploy.local.databases import Database
from services.sms_sender.channel import SMS
from services.sms_sender.settings import SmsSenderSettings
from shared.events import envelope, identities
from shared.events.configuration import ApiKey, ConfigEntry, SenderAccount, Template
from shared.events.contact import CONTACT_FACT_TYPES, CloseRequested, ContactTask, Item, Permit
from shared.events.envelope import Envelope
from shared.events.hold import CompleteThrough, Hold, subject_of
from shared.events.topics import CONTACT_EVENTS, CONTACT_HOLDS, CONTACT_TASKS_SMS, PLATFORM_CONFIG
from shared.http.auth import digest_of
from shared.kafka import Producer, Record
from shared.kafka.records import Outgoing
from shared.privacy import address_subject, key_bytes
from shared.runtime import Service
from shared.sender.service import assemble
from tests.support.bus import read_all, until

PARTITIONS = 2
TENANT = "acme"
ACCOUNT = "acme-sms"
TEMPLATE = "reminder"
PHONE = "+5511987654321"
NUMBER = "+5511940000001"
TOKEN = "0123456789abcdef0123456789abcdef"
ADDRESS_KEY = base64.b64encode(b"a" * 32).decode()
API_KEY = "operator-key"
WAIT_SECONDS_MAX = 20.0
MARK_SECONDS = 0.3


def now() -> datetime:
    """The host's clock: the test's servers run on this host."""
    return datetime.now(UTC)  # noqa: TID251 - tests compare with the database of the same host


class Script(msgspec.Struct):
    """What the provider does with the next request: answer, after a while, or never."""

    status: int = 201
    body: bytes | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    gate: asyncio.Event | None = None


class Provider:
    """Twilio at the wire: answers by script (one per request, then 201), remembers everything."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.scripts: list[Script] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fields = dict(parse_qsl(await request.text(), keep_blank_values=True))
        self.requests.append(fields)
        script = self.scripts.pop(0) if self.scripts else Script()
        if script.gate is not None:
            await script.gate.wait()
        if script.hang:
            await asyncio.sleep(3_600)
        if script.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        body = script.body
        if body is None:
            body = msgspec.json.encode({"sid": f"SM{uuid4().hex}", "status": "queued"})
        return web.Response(status=script.status, body=body, headers=script.headers)


class Stage:
    """Everything around one sender."""

    def __init__(self, database: Database, bootstrap: str, suffix: str) -> None:
        self.database = database
        self.bootstrap = bootstrap
        self.suffix = suffix
        self.provider = Provider()
        self.producer = Producer(bootstrap)
        self.marking = True
        self.port = 0
        self._marks: asyncio.Task[None] | None = None
        self._read: dict[str, list[Record]] = {}

    async def open(self) -> None:
        await self.provider.start()
        await self.producer.start()
        await self.configure()
        await self._mark_once()
        self._marks = asyncio.ensure_future(self._mark())

    async def close(self) -> None:
        if self._marks is not None:
            self._marks.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._marks
        await self.producer.stop()
        await self.provider.stop()

    # The scheduler's part.

    async def configure(
        self, *, template: Template | None = None, rate_per_second: float = 5_000.0
    ) -> None:
        account = SenderAccount(
            channel="sms",
            provider="twilio",
            sender=NUMBER,
            rate_per_second=rate_per_second,
            credentials={"account_sid": "env:TEST_SMS_SID", "auth_token": "env:TEST_SMS_TOKEN"},
            base_url=self.provider.url,
        )
        key = ApiKey(sha256=digest_of(API_KEY), scopes=("operator",), label="test")
        await self.store("account", ACCOUNT, account)
        await self.store("api_key", "k", key)
        await self.store("template", TEMPLATE, template or a_template())

    async def store(self, kind: str, id_: str, body: msgspec.Struct, version: int = 1) -> None:
        entry = ConfigEntry(
            kind=kind,
            tenant_id=TENANT,
            id=id_,
            version=version,
            body=msgspec.Raw(msgspec.json.encode(body)),
            changed_at=now(),
            changed_by="test",
        )
        await self._publish(PLATFORM_CONFIG.name, "config.changed.v1", entry.key, entry)

    async def dispatch(self, *tasks: ContactTask) -> None:
        await self.producer.publish(
            [
                self._outgoing(CONTACT_TASKS_SMS.name, "contact.task.v1", str(t.debtor_id), t)
                for t in tasks
            ]
        )

    async def request_close(self, task: ContactTask) -> None:
        request = CloseRequested(
            contact_id=task.contact_id,
            debtor_id=task.debtor_id,
            tenant_id=task.tenant_id,
            portfolio_id=task.portfolio_id,
            channel=task.channel,
            items=task.items,
            permit=task.permit,
            reason="window_over",
        )
        topic = CONTACT_TASKS_SMS.name
        await self._publish(topic, "contact.close_requested.v1", str(task.debtor_id), request)

    async def hold(self, hold: Hold) -> None:
        await self._publish(CONTACT_HOLDS.name, "hold.changed.v1", str(hold.hold_id), hold)

    async def publish_raw(self, value: bytes, headers: list[tuple[str, bytes]], key: str) -> None:
        topic = CONTACT_TASKS_SMS.name + self.suffix
        await self.producer.publish([Outgoing(topic, key, headers, value)])

    # What the sender did.

    async def facts(self, task: ContactTask | None = None) -> list[tuple[str, Any]]:
        """Every fact stated so far (about one contact), in the order of its partition."""
        found = await read_all(self.bootstrap, CONTACT_EVENTS.name + self.suffix)
        facts = []
        for record in [each for records in found.values() for each in records]:
            event = Envelope.from_record(record.headers, record.value)
            body = envelope.decode(event.data, CONTACT_FACT_TYPES[event.type])
            if task is None or getattr(body, "contact_id", None) == task.contact_id:
                facts.append((event.type.removeprefix("contact.").removesuffix(".v1"), body))
        return facts

    async def fact(self, task: ContactTask, kind: str) -> Any:
        """Wait for a fact about a contact and return it."""
        found: list[Any] = []

        async def stated() -> bool:
            found[:] = [body for each, body in await self.facts(task) if each == kind]
            return bool(found)

        await until(stated, WAIT_SECONDS_MAX)
        return found[0]

    async def kinds(self, task: ContactTask) -> list[str]:
        return [kind for kind, _ in await self.facts(task)]

    async def rows(self, query: str, *args: object) -> list[Any]:
        connection = await asyncpg.connect(self.database.url("sms_sender"))
        try:
            return list(await connection.fetch(query, *args))
        finally:
            await connection.close()

    async def states(self, task: ContactTask) -> list[str]:
        rows = await self.rows(
            "SELECT state FROM attempt WHERE contact_id = $1 ORDER BY n", task.contact_id
        )
        return [row["state"] for row in rows]

    async def progress(self) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as client,
            client.get(
                f"http://127.0.0.1:{self.port}/v1/progress", headers={"X-API-Key": API_KEY}
            ) as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return found

    # The provider's webhooks.

    async def callback(self, request: Mapping[str, str], status: str, **extra: str) -> int:
        """Post a signed status callback for a request the provider has seen."""
        fields = {"MessageSid": request["sid"], "MessageStatus": status, "To": request["To"]}
        return await self.webhook(request["StatusCallback"], fields | extra)

    async def reply(self, text: str, sid: str | None = None, phone: str = PHONE) -> int:
        fields = {
            "MessageSid": sid or f"SM{uuid4().hex}",
            "SmsStatus": "received",
            "From": phone,
            "To": NUMBER,
            "Body": text,
        }
        url = f"http://127.0.0.1:{self.port}/webhooks/twilio/{TENANT}/{ACCOUNT}"
        return await self.webhook(url, fields)

    async def webhook(
        self, url: str, fields: Mapping[str, str], signature: str | None = None
    ) -> int:
        signed = RequestValidator(TOKEN).compute_signature(url, dict(fields))
        headers = {
            "X-Twilio-Signature": signed if signature is None else signature,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        async with (
            aiohttp.ClientSession() as client,
            client.post(url, data=urlencode(fields), headers=headers) as answer,
        ):
            return answer.status

    # The sender itself.

    def environment(self, port: int) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "POSTGRES_URL": self.database.url("sms_sender"),
            "HTTP_PORT": str(port),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            "KAFKA_PARTITIONS": str(PARTITIONS),
            "KAFKA_SESSION_TIMEOUT_MS": "6000",
            "TOPIC_SUFFIX": self.suffix,
            "ADDRESS_KEY": ADDRESS_KEY,
            "TEXT_KEY": base64.b64encode(b"t" * 32).decode(),
            "CALLBACK_KEY": base64.b64encode(b"c" * 32).decode(),
            "PROVIDER_READ_SECONDS_MAX": "1.0",
            "PROVIDER_CONNECT_SECONDS_MAX": "1.0",
            "PROVIDER_SECRETS": "env:TEST_SMS_*",
            "PROVIDER_HOSTS": "127.0.0.1",
            "TEST_SMS_SID": "AC" + "1" * 32,
            "TEST_SMS_TOKEN": TOKEN,
        }

    @asynccontextmanager
    async def running(self, **changes: str) -> AsyncIterator[Service]:
        """Run the sender in this process until the block ends; then stop it in order."""
        self.port = free_port()
        given = self.environment(self.port) | changes
        settings = SmsSenderSettings(**{name.lower(): value for name, value in given.items()})
        service = Service(settings)
        serving = asyncio.ensure_future(
            service.serve(lambda running: assemble(running, SMS, settings))
        )
        try:
            await until(lambda: service.started or serving.done(), 60.0)
            if serving.done():
                pytest_fail(f"the sender did not start: exit code {serving.result()}")
            yield service
        finally:
            service.stop()
            self.exit_code = await serving

    @asynccontextmanager
    async def spawned(self, **changes: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the sender as a process of its own; killed when the block ends, if still there."""
        self.port = free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.sms_sender",
            "serve",
            env=os.environ | self.environment(self.port) | changes,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(self._ready, 60.0)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"http://127.0.0.1:{self.port}/health/ready") as answer,
            ):
                return answer.status == 200
        return False

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(MARK_SECONDS)
            if self.marking:
                await self._mark_once()

    async def _mark_once(self) -> None:
        mark = CompleteThrough(at=now())
        batch = []
        for partition in range(PARTITIONS):
            made = self._outgoing(
                CONTACT_HOLDS.name, "hold.complete_through.v1", "complete_through", mark
            )
            batch.append(msgspec.structs.replace(made, partition=partition))
        await self.producer.publish(batch)

    async def _publish(self, topic: str, kind: str, key: str, body: msgspec.Struct) -> None:
        await self.producer.publish([self._outgoing(topic, kind, key, body)])

    def _outgoing(self, topic: str, kind: str, key: str, body: msgspec.Struct) -> Outgoing:
        event = Envelope(
            id=uuid4(),
            type=kind,
            source="regua/scheduler",
            time=now(),
            key=key,
            tenant_id=TENANT,
            data=envelope.encode(body),
        )
        return Outgoing(topic + self.suffix, key, event.headers(), event.data)


def a_template(text: str = "Olá {name}, sua fatura de {amount} venceu.") -> Template:
    return Template(channel="sms", content_class="utility", texts={"pt-BR": text})


def a_task(**changes: Any) -> ContactTask:
    """A permitted SMS to one debtor, lawful from an hour ago for three hours."""
    debtor_id, debt_id = uuid4(), uuid4()
    address = changes.get("address", PHONE)
    subjects = (
        "everything",
        subject_of("tenant", TENANT),
        subject_of("debtor", TENANT, str(debtor_id)),
        subject_of("debt", TENANT, str(debt_id)),
        address_subject(key_bytes(ADDRESS_KEY), TENANT, "sms", address),
    )
    fields: dict[str, Any] = {
        "contact_id": identities.contact_id(
            tenant_id=TENANT, debt_id=debt_id, episode=1, step_key="d3", channel="sms", k=1
        ),
        "debtor_id": debtor_id,
        "tenant_id": TENANT,
        "portfolio_id": "loja",
        "channel": "sms",
        "address": address,
        "locale": "pt-BR",
        "account_id": ACCOUNT,
        "template_id": TEMPLATE,
        "template_version": 1,
        "content_class": "utility",
        "step_key": "d3",
        "stage": 1,
        "items": (Item(debt_id=debt_id, episode=1, step_key="d3", stage=1),),
        "values": {"name": "Maria", "amount": "R$ 120,00"},
        "subjects": subjects,
        "permit": a_permit(),
    }
    return ContactTask(**(fields | changes))


def a_permit(**changes: Any) -> Permit:
    at = now()
    fields: dict[str, Any] = {
        "issued_at": at,
        "not_before": at - timedelta(hours=1),
        "not_after": at + timedelta(hours=2),
        "local_date": date(2026, 11, 22),
        "versions": {},
    }
    return Permit(**(fields | changes))


def a_hold(subject: str, **changes: Any) -> Hold:
    fields: dict[str, Any] = {
        "hold_id": UUID(int=uuid4().int),
        "tenant_id": TENANT,
        "scope": subject.partition(":")[0],
        "subject": subject,
        "reason": "payment_received",
        "version": 1,
        "state": "active",
        "placed_at": now(),
    }
    return Hold(**(fields | changes))


def free_port() -> int:
    """A port nobody uses now."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pytest_fail(reason: str) -> None:
    raise AssertionError(reason)
