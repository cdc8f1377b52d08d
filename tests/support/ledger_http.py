"""A ledger's HTTP over a real database, with one key per tenant, and a writer beside it."""

import os
from typing import Any

import httpx
import msgspec

from services.contact_ledger import api
from services.contact_ledger.api.reading import Reading
from services.contact_ledger.opening import Opener
from services.contact_ledger.sealing import KeyCache, KeyWrap
from services.contact_ledger.settings import LedgerSettings
from services.contact_ledger.writer import Writer
from shared.directory import Directory
from shared.events.configuration import ApiKey, ConfigEntry, Portfolio
from shared.http.auth import digest_of
from shared.http.client import open_client
from shared.http.server import Progress, create_app
from shared.postgres import Pool
from shared.privacy import Keyring, Sealer
from tests.support.ledger import (
    LOOKUP_KEYS,
    NOW,
    PORTFOLIO,
    TENANT,
    write,
)

KEK = os.urandom(32)
TEXTS = Sealer(os.urandom(32))


class Ledger:
    """A ledger's HTTP with one key per tenant, and a writer into the same database."""

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        wrap, cache, ring = KeyWrap(KEK), KeyCache(), Keyring.parse(LOOKUP_KEYS)
        self.writer = Writer(wrap=wrap, keyring=ring, cache=cache)
        directory = Directory()
        directory.apply(
            [_key(TENANT), _key("other"), _key("*"), _key("blind", scopes=("operator",))]
        )
        directory.apply([_portfolio()])
        reading = Reading(
            # A cache of its own: what readers know came through the database.
            opener=Opener(wrap=wrap, cache=KeyCache(), texts=TEXTS),
            keyring=ring,
            directory=directory,
        )
        reading.attach(pool)
        settings = LedgerSettings(
            mode="sandbox",
            http_port=0,
            kafka_bootstrap="nowhere:1",
            postgres_url=url,
            ledger_kek="example-kek",
            lookup_key="example-lookup",
            text_key="example-text",
        )

        async def progress() -> Progress:
            return Progress(counters={}, pending={})

        self.app = create_app(
            service="contact_ledger",
            settings=settings,
            auth=directory,
            machine_now=lambda: NOW,
            routers=api.routers(reading),
            readiness=lambda: {"ready": True},
            progress=progress,
        )
        self.settings = settings
        self.client = open_client()

    async def get(self, path: str, tenant: str = TENANT, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=headers(tenant))

    async def ok(self, path: str, tenant: str = TENANT, **params: Any) -> Any:
        answer = await self.get(path, tenant, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def search(self, tenant: str = TENANT, **wanted: Any) -> Any:
        answer = await self.client.post("/v1/search", json=wanted, headers=headers(tenant))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def write(self, *facts: Any) -> None:
        await write(self.pool, self.writer, facts)


def headers(tenant: str) -> dict[str, str]:
    return {"X-API-Key": f"key-of-{tenant}"}


def _key(tenant: str, scopes: tuple[str, ...] = ("read",)) -> ConfigEntry:
    body = ApiKey(sha256=digest_of(f"key-of-{tenant}"), scopes=scopes, label="test")
    return _entry("api_key", tenant, f"key-{tenant}", body)


def _portfolio() -> ConfigEntry:
    body = Portfolio(
        creditor_name="Loja Azul",
        collector_role="first_party",
        country="BR",
        currency="BRL",
        locale="pt-BR",
        ladder_id="default",
        accounts={"sms": "main"},
        packs=(),
        zone="America/Sao_Paulo",
    )
    return _entry("portfolio", TENANT, PORTFOLIO, body)


def _entry(kind: str, tenant: str, id_: str, body: msgspec.Struct) -> ConfigEntry:
    return ConfigEntry(
        kind=kind,
        tenant_id=tenant,
        id=id_,
        version=1,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=NOW,
        changed_by="test",
    )
