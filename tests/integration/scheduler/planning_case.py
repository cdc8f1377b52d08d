"""A shard to plan on: real tables, a small rulebook, one way to fold, wake and dispatch.

In: a migrated database in sandbox mode. Out: `Case`, whose methods are the transactions that a
shard's worker runs, without Kafka around them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.scheduler.dispatcher import Dispatch
from services.scheduler.planning import Incoming, plan_due, plan_events
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.packs import load_pack
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState
from services.scheduler.policy.state import decode as decode_state
from services.scheduler.store import debtors, shards
from services.scheduler.working_set import WorkingSet
from shared.events.configuration import Portfolio, SenderAccount, Template
from shared.events.debt import ContactPoint, DebtorFacts, DebtRegistered, Place
from shared.events.envelope import Envelope, encode
from shared.postgres.connection import Pool
from shared.postgres.outbox import headers_from

POLICY = Path(__file__).parents[3] / "services" / "scheduler"
MONDAY_DAWN = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)  # 06:00 in São Paulo: not yet lawful
MONDAY_NOON = datetime(2027, 3, 1, 15, 0, tzinfo=UTC)  # 12:00 in São Paulo
SHARD = 0


def subject_of_address(tenant_id: str, channel: str, _address: str) -> str:
    """Everybody's address has one subject here."""
    return f"address:{tenant_id}:{channel}:digest"


def rulebook() -> Rulebook:
    """The shipped Brazilian ladder and pack, one portfolio, one account."""
    ladder = load_ladder((POLICY / "ladders" / "br-consumer-standard.yaml").read_text())
    names = {name for step in ladder.steps for name in step.templates.values()}
    template = Template(
        channel="sms", content_class="utility", texts={"pt-BR": "{amount} para {creditor_name}"}
    )
    return Rulebook(
        tenant_id="acme",
        portfolios={"loja": (1, _portfolio())},
        ladders={ladder.id: (1, ladder)},
        packs={"br-default": (1, load_pack((POLICY / "packs" / "br-default.yaml").read_text()))},
        templates=dict.fromkeys(names, (1, template)),
        accounts={"sms": (1, _account())},
    )


def registered(**changes: Any) -> DebtRegistered:
    """A debt of 1,120.00 BRL, due yesterday, of somebody in São Paulo."""
    fields: dict[str, Any] = {
        "debtor_id": uuid4(),
        "occurred_at": MONDAY_NOON,
        "recorded_at": MONDAY_NOON,
        "debt_id": uuid4(),
        "portfolio_id": "loja",
        "debt_ref": "fatura-1",
        "principal": 112_000,
        "currency": "BRL",
        "due_date": date(2027, 2, 28),
        "debtor": DebtorFacts(
            name="Maria Teste",
            kind="person",
            locale="pt-BR",
            places=(Place(country="BR", subdivision="SP", zone="America/Sao_Paulo"),),
            contact_points=(
                ContactPoint(channel="sms", address="+5511987654321", consent="granted"),
            ),
        ),
    }
    return DebtRegistered(**fields | changes)


def incoming(kind: str, event: msgspec.Struct, *, source: str = "regua/scheduler") -> Incoming:
    """Wrap an event as the planner receives it."""
    debtor_id: UUID = event.debtor_id  # type: ignore[attr-defined]
    envelope = Envelope(
        id=uuid4(),
        type=kind,
        source=source,
        time=MONDAY_NOON,
        key=str(debtor_id),
        tenant_id="acme",
        data=encode(event),
    )
    return Incoming(envelope, event, debtor_id)


