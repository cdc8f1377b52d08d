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
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from deploy.local.databases import Database
from services.sms_sender.channel import SMS
from services.sms_sender.settings import SmsSenderSettings
from shared.events import envelope
from shared.events.configuration import ApiKey, ConfigEntry, SenderAccount, Template
from shared.events.contact import CONTACT_FACT_TYPES, CloseRequested, ContactTask
from shared.events.envelope import Envelope
from shared.events.hold import CompleteThrough, Hold
from shared.events.topics import CONTACT_EVENTS, CONTACT_HOLDS, PLATFORM_CONFIG, TASKS_BY_CHANNEL
from shared.http.auth import digest_of
from shared.kafka import Producer
from shared.kafka.records import Outgoing
from shared.runtime import Service
from shared.sender.channel import Channel
from shared.sender.service import assemble
from shared.sender.settings import SenderSettings
from tests.support.bus import read_all, until
from tests.support.contacts import (
    ACCOUNT,
    ADDRESS_KEY,
    NUMBER,
    PHONE,
    TEMPLATE,
    TENANT,
    a_template,
    now,
)
from tests.support.outgoing import outgoing
from tests.support.wire import Provider, free_port, is_ready, post_signed, progress_of

PARTITIONS = 2
TOKEN = "0123456789abcdef0123456789abcdef"
API_KEY = "operator-key"
WAIT_SECONDS_MAX = 20.0
MARK_SECONDS = 0.3


class Stage:
    """Everything around one sender; another channel derives its own stage."""

    channel: Channel[Any] = SMS
    settings_class: type[SenderSettings] = SmsSenderSettings

    def __init__(self, database: Database, bootstrap: str, suffix: str) -> None:
        self.database = database
        self.bootstrap = bootstrap
        self.suffix = suffix
        self.provider = Provider()
        self.producer = Producer(bootstrap)
        self.marking = True
        self.port = 0
        self._marks: asyncio.Task[None] | None = None
        self.exit_code = 0

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

    @property
    def tasks(self) -> str:
        """The topic of this channel's tasks, without its suffix."""
        return TASKS_BY_CHANNEL[self.channel.name].name

    async def configure(
        self,
        *,
        template: Template | None = None,
        rate_per_second: float = 5_000.0,
        account_id: str = ACCOUNT,
        pair_rate_per_minute: float | None = None,
        day_limit: int | None = None,
    ) -> None:
        account = SenderAccount(
            channel="sms",
            provider="twilio",
            sender=NUMBER,
            rate_per_second=rate_per_second,
            credentials={"account_sid": "env:TEST_SMS_SID", "auth_token": "env:TEST_SMS_TOKEN"},
            base_url=self.provider.url,
            pair_rate_per_minute=pair_rate_per_minute,
            day_limit=day_limit,
        )
        key = ApiKey(sha256=digest_of(API_KEY), scopes=("operator",), label="test")
        await self.store("account", account_id, account)
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
            [self._outgoing(self.tasks, "contact.task.v1", str(t.debtor_id), t) for t in tasks]
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
        kind = "contact.close_requested.v1"
        await self._publish(self.tasks, kind, str(task.debtor_id), request)

    async def hold(self, hold: Hold) -> None:
        await self._publish(CONTACT_HOLDS.name, "hold.changed.v1", str(hold.hold_id), hold)

    async def publish_raw(self, value: bytes, headers: list[tuple[str, bytes]], key: str) -> None:
        await self.producer.publish([Outgoing(self.tasks + self.suffix, key, headers, value)])

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
        connection = await asyncpg.connect(self.database.url(self.channel.service))
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
        return await progress_of(self.port, API_KEY)

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
        return await post_signed(url, fields, TOKEN, signature)

    def environment(self, port: int) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "POSTGRES_URL": self.database.url(self.channel.service),
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
        lowered: dict[str, Any] = {name.lower(): value for name, value in given.items()}
        settings = self.settings_class(**lowered)
        service = Service(settings)
        serving = asyncio.ensure_future(
            service.serve(lambda running: assemble(running, self.channel, settings))
        )
        try:
            await until(lambda: service.started or serving.done(), 60.0)
            if serving.done():
                raise AssertionError(f"the sender did not start: exit code {serving.result()}")
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
            f"services.{self.channel.service}",
            "serve",
            env=os.environ | self.environment(self.port) | changes,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: is_ready(self.port), 60.0)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _mark(self) -> None:
        while True:
            await asyncio.sleep(MARK_SECONDS)
            if self.marking:
                await self._mark_once()

    async def _mark_once(self) -> None:
        mark = CompleteThrough(at=now())
        kind, key = "hold.complete_through.v1", "complete_through"
        made = self._outgoing(CONTACT_HOLDS.name, kind, key, mark)
        await self.producer.publish(
            [msgspec.structs.replace(made, partition=number) for number in range(PARTITIONS)]
        )

    async def _publish(self, topic: str, kind: str, key: str, body: msgspec.Struct) -> None:
        await self.producer.publish([self._outgoing(topic, kind, key, body)])

    def _outgoing(self, topic: str, kind: str, key: str, body: msgspec.Struct) -> Outgoing:
        return outgoing(topic + self.suffix, kind, key, body)
