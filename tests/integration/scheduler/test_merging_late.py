"""What comes around a merge: under the old id, to the survivor first, twice, or from people."""

from datetime import date, timedelta
from uuid import uuid4

import msgspec

from services.scheduler import planning
from services.scheduler.intake.stops import holds_of
from services.scheduler.store import holds as hold_store
from services.scheduler.work_items import WorkItems
from shared.events.contact import ContactReply, Item
from shared.events.debt import HoldLifted, HoldPlaced, PaymentReceived
from shared.events.hold import subject_of
from tests.integration.scheduler.merging_case import Pair, a_fact, about
from tests.integration.scheduler.planning_case import (
    MONDAY_NOON,
    incoming,
    registered,
)

TUESDAY_NOON = MONDAY_NOON + timedelta(days=1)


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
