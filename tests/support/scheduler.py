"""The scheduler behind its real doors: an ASGI client on a real database, one builder per noun.

In: a migrated database. Out: `Doors`, which speaks HTTP to the application as a client system and
an operator do, and reads what went into the outbox and onto the holds' lane.
"""

import itertools
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import msgspec
from fastapi import FastAPI

from services.scheduler.app import Scheduler
from services.scheduler.settings import SchedulerSettings
from shared.events.debt import DEBT_EVENT_TYPES, DebtEventBase
from shared.events.hold import Hold
from shared.events.topics import DEBT_EVENTS
from shared.http.server import create_app
from shared.postgres import Pool
from shared.postgres.outbox import headers_from

Json = dict[str, Any]
ACME, OTHER = "acme", "other"
SOURCE = "/erp"
LADDER = """
ladder: short
version: 1
steps:
  - key: d1
    offset_days: 1
    stage: reminder
    channels: [sms]
    templates: {sms: reminder}
"""
TEMPLATE: Json = {
    "channel": "sms",
    "content_class": "utility",
    "texts": {"pt-BR": "Olá {first_name}", "en-US": "Hello {first_name}"},
}
ACCOUNT: Json = {
    "channel": "sms",
    "provider": "twilio",
    "sender": "+15005550006",
    "rate_per_second": 10.0,
    "credentials": {"account_sid": "env:SID", "auth_token": "env:TOKEN"},
}
PORTFOLIO: Json = {
    "creditor_name": "Casa Aurora",
    "collector_role": "first_party",
    "country": "BR",
    "currency": "BRL",
    "locale": "pt-BR",
    "ladder_id": "short",
    "accounts": {"sms": "main"},
    "packs": [],
    "zone": "America/Sao_Paulo",
}
ENTRIES: tuple[tuple[str, str, Json], ...] = (
    ("template", "reminder", TEMPLATE),
    ("account", "main", ACCOUNT),
    ("ladder", "short", {"text": LADDER}),
    ("portfolio", "cards", PORTFOLIO),
)
_ids = itertools.count(1)


def an_event(kind: str, data: Json, *, id: str | None = None, **attributes: Any) -> Json:  # noqa: A002
    """A CloudEvent with an id of its own."""
    event = {
        "specversion": "1.0",
        "id": id or f"event-{next(_ids)}",
        "source": SOURCE,
        "type": kind,
        "time": "2026-03-02T14:00:00-03:00",
        "data": data,
    }
    return event | attributes


def a_registration(number: int | str = 1, *, id: str | None = None, **changes: Any) -> Json:  # noqa: A002
    """debt.registered of debt D-<number> of debtor P-<number>."""
    data: Json = {
        "portfolio_id": "cards",
        "debt_ref": f"D-{number}",
        "debtor_ref": f"P-{number}",
        "debtor": {
            "name": "Ana Souza",
            "contact_points": [{"channel": "sms", "address": "+5511987654321"}],
        },
        "principal": "1120.00",
        "currency": "BRL",
        "due_date": "2026-02-20",
    }
    return an_event("debt.registered", data | changes, id=id)


def a_payment(number: int | str = 1, *, id: str | None = None, **changes: Any) -> Json:  # noqa: A002
    """debt.payment_received on debt D-<number>."""
    data = {"debt_ref": f"D-{number}", "amount": "120.00", "currency": "BRL"}
    return an_event("debt.payment_received", data | changes, id=id)


