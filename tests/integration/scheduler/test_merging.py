"""Two debtors in two shards turn out to be one: contact stops, debts move, nothing is repeated."""

from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import pytest

from services.scheduler import planning
from services.scheduler.explaining import explain_debtor
from services.scheduler.intake.stops import holds_of
from services.scheduler.policy.state import DebtorState
from services.scheduler.rulebooks import Rulebooks
from services.scheduler.store import holds as hold_store
from services.scheduler.work_items import WorkItems
from shared.events.contact import ContactAttempted, ContactDecided, ContactReply, Item
from shared.events.debt import DebtorMerged, HoldLifted, HoldPlaced, PaymentReceived
from shared.events.envelope import Envelope, encode
from shared.events.hold import subject_of
from shared.events.identities import fact_id, time_ordered_id
from shared.events.states import ContactState
from shared.postgres.outbox import headers_from
from tests.integration.scheduler.planning_case import (
    MONDAY_NOON,
    Case,
    incoming,
    registered,
    subject_of_address,
)

MERGE = uuid4()
TUESDAY_NOON = MONDAY_NOON + timedelta(days=1)


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


@pytest.fixture
async def pair(case: Case) -> Pair:
    return Pair(case, await Case.taken(case.pool, shard=1))


async def test_debts_and_contacts_move_and_steps_taken_stay_taken(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.there.dispatch_at_noon()
    (sent,) = await pair.there.contacts(pair.merged)
    await pair.there.fold(incoming("contact.accepted.v1", a_fact(sent, pair.old_debt)))
    before = (await pair.there.state(pair.merged)).debts[str(pair.old_debt)]

    await pair.merge()
    assert await pair.pump() == ["debtor.absorbed.v1"]

    state = await pair.survivor_state()
    moved = state.debts[str(pair.old_debt)]
    assert (moved.episode, moved.stage, moved.steps) == (before.episode, before.stage, before.steps)
    assert moved.steps["d1-notice"].state == "sent"
    assert list(state.contacts) == [str(sent["contact_id"])]
    assert state.name == "Maria Teste"
    assert [point.address for point in state.points] == ["+5511987654321"]
    row = await pair.here.pool.fetchrow("SELECT * FROM debt WHERE debt_id = $1", pair.old_debt)
    assert row is not None
    assert (row["debtor_id"], row["stage"]) == (pair.survivor, before.stage)
    gone = await pair.there.state(pair.merged)
    assert (gone.debts, gone.points, gone.name) == ({}, [], None)
    assert gone.merged_into == pair.survivor
    async with pair.here.pool.acquire() as conn:
        answer = await explain_debtor(
            conn,
            cast("Rulebooks", pair.here),
            tenant_id="acme",
            debtor_id=pair.merged,
            address_subject_of=subject_of_address,
        )
    assert str(pair.old_debt) in msgspec.json.encode(answer).decode()  # the survivor's answer
    assert {hold_state for _, hold_state in await pair.holds()} == {"lifted"}


async def test_the_merged_ones_contacts_count_in_the_survivors_caps(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.there.dispatch_at_noon()
    (sent,) = await pair.there.contacts(pair.merged)
    await pair.there.fold(incoming("contact.accepted.v1", a_fact(sent, pair.old_debt)))
    await pair.merge()
    await pair.here.fold(incoming("debt.registered.v1", pair.new))
    assert await pair.here.contacts(pair.survivor) == []  # silent until everything is here

    await pair.pump()
    assert await pair.here.contacts(pair.survivor) == []  # one a day, and today's is used up

    await pair.here.set_law(TUESDAY_NOON)
    assert await pair.here.wake() == 1
    (contact,) = await pair.here.contacts(pair.survivor)
    assert contact["state"] == ContactState.DISPATCHED


async def test_what_is_planned_is_cancelled_and_planned_anew_for_the_survivor(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    (planned,) = await pair.there.contacts(pair.merged)
    await pair.merge()
    (ended,) = await pair.there.contacts(pair.merged)
    assert (planned["state"], ended["state"]) == (ContactState.PLANNED, ContactState.CANCELLED)

    await pair.pump()

    (anew,) = await pair.here.contacts(pair.survivor)
    assert anew["state"] == ContactState.PLANNED
    assert anew["contact_id"] != ended["contact_id"]
    await pair.here.dispatch_at_noon()
    task = (await pair.here.envelopes("contact.task.v1"))[-1].data.decode()
    for person in (pair.merged, pair.survivor):  # a hold on either stops it
        assert subject_of("debtor", "acme", str(person)) in task


async def test_a_contact_at_its_sender_is_asked_back_and_its_end_is_forwarded(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.there.dispatch_at_noon()
    (open_one,) = await pair.there.contacts(pair.merged)
    await pair.merge()
    (request,) = await pair.there.envelopes("contact.close_requested.v1")
    assert (request.key, b"debtor_merged" in request.data) == (str(pair.merged), True)
    await pair.pump()
    assert len(await pair.here.contacts(pair.survivor)) == 0  # its step is on its way

    ended = about(open_one, ContactDecided, step_key="d1-notice", stage=1)
    fact = incoming("contact.cancelled.v1", ended, source="regua/sms_sender")
    await pair.there.fold(fact)
    assert await pair.pump() == ["contact.cancelled.v1"]

    (old,) = await pair.there.contacts(pair.merged)
    assert old["state"] == ContactState.CANCELLED
    (anew,) = await pair.here.contacts(pair.survivor)
    assert (await pair.survivor_state()).contacts[str(anew["contact_id"])].k == 2
    forwarded = (await pair.here.envelopes("contact.cancelled.v1"))[-1]
    assert (forwarded.id, forwarded.time) == (fact.envelope.id, fact.envelope.time)  # one entry


async def test_an_answer_under_the_old_id_is_understood_by_the_survivor(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.there.dispatch_at_noon()
    (sent,) = await pair.there.contacts(pair.merged)
    await pair.merge()
    items = (Item(debt_id=pair.old_debt, episode=1, step_key="d1-notice", stage=1),)
    reply = about(
        sent,
        ContactReply,
        items=items,
        reply_id=uuid4(),
        provider="twilio",
        account_id="sms",
        intent="promise",
        confident=True,
        promise_date=date(2027, 3, 12),
    )
    for kind, fact in (
        ("contact.accepted.v1", a_fact(sent, pair.old_debt)),
        ("contact.replied.v1", reply),
    ):
        await pair.there.fold(incoming(kind, fact, source="regua/sms_sender"))

    assert await pair.pump() == ["debtor.absorbed.v1", "contact.accepted.v1", "contact.replied.v1"]

    debt = (await pair.survivor_state()).debts[str(pair.old_debt)]
    assert debt.steps["d1-notice"].state == "sent"
    assert [promise.due for promise in debt.promises.values()] == [date(2027, 3, 12)]


async def test_events_that_reach_the_survivor_first_are_joined(pair: Pair) -> None:
    """Among them a registration: without its stage, which the database would refuse to lower."""
    old = msgspec.structs.replace(pair.old, stage=2)
    await pair.there.fold(incoming("debt.registered.v1", old))
    await pair.merge()
    paid = PaymentReceived(
        debtor_id=pair.survivor,
        debt_id=pair.old_debt,
        portfolio_id="loja",
        occurred_at=MONDAY_NOON,
        recorded_at=MONDAY_NOON,
        amount=112_000,
        currency="BRL",
        paid_at=MONDAY_NOON,
    )
    again = registered(debtor_id=pair.survivor, debt_id=pair.old_debt, principal=112_500)
    await pair.here.fold(
        incoming("debt.payment_received.v1", paid), incoming("debt.registered.v1", again)
    )

    await pair.pump()

    debt = (await pair.survivor_state()).debts[str(pair.old_debt)]
    assert (debt.stage, debt.paid()) == (2, 112_000)
    row = await pair.here.pool.fetchrow("SELECT * FROM debt WHERE debt_id = $1", pair.old_debt)
    assert row is not None
    assert (row["debtor_id"], row["stage"]) == (pair.survivor, 2)


async def test_everything_told_again_changes_nothing(pair: Pair) -> None:
    first = incoming("debt.registered.v1", pair.old)
    await pair.there.fold(first)
    await pair.here.fold(incoming("debt.registered.v1", pair.new))
    await pair.merge()
    await pair.pump()
    state, holds = await pair.survivor_state(), await pair.holds()
    contacts = await pair.here.contacts(pair.survivor)

    await pair.there.fold(first)
    await pair.merge()
    pair.seen = 0
    await pair.pump()

    assert await pair.survivor_state() == state
    assert await pair.here.contacts(pair.survivor) == contacts
    assert await pair.holds() == holds


async def test_a_hold_on_the_merged_person_binds_the_survivor_until_it_is_lifted(
    pair: Pair,
) -> None:
    placed = HoldPlaced(
        debtor_id=pair.merged,
        occurred_at=MONDAY_NOON,
        recorded_at=MONDAY_NOON,
        reason="attorney",
    )
    told = incoming("debtor.hold_placed.v1", placed)
    by_operator = subject_of("debtor", "acme", str(pair.merged))
    operators = hold_store.NewHold(
        hold_id=uuid4(), tenant_id="acme", scope="debtor", subject=by_operator, reason="asked"
    )
    holds = holds_of(
        "debtor.hold_placed.v1",
        placed,
        event_id=told.envelope.id,
        tenant_id="acme",
        address_key=b"key",
    )
    async with pair.there.pool.transaction() as conn:
        await hold_store.place(conn, [*holds, operators])
    await pair.there.fold(incoming("debt.registered.v1", pair.old), told)
    await pair.merge()
    await pair.pump()
    assert await pair.here.contacts(pair.survivor) == []

    over = HoldLifted(
        debtor_id=pair.survivor,
        occurred_at=TUESDAY_NOON,
        recorded_at=TUESDAY_NOON,
        reason="attorney",
    )
    await pair.here.fold(incoming("debtor.hold_lifted.v1", over))
    active = await pair.here.pool.fetch("SELECT hold_id FROM hold WHERE state = 'active'")
    assert [row["hold_id"] for row in active] == [operators.hold_id]
    assert await pair.here.contacts(pair.survivor) == []  # the operator's own hold still binds


async def test_a_decision_about_the_merged_ones_item_follows_it(pair: Pair) -> None:
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.merge()
    await pair.pump()
    item = uuid4()
    await pair.there.pool.execute(
        """INSERT INTO work_item (work_item_id, tenant_id, kind, state, debtor_id, debt_id,
                                  reasons, opened_at, episode, step_key)
           VALUES ($1, 'acme', 'mandatory_failed', 'open', $2, $3, '[]', now(), 1, 'd1-notice')""",
        item,
        pair.merged,
        pair.old_debt,
    )
    await WorkItems(pair.there.pool, wake=lambda: None).decide(
        tenant_id="acme", work_item_id=item, actor="ana", decision="waive", note=None
    )
    (fact,) = await pair.there.envelopes("work_item.closed.v1")
    read = planning.read(fact)
    assert read is not None
    assert read.debtor_id == pair.merged
    await pair.there.fold(read)
    assert await pair.pump() == ["work_item.closed.v1"]
    debt = (await pair.survivor_state()).debts[str(pair.old_debt)]
    assert debt.steps["d1-notice"].state == "waived"


async def test_a_large_debtor_comes_in_parts(pair: Pair) -> None:
    long_ref = "f" * 2_000
    debts = [
        registered(debtor_id=pair.merged, debt_id=time_ordered_id(), debt_ref=f"{long_ref}{n}")
        for n in range(250)
    ]
    await pair.there.fold(*(incoming("debt.registered.v1", debt) for debt in debts))
    await pair.merge()

    kinds = await pair.pump()

    assert len(kinds) > 1
    assert set(kinds) == {"debtor.absorbed.v1"}
    state = await pair.survivor_state()
    assert len(state.debts) == len(debts)
    assert (state.absorbed, state.absorbing) == ([str(pair.merged)], {})
    count = await pair.here.pool.fetchval(
        "SELECT count(*) FROM debt WHERE debtor_id = $1", pair.survivor
    )
    assert count == len(debts)


async def test_somebody_nobody_knew_is_merged_too(pair: Pair) -> None:
    await pair.here.fold(incoming("debt.registered.v1", pair.new))
    await pair.merge()
    (contact,) = await pair.here.contacts(pair.survivor)
    assert contact["state"] == ContactState.CANCELLED
    await pair.pump()
    assert {hold_state for _, hold_state in await pair.holds()} == {"lifted"}
    states = [c["state"] for c in await pair.here.contacts(pair.survivor)]
    assert sorted(states) == [ContactState.PLANNED, ContactState.CANCELLED]
