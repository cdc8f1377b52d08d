"""Two debtors in two shards that turn out to be one, and the topic between the shards.

In: two cases on one database. Out: `Pair`: `merge` tells both, `pump` carries what was handed over.
"""

from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.scheduler import planning
from services.scheduler.intake.stops import holds_of
from services.scheduler.policy.state import DebtorState
from services.scheduler.store import holds as hold_store
from shared.events.contact import ContactAttempted, Item
from shared.events.debt import DebtorMerged
from shared.events.envelope import Envelope, encode
from shared.events.identities import fact_id
from shared.postgres.outbox import headers_from
from tests.integration.scheduler.planning_case import (
    MONDAY_NOON,
    Case,
    registered,
)

MERGE = uuid4()


class Pair:
    """A merged debtor in one shard, its survivor in another, and the topic between them."""

    def __init__(self, here: Case, there: Case) -> None:
        self.here = here  # the survivor's shard
        self.there = there  # the merged debtor's
        self.old_debt, self.new_debt = uuid4(), uuid4()
        self.old, self.new = registered(debt_id=self.old_debt), registered(debt_id=self.new_debt)
        self.seen = 0

    @property
    def merged(self) -> UUID:
        return self.old.debtor_id

    @property
    def survivor(self) -> UUID:
        return self.new.debtor_id

    async def merge(self) -> None:
        """Do what intake does (tests/integration/scheduler/api proves that): holds, two events."""
        event = DebtorMerged(
            debtor_id=self.survivor,
            occurred_at=MONDAY_NOON,
            recorded_at=MONDAY_NOON,
            merged_debtor_id=self.merged,
        )
        holds = holds_of(
            "debtor.merged.v1", event, event_id=MERGE, tenant_id="acme", address_key=b"key"
        )
        async with self.here.pool.transaction() as conn:
            await hold_store.place(conn, holds)
        copy = msgspec.structs.replace(event, cause_event_id=MERGE)
        told = fact_id(MERGE, "debtor.merged.v1", str(self.merged))
        await self.here.fold(told_to(self.survivor, event, MERGE))
        await self.there.fold(told_to(self.merged, copy, told))

    async def pump(self) -> list[str]:
        """Bring what the shards put on debt.events.v1 to whom it is keyed; return its types."""
        rows = await self.here.pool.fetch(
            "SELECT headers, value FROM outbox WHERE topic = 'debt.events.v1' ORDER BY xid, id"
        )
        new, self.seen = rows[self.seen :], len(rows)
        found = [
            Envelope.from_record(dict(headers_from(row["headers"])), row["value"]) for row in new
        ]
        for envelope in found:
            read = planning.read(envelope)
            assert read is not None
            await (self.there if read.debtor_id == self.merged else self.here).fold(read)
        return [envelope.type for envelope in found]

    async def survivor_state(self) -> DebtorState:
        return await self.here.state(self.survivor)

    async def holds(self) -> set[tuple[str, str]]:
        rows = await self.here.pool.fetch("SELECT subject, state FROM hold")
        return {(row["subject"], row["state"]) for row in rows}


def told_to(debtor_id: UUID, event: DebtorMerged, event_id: UUID) -> planning.Incoming:
    read = planning.read(
        Envelope(
            id=event_id,
            type="debtor.merged.v1",
            source="regua/scheduler",
            time=MONDAY_NOON,
            key=str(debtor_id),
            tenant_id="acme",
            data=encode(event),
        )
    )
    assert read is not None
    return read


def a_fact(contact: dict[str, Any], debt_id: UUID, **changes: Any) -> ContactAttempted:
    fields: dict[str, Any] = {
        "contact_id": contact["contact_id"],
        "debtor_id": contact["debtor_id"],
        "portfolio_id": "loja",
        "channel": "sms",
        "items": (Item(debt_id=debt_id, episode=1, step_key="d1-notice", stage=1),),
        "at": MONDAY_NOON,
        "machine_at": MONDAY_NOON,
        "attempt_id": contact["contact_id"],
        "n": 1,
        "provider": "twilio",
        "account_id": "sms",
    }
    return ContactAttempted(**fields | changes)


def about(contact: dict[str, Any], kind: type[Any], **fields: Any) -> Any:
    return kind(
        contact_id=contact["contact_id"],
        debtor_id=contact["debtor_id"],
        portfolio_id="loja",
        channel="sms",
        at=MONDAY_NOON,
        machine_at=MONDAY_NOON,
        **fields,
    )
