"""The OpenAPI document of each service, as its own application generates it.

In: every service's application, made from example settings with nothing opened: no database, no
broker, no provider. Out: `docs/openapi/<service>.json`, the very document that the running service
answers at /openapi.json.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import aiohttp
from fastapi import FastAPI

from services.contact_ledger.app import Ledger
from services.contact_ledger.settings import LedgerSettings
from services.email_sender.channel import EMAIL
from services.email_sender.settings import EmailSenderSettings
from services.scheduler.app import Scheduler
from services.scheduler.settings import SchedulerSettings
from services.sms_sender.channel import SMS
from services.sms_sender.settings import SmsSenderSettings
from services.whatsapp_sender.channel import WHATSAPP
from services.whatsapp_sender.settings import WhatsAppSenderSettings
from shared.postgres import Pool
from shared.sender.channel import Channel
from shared.sender.parts import Sender
from shared.sender.service import application
from shared.sender.settings import SenderSettings
from shared.settings import ServiceSettings

# Whatever a service cannot start without; no address in it is ever called.
EXAMPLE_SETTINGS = {
    "mode": "sandbox",
    "kafka_bootstrap": "kafka.example:9092",
    "postgres_url": "postgresql://regua@postgres.example/regua",
    "address_key": "example-address",
    "text_key": "example-text",
    "callback_key": "example-callback",
    "identity_keys": "k1:example-identity",
    "ledger_kek": "example-kek",
    "lookup_key": "k1:example-lookup",
}
NOT_OPEN: Any = None  # what a document does not need

S = TypeVar("S", bound=ServiceSettings)
Document = dict[str, Any]


def settings(cls: type[S]) -> S:
    """Return settings of a service that never starts."""
    read = cls.model_fields.keys()
    given: dict[str, Any] = {name: EXAMPLE_SETTINGS[name] for name in read & EXAMPLE_SETTINGS}
    return cls(**given)


async def _scheduler() -> FastAPI:
    pool = cast("Pool", NOT_OPEN)
    return Scheduler(settings(SchedulerSettings), pool).application(dict)


async def _contact_ledger() -> FastAPI:
    return Ledger(settings(LedgerSettings)).application(dict)


def _sender(channel: Channel[Any], cls: type[SenderSettings]) -> Callable[[], Awaitable[FastAPI]]:
    async def made() -> FastAPI:
        pool, client = cast("Pool", NOT_OPEN), cast("aiohttp.ClientSession", NOT_OPEN)
        return application(Sender(channel, settings(cls), pool, client), dict)

    return made


APPLICATIONS: dict[str, Callable[[], Awaitable[FastAPI]]] = {
    "scheduler": _scheduler,
    "sms_sender": _sender(SMS, SmsSenderSettings),
    "email_sender": _sender(EMAIL, EmailSenderSettings),
    "whatsapp_sender": _sender(WHATSAPP, WhatsAppSenderSettings),
    "contact_ledger": _contact_ledger,
}


def document(service: str) -> Document:
    """Return the OpenAPI document of one service."""

    async def made() -> Document:
        return (await APPLICATIONS[service]()).openapi()

    return asyncio.run(made())
