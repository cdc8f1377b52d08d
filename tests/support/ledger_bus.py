"""A Kafka of a test's own for the ledger's recorder, and lives to record.

In: the run's broker and a suffix. Out: `Bus` (topics, publishing, a running recorder), debtors'
lives as envelopes, and how many entries a ledger has.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.contact_ledger.recorder import Recorder
from services.contact_ledger.writer import Writer
from shared.events.envelope import Envelope
from shared.events.topics import CONTACT_EVENTS, CONTACT_HOLDS, DEBT_EVENTS
from shared.kafka.client import ConsumerSettings
from shared.kafka.consumer import GroupConsumer
from shared.kafka.dead_letters import DeadLetters
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing
from shared.postgres import Pool
from tests.support.bus import until
from tests.support.ledger import Debtor, an_envelope

PARTITIONS = 2

PARTITIONS = 2


class Bus:
    """The run's Kafka with topics of this test's own."""

    def __init__(self, bootstrap: str, suffix: str, producer: Producer) -> None:
        self.bootstrap = bootstrap
        self.suffix = suffix
        self.producer = producer
        self.debts = DEBT_EVENTS.name + suffix
        self.contacts = CONTACT_EVENTS.name + suffix
        self.holds = CONTACT_HOLDS.name + suffix

    async def publish(self, topic: str, envelopes: Sequence[Envelope]) -> None:
        await self.producer.publish(
            [Outgoing(topic, each.key, each.headers(), each.data) for each in envelopes]
        )

    @asynccontextmanager
    async def recording(
        self, pool: Pool, writer: Writer, *, buried_max: int = 1_000
    ) -> AsyncIterator[Recorder]:
        recorder = Recorder(
            pool=pool,
            consumer=GroupConsumer(
                self.bootstrap,
                f"contact_ledger{self.suffix}",
                (self.debts, self.contacts),
                ConsumerSettings(session_timeout_ms=6_000),
            ),
            dead_letters=DeadLetters(self.producer, buried_max),
            writer=writer,
            records_max=500,
        )
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run(stop))
            yield recorder
            stop.set()


def envelope_of(fact: Any) -> Envelope:
    return an_envelope(
        fact.type, fact.data, at=fact.event_time, tenant=fact.tenant_id, event_id=fact.event_id
    )


def lives(count: int) -> tuple[list[Envelope], list[Envelope]]:
    """Debt events and contact facts of `count` debtors."""
    debts, contacts = [], []
    for _ in range(count):
        debtor = Debtor()
        contact = debtor.contact()
        debts.append(envelope_of(debtor.registered()))
        contacts += [
            envelope_of(contact.state(f"contact.{step}"))
            for step in ("planned", "dispatched", "accepted", "sent", "delivered")
        ]
    return debts, contacts


async def entries(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM entry"))


async def wait_for_entries(pool: Pool, count: int) -> None:
    async def there() -> bool:
        return await entries(pool) == count

    await until(there)