class Doors:
    """The scheduler's application and the keys to it."""

    def __init__(self, scheduler: Scheduler, app: FastAPI, http: httpx.AsyncClient) -> None:  # noqa: TID251 - a type
        self.scheduler = scheduler
        self.pool = scheduler.pool
        self.app = app
        self.http = http
        self.admin = ""
        self.keys: dict[str, str] = {}

    async def call(
        self, method: str, path: str, *, key: str | None = None, **request: Any
    ) -> httpx.Response:
        """One request; `key` None uses acme's own key."""
        headers = {"X-API-Key": key or self.keys[ACME]} | request.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **request)

    async def post(self, event: Json, **request: Any) -> httpx.Response:
        """Post one structured event."""
        headers = {"content-type": "application/cloudevents+json"} | request.pop("headers", {})
        return await self.call(
            "POST", "/v1/events", content=json.dumps(event), headers=headers, **request
        )

    async def batch(self, events: Iterable[Json], **request: Any) -> httpx.Response:
        """Post a batch."""
        headers = {"content-type": "application/cloudevents-batch+json"}
        headers |= request.pop("headers", {})
        return await self.call(
            "POST", "/v1/events", content=json.dumps(list(events)), headers=headers, **request
        )

    async def published(self) -> list[tuple[str, DebtEventBase]]:
        """Debt events in the outbox, in order, with their types."""
        found = []
        for row in await self._outbox(DEBT_EVENTS.name):
            kind = dict(headers_from(row["headers"]))["ce_type"].decode()
            event = msgspec.json.decode(row["value"], type=DEBT_EVENT_TYPES[kind])
            told = getattr(event, "merged_debtor_id", None), event.debtor_id
            assert row["key"] in [str(debtor_id) for debtor_id in told]
            found.append((kind, event))
        return found

    async def facts(self, topic: str) -> list[tuple[str, Json]]:
        """Other facts in the outbox, in order."""
        return [
            (
                dict(headers_from(row["headers"]))["ce_type"].decode(),
                cast("Json", json.loads(row["value"])),
            )
            for row in await self._outbox(topic)
        ]

    async def lane(self) -> list[Hold]:
        """Holds on their lane, in order."""
        rows = await self.pool.fetch("SELECT value FROM hold_outbox ORDER BY id")
        return [msgspec.json.decode(row["value"], type=Hold) for row in rows]

    async def _outbox(self, topic: str) -> list[Any]:
        return await self.pool.fetch(
            "SELECT key, headers, value FROM outbox WHERE topic = $1 ORDER BY generation, xid, id",
            topic,
        )


def settings_for(url: str, **changes: Any) -> SchedulerSettings:
    """Settings of a test: a sandbox, unless it says otherwise."""
    given: dict[str, Any] = {
        "mode": "sandbox",
        "postgres_url": url,
        "kafka_bootstrap": "127.0.0.1:1",
        "identity_keys": "k1:example-identity",
        "address_key": "example-address",
        "http_port": 0,
    }
    return SchedulerSettings(**given | changes)


@asynccontextmanager
async def doors(pool: Pool, settings: SchedulerSettings) -> AsyncIterator[Doors]:
    """The application with two tenants, acme and other, configured through its own API."""
    scheduler = Scheduler(settings, pool)
    async with pool.acquire() as conn:
        await scheduler.clock.refresh(conn)
    await scheduler.configuration.load()
    app = create_app(
        service="scheduler",
        settings=settings,
        auth=scheduler.directory,
        machine_now=scheduler.clock.machine_now,
        routers=scheduler.routers(),
        readiness=dict,
        progress=scheduler.report().progress,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(  # noqa: TID251 - in process: no network, so no limits
        base_url="http://scheduler", transport=transport
    ) as http:
        opened = Doors(scheduler, app, http)
        made = await scheduler.configuration.bootstrap(force_new=True)
        assert made is not None
        opened.admin = made.key
        for tenant in (ACME, OTHER):
            await _configure(opened, tenant)
        await pool.execute("DELETE FROM outbox")
        yield opened
    await scheduler.events.close()


async def _configure(opened: Doors, tenant: str) -> None:
    answer = await opened.call(
        "PUT", f"/v1/config/tenant/{tenant}", key=opened.admin, json={"name": tenant}
    )
    assert answer.status_code in (200, 201), answer.text
    scopes = ["events:write", "config:write", "operator", "read", "admin"]
    made = await opened.call(
        "POST",
        "/v1/api-keys",
        key=opened.admin,
        json={"tenant_id": tenant, "label": "test", "scopes": scopes},
    )
    assert made.status_code == 201, made.text
    opened.keys[tenant] = made.json()["key"]
    for kind, entry_id, body in ENTRIES:
        stored = await opened.call(
            "PUT", f"/v1/config/{kind}/{entry_id}", key=opened.keys[tenant], json=body
        )
        assert stored.status_code in (200, 201), stored.text
