"""Two debtors turn out to be one: contact stops, debts move, nothing is repeated."""

from datetime import timedelta
from typing import cast

import msgspec

from services.scheduler.explaining import explain_debtor
from services.scheduler.rulebooks import Rulebooks
from shared.events.contact import ContactDecided
from shared.events.hold import subject_of
from shared.events.identities import time_ordered_id
from shared.events.states import ContactState
from tests.integration.scheduler.merging_case import Pair, a_fact, about
from tests.integration.scheduler.planning_case import (
    MONDAY_NOON,
    incoming,
    registered,
    subject_of_address,
)

TUESDAY_NOON = MONDAY_NOON + timedelta(days=1)


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
