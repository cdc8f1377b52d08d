"""Every service's own application in front of servers that nobody runs.

In: nothing. Out: `application`, made as the service makes it, with a key of every scope and what a
request must find in memory to get as far as its database; and `requests_of`, one sensible request
for every operation of its document.
"""

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import msgspec
from fastapi import FastAPI

from deploy.documents import openapi
from deploy.documents.files import openapi_path
from services.contact_ledger.app import Ledger
from services.contact_ledger.progress import ProgressReport
from services.contact_ledger.settings import LedgerSettings
from services.email_sender.channel import EMAIL
from services.email_sender.settings import EmailSenderSettings
from services.scheduler.app import Scheduler
from services.scheduler.settings import SchedulerSettings
from services.sms_sender.channel import SMS
from services.sms_sender.settings import SmsSenderSettings
from services.whatsapp_sender.channel import WHATSAPP
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.clock import Clock
from shared.directory import Directory
from shared.events.configuration import ApiKey, ConfigEntry
from shared.http.auth import SCOPES, digest_of
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.sender.parts import Sender
from shared.sender.service import application as sender_application
from shared.settings import ServiceSettings

Json = dict[str, Any]

TENANT, PORTFOLIO, KEY = "acme", "varejo-br", "a-key"
NOW = datetime(2027, 6, 1, tzinfo=UTC)
SENDERS: Mapping[str, Any] = {
    "sms_sender": (SMS, SmsSenderSettings),
    "email_sender": (EMAIL, EmailSenderSettings),
    "whatsapp_sender": (WHATSAPP, WhatsAppSenderSettings),
}
SERVICES = tuple(openapi.APPLICATIONS)


class Away(msgspec.Struct, frozen=True, kw_only=True):
    """One service's application; `parts` is what it is made of."""

    app: FastAPI
    directory: Directory
    clock: Clock
    parts: Any


@asynccontextmanager
async def application(service: str, **changes: Any) -> AsyncIterator[Away]:
    """The service's application, ready but for its database and its brokers, which refuse."""
    with _closed_port() as port:
        url = f"postgresql://nobody:nothing@127.0.0.1:{port}/none"
        given = {"kafka_bootstrap": f"127.0.0.1:{port}", "postgres_url": url, **changes}
        # Opened when first asked: a pool that once had connections and lost them.
        raw = await asyncpg.create_pool(url, min_size=0, max_size=2)
        async with aiohttp.ClientSession() as client:
            made = _made(service, given, Pool(raw, url=url, options={}), client)
            made.directory.apply(_entries())
            made.clock.observe(NOW, NOW)
            yield made
        await raw.close()


def requests_of(document: Json) -> Iterator[tuple[str, str, str, Json]]:
    """For every operation: its id, method, path, and a request as its document describes it."""
    for template, methods in document["paths"].items():
        for method, operation in methods.items():
            path, query = template, {"tenant": TENANT}
            for each in operation.get("parameters", ()):
                value = _value(each["name"])
                if each["in"] == "path":
                    path = path.replace("{" + each["name"] + "}", value)
                elif each["in"] == "query" and each.get("required"):
                    query[each["name"]] = value
            request: Json = {"params": query, **_body(operation)}
            yield operation["operationId"], method.upper(), path, request


def _made(service: str, given: Json, pool: Pool, client: aiohttp.ClientSession) -> Away:
    if service == "scheduler":
        scheduler = Scheduler(_settings(SchedulerSettings, given), pool)
        app = scheduler.application(dict)
        return Away(app=app, directory=scheduler.directory, clock=scheduler.clock, parts=scheduler)
    if service == "contact_ledger":
        settings = _settings(LedgerSettings, given)
        ledger = Ledger(settings)
        ledger._reading.attach(pool)
        ends = LogEnds(settings.kafka_bootstrap, ["debt.events.v1"])
        ledger._report = ProgressReport(pool, ends, _Idle(), _Idle())  # type: ignore[arg-type]
        app = ledger.application(dict)
        return Away(app=app, directory=ledger._directory, clock=ledger._clock, parts=ledger)
    channel, cls = SENDERS[service]
    sender = Sender(channel, _settings(cls, given), pool, client)
    app = sender_application(sender, dict)
    return Away(app=app, directory=sender.directory, clock=sender.clock, parts=sender)


class _Idle:
    """A recorder that has read everything."""

    in_hand = entries_total = records_total = 0
    caught_up = True
    unchecked: frozenset[Any] = frozenset()


def _settings(cls: type[ServiceSettings], given: Json) -> Any:
    known = cls.model_fields.keys()
    examples = {n: v for n, v in openapi.EXAMPLE_SETTINGS.items() if n in known}
    return cls(**{**examples, **given})


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port that is ours, so that nobody else listens on it, and on which nobody does."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def _value(name: str) -> str:
    known = {"kind": "tenant", "entry_id": TENANT, "tenant_id": TENANT, "portfolio": PORTFOLIO}
    known |= {"from": "2026-11-01", "to": "2026-11-22"}
    return known.get(name, str(uuid4()))


def _body(operation: Json) -> Json:
    """The first example that the document gives."""
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        for example in media.get("examples", {}).values():
            value = example["value"]
            content = value if isinstance(value, str) else msgspec.json.encode(value)
            return {"content": content, "headers": {"content-type": kind}}
    return {}


def _entries() -> list[ConfigEntry]:
    key = ApiKey(sha256=digest_of(KEY), scopes=SCOPES, label="test")
    document = msgspec.json.decode(openapi_path("scheduler").read_bytes())
    put = document["paths"]["/v1/config/{kind}/{entry_id}"]["put"]["requestBody"]["content"]
    examples = put["application/json"]["examples"]
    bodies = (
        ("api_key", "*", "key", key),
        ("tenant", TENANT, TENANT, examples["tenant"]["value"]),
        ("portfolio", TENANT, PORTFOLIO, examples["portfolio"]["value"]),
    )
    return [
        ConfigEntry(
            kind=kind,
            tenant_id=tenant,
            id=entry_id,
            version=1,
            body=msgspec.Raw(msgspec.json.encode(body)),
            changed_at=NOW,
            changed_by="test",
        )
        for kind, tenant, entry_id, body in bodies
    ]