class Case:
    """One owned shard."""

    def __init__(self, pool: Pool, epoch: int, shard: int = SHARD) -> None:
        self.pool = pool
        self.shard = shard
        self.epoch = epoch
        self.rules = rulebook()
        self.rate = 1_000.0
        self.dispatcher = Dispatch(
            rulebook_of=lambda _: self.rules,
            rate_of=lambda _tenant, _account: self.rate,
            address_subject_of=subject_of_address,
            shards=1,
        )

    @classmethod
    async def taken(cls, pool: Pool, shard: int = SHARD) -> "Case":
        """Take the shard over and stand at Monday's dawn: what is planned waits for the window."""
        async with pool.acquire() as conn:
            position = await shards.take_over(
                conn, partition=shard, owner="test", cluster_id="cluster"
            )
            await conn.execute("SELECT platform.set_law_now($1)", MONDAY_DAWN)
        return cls(pool, position.epoch, shard)

    def of(self, _tenant_id: str) -> Rulebook:
        """The rulebook of every tenant."""
        return self.rules

    @asynccontextmanager
    async def fenced(self) -> AsyncIterator[WorkingSet]:
        """A transaction that begins with our lock on the shard."""
        async with self.pool.transaction() as conn:
            await shards.lock_shard(conn, partition=self.shard, epoch=self.epoch)
            law, machine = await shards.clocks(conn)
            yield WorkingSet(
                conn,
                partition=self.shard,
                law=law,
                machine=machine,
                address_subject_of=self.dispatcher.address_subject_of,
            )

    async def fold(self, *events: Incoming) -> None:
        """Fold events as one batch."""
        async with self.fenced() as ws:
            await plan_events(ws, events, self.dispatcher)

    async def dispatch(self) -> int:
        """Dispatch one page."""
        async with self.fenced() as ws:
            return await self.dispatcher.page(ws)

    async def dispatch_at_noon(self) -> int:
        """Let it be noon, and dispatch one page."""
        await self.set_law(MONDAY_NOON)
        return await self.dispatch()

    async def wake(self) -> int:
        """Decide for debtors whose instant has come."""
        async with self.fenced() as ws:
            due = await debtors.due_debtors(ws.conn, partition=self.shard, now=ws.law, limit=100)
            await plan_due(ws, due, self.dispatcher)
        return len(due)

    async def set_law(self, law_now: datetime) -> None:
        """Step the law clock."""
        await self.pool.fetchval("SELECT platform.set_law_now($1)", law_now)

    async def contacts(self, debtor_id: UUID) -> list[dict[str, Any]]:
        """Contact rows of one debtor, oldest first."""
        rows = await self.pool.fetch(
            "SELECT * FROM contact WHERE debtor_id = $1 ORDER BY not_after, contact_id", debtor_id
        )
        return [dict(row.items()) for row in rows]

    async def state(self, debtor_id: UUID) -> DebtorState:
        """One debtor's folded state."""
        return decode_state(
            await self.pool.fetchval("SELECT state FROM debtor WHERE debtor_id = $1", debtor_id)
        )

    async def envelopes(self, kind: str) -> list[Envelope]:
        """Everything of one type in the outbox, in order, as consumers read it."""
        rows = await self.pool.fetch("SELECT headers, value FROM outbox ORDER BY xid, id")
        found = [Envelope.from_record(dict(headers_from(r["headers"])), r["value"]) for r in rows]
        return [envelope for envelope in found if envelope.type == kind]

    async def published(self, debtor_id: UUID) -> list[str]:
        """Types of everything put into the outbox for one debtor, in order."""
        rows: Sequence[Any] = await self.pool.fetch(
            "SELECT * FROM outbox WHERE key = $1 ORDER BY xid, id", str(debtor_id)
        )
        return [headers_of(row)["ce_type"] for row in rows]


def headers_of(row: Any) -> dict[str, str]:
    """Headers of an outbox row, as text."""
    return {name: value.decode() for name, value in headers_from(row["headers"])}


def _portfolio() -> Portfolio:
    return Portfolio(
        creditor_name="Casa Aurora",
        collector_role="first_party",
        country="BR",
        currency="BRL",
        locale="pt-BR",
        ladder_id="br-consumer-standard",
        accounts={"sms": "sms"},
        packs=("br-default",),
        zone="America/Sao_Paulo",
    )


def _account() -> SenderAccount:
    return SenderAccount(
        channel="sms",
        provider="twilio",
        sender="+5511940000001",
        rate_per_second=1_000.0,
        credentials={"account_sid": "env:SID", "auth_token": "env:TOKEN"},
    )
