"""Facts as services state them, and a ledger's database: one builder per noun."""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.contact_ledger.facts import Fact, read
from services.contact_ledger.sealing import KeyCache, KeyWrap
from services.contact_ledger.store import feed
from services.contact_ledger.writer import Writer, Written
from shared.events.contact import (
    CONTACT_FACT_TYPES,
    ContactAttempted,
    ContactDecided,
    ContactFactBase,
    ContactReceipt,
    ContactReply,
    Item,
    Reason,
)
from shared.events.debt import (
    ContactPoint,
    DebtorFacts,
    DebtRegistered,
    PaymentReceived,
    PromiseMade,
)
from shared.events.envelope import Envelope, encode
from shared.kafka.records import Record
from shared.postgres import Pool
from shared.privacy import Keyring

TENANT = "acme"
PORTFOLIO = "loja-azul"
NOW = datetime(2026, 3, 10, 14, 0, tzinfo=UTC)
LOOKUP_KEYS = "k1:example-lookup"


def an_envelope(
    type_: str,
    data: msgspec.Struct,
    *,
    at: datetime = NOW,
    tenant: str = TENANT,
    event_id: UUID | None = None,
    source: str = "regua/tests",
) -> Envelope:
    """One event in its envelope; its law time is `at`."""
    return Envelope(
        id=event_id or uuid4(),
        type=type_,
        source=source,
        time=at,
        key=str(getattr(data, "debtor_id", "nobody")),
        tenant_id=tenant,
        data=encode(data),
    )


def a_record(envelope: Envelope, *, offset: int = 0, topic: str = "contact.events.v1") -> Record:
    """The envelope as a consumer sees it."""
    return Record(
        topic=topic,
        partition=0,
        offset=offset,
        key=envelope.key,
        headers=dict(envelope.headers()),
        value=envelope.data,
        timestamp_ms=int(NOW.timestamp() * 1000),
    )


def a_fact(type_: str, data: msgspec.Struct, **how: Any) -> Fact:
    """One event, read as the recorder reads it."""
    return read(a_record(an_envelope(type_, data, **how)))


class Debtor:
    """A debtor with one debt: states facts about itself, each with a random event id."""

    def __init__(self, *, tenant: str = TENANT, portfolio: str = PORTFOLIO) -> None:
        self.tenant = tenant
        self.portfolio = portfolio
        self.debtor_id = uuid4()
        self.debt_id = uuid4()

    def fact(self, type_: str, data: msgspec.Struct, at: datetime) -> Fact:
        """State anything."""
        return a_fact(type_, data, at=at, tenant=self.tenant)

    def registered(self, at: datetime = NOW, **more: Any) -> Fact:
        """The debt enters; `debtor`, `debt_ref` and figures may be given."""
        facts = DebtorFacts(
            debtor_ref=f"C-{self.debtor_id}",
            name="Ana Prado",
            contact_points=(ContactPoint(channel="sms", address="+5511987654321"),),
        )
        base: dict[str, Any] = {
            "debtor": facts,
            "debt_ref": f"D-{self.debt_id}",
            "principal": 112000,
            "currency": "BRL",
            "due_date": at.date(),
        }
        return self.fact("debt.registered.v1", self._event(DebtRegistered, at, base | more), at)

    def promised(self, at: datetime, due: date, amount: int, **more: Any) -> Fact:
        """A promise reported by the client."""
        data = {"amount": amount, "currency": "BRL", "due_date": due} | more
        return self.fact("debt.promise_made.v1", self._event(PromiseMade, at, data), at)

    def paid(self, at: datetime, amount: int) -> Fact:
        """A payment."""
        data = {"amount": amount, "currency": "BRL", "paid_at": at}
        return self.fact("debt.payment_received.v1", self._event(PaymentReceived, at, data), at)

    def contact(self, contact_id: UUID | None = None, channel: str = "sms") -> "Contact":
        """A contact about the debt."""
        return Contact(self, contact_id or uuid4(), channel)

    def event(self, shape: type[Any], at: datetime, /, **data: Any) -> Any:
        """The data of any debt event."""
        return self._event(shape, at, data)

    def _event(self, shape: type[Any], at: datetime, data: dict[str, Any]) -> Any:
        return shape(
            debtor_id=self.debtor_id,
            debt_id=data.pop("debt_id", self.debt_id),
            portfolio_id=self.portfolio,
            occurred_at=at,
            recorded_at=at,
            **data,
        )


class Contact:
    """A contact of a debtor: states facts about itself."""

    def __init__(self, debtor: Debtor, contact_id: UUID, channel: str) -> None:
        self.debtor = debtor
        self.contact_id = contact_id
        self.channel = channel
        self.attempt_id = uuid4()
        item = Item(debt_id=debtor.debt_id, episode=1, step_key="reminder", stage=1)
        self.items: tuple[Item, ...] = (item,)

    def state(self, type_: str, at: datetime = NOW, **more: Any) -> Fact:
        """The fact `type_` (without version), with everything that its shape asks for."""
        shape = CONTACT_FACT_TYPES[f"{type_}.v1"]
        data: dict[str, Any] = {
            "contact_id": self.contact_id,
            "debtor_id": self.debtor.debtor_id,
            "portfolio_id": self.debtor.portfolio,
            "channel": self.channel,
            "items": self.items,
            "at": at,
            "machine_at": at,
        }
        return self.debtor.fact(f"{type_}.v1", shape(**(data | self._shaped(shape, at) | more)), at)

    def _shaped(self, shape: type[msgspec.Struct], at: datetime) -> dict[str, Any]:
        if shape is ContactDecided:
            return {
                "step_key": "reminder",
                "stage": 1,
                "local_date": at.date(),
                "reasons": (Reason(rule="ladder.step", version="1", verdict="due"),),
            }
        sent = {"provider": "twilio", "account_id": "main"}
        if shape is ContactAttempted:
            return sent | {"attempt_id": self.attempt_id, "n": 1}
        if shape is ContactReceipt:
            return sent | {"attempt_id": self.attempt_id}
        if shape is ContactReply:
            return sent | {"reply_id": uuid4(), "intent": "other", "confident": True}
        return {}


def a_writer(cache: KeyCache | None = None, wrap: KeyWrap | None = None) -> Writer:
    """A writer with keys of its own."""
    return Writer(
        wrap=wrap or KeyWrap(os.urandom(32)),
        keyring=Keyring.parse(LOOKUP_KEYS),
        cache=cache if cache is not None else KeyCache(),
    )


async def write(pool: Pool, writer: Writer, facts: Sequence[Fact]) -> Written:
    """Write one batch as the recorder does, offsets aside."""
    await writer.prepare(pool, facts)
    async with pool.acquire() as conn:
        await feed.ensure_generation(conn)
        async with conn.transaction():
            written = await writer.write(conn, facts)
    writer.remember(written)
    return written


def days(number: float) -> timedelta:
    """So many days."""
    return timedelta(days=number)


__all__ = [
    "NOW",
    "PORTFOLIO",
    "TENANT",
    "Contact",
    "ContactFactBase",
    "Debtor",
    "a_fact",
    "a_record",
    "a_writer",
    "an_envelope",
    "days",
    "write",
]
