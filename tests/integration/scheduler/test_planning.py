"""Planner and dispatcher on real tables: one slot, one permit, no step back, no stale owner."""

from datetime import timedelta

import pytest

from services.scheduler.store import shards
from shared.events.contact import ContactAttempted, ContactDecided
from shared.events.debt import PaymentReceived
from shared.events.envelope import decode
from shared.events.states import ContactState
from shared.postgres.connection import CheckViolation, UniqueViolation
from tests.integration.scheduler.planning_case import MONDAY_NOON, Case, incoming, registered


async def test_a_due_debt_is_planned_and_handed_over_with_a_permit(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    (planned,) = await case.contacts(event.debtor_id)
    assert planned["state"] == ContactState.PLANNED

    assert await case.dispatch_at_noon() == 1
    (handed,) = await case.contacts(event.debtor_id)
    assert handed["state"] == ContactState.DISPATCHED
    assert handed["task"] is not None
    assert handed["not_after"] == MONDAY_NOON.replace(hour=23)  # 20:00 in São Paulo
    assert await case.published(event.debtor_id) == [
        "contact.planned.v1",
        "contact.task.v1",
        "contact.dispatched.v1",
    ]


async def test_what_is_due_when_planned_goes_out_at_once(case: Case) -> None:
    await case.set_law(MONDAY_NOON)
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    (handed,) = await case.contacts(event.debtor_id)
    assert handed["state"] == ContactState.DISPATCHED
    assert await case.dispatch() == 0
    assert await case.published(event.debtor_id) == ["contact.task.v1", "contact.dispatched.v1"]
    (told,) = await case.envelopes("contact.dispatched.v1")
    rules = [reason.rule for reason in decode(told.data, ContactDecided).reasons]
    assert any(rule.startswith("ladder") for rule in rules), "one fact tells both decisions"


async def test_at_once_keeps_to_the_accounts_rate_and_to_older_contacts(case: Case) -> None:
    case.rate = 0.5  # two contacts in four seconds
    first, second = ([registered() for _ in range(3)] for _ in range(2))
    await case.fold(*(incoming("debt.registered.v1", event) for event in first))
    await case.set_law(MONDAY_NOON)
    await case.fold(*(incoming("debt.registered.v1", event) for event in second))
    for event in second:  # the three from dawn go first
        assert "contact.task.v1" not in await case.published(event.debtor_id)
    assert await case.dispatch() == 2


async def test_the_same_event_folded_again_changes_nothing(case: Case) -> None:
    once = incoming("debt.registered.v1", registered())
    await case.fold(once)
    await case.dispatch_at_noon()
    await case.fold(once, once)
    await case.dispatch()
    assert len(await case.contacts(once.debtor_id)) == 1
    assert (await case.published(once.debtor_id)).count("contact.task.v1") == 1


async def test_a_payment_between_plan_and_dispatch_cancels(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    await case.fold(incoming("debt.payment_received.v1", _paid(event.debtor_id, event.debt_id)))
    await case.dispatch_at_noon()
    (contact,) = await case.contacts(event.debtor_id)
    assert contact["state"] == ContactState.CANCELLED
    assert "contact.task.v1" not in await case.published(event.debtor_id)


async def test_facts_move_a_contact_forward_only(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    await case.dispatch_at_noon()
    (contact,) = await case.contacts(event.debtor_id)
    for kind, expected in (
        ("contact.accepted.v1", ContactState.ACCEPTED),
        ("contact.failed.v1", ContactState.ACCEPTED),
    ):
        fact = _attempted(event.debtor_id, contact["contact_id"])
        await case.fold(incoming(kind, fact, source="regua/sms_sender"))
        (contact,) = await case.contacts(event.debtor_id)
        assert contact["state"] == expected


async def test_a_contact_handed_back_goes_out_again_under_its_permit(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    await case.dispatch_at_noon()
    (contact,) = await case.contacts(event.debtor_id)
    later = MONDAY_NOON + timedelta(minutes=1)
    back = ContactDecided(
        contact_id=contact["contact_id"],
        debtor_id=event.debtor_id,
        portfolio_id="loja",
        channel="sms",
        at=MONDAY_NOON,
        machine_at=MONDAY_NOON,
        step_key="d1-notice",
        stage=0,
        until=later,
    )
    await case.fold(incoming("contact.deferred.v1", back, source="regua/sms_sender"))
    assert await case.dispatch() == 0
    await case.set_law(later)
    assert await case.dispatch() == 1
    assert (await case.published(event.debtor_id)).count("contact.task.v1") == 2


async def test_a_contact_open_past_its_window_is_asked_to_close(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    await case.dispatch_at_noon()
    (contact,) = await case.contacts(event.debtor_id)
    await case.set_law(contact["not_after"] + timedelta(minutes=5))
    assert await case.dispatch() == 1
    assert (await case.published(event.debtor_id))[-1] == "contact.close_requested.v1"
    (contact,) = await case.contacts(event.debtor_id)
    assert contact["state"] == ContactState.DISPATCHED  # only the sender's fact ends it


async def test_an_account_keeps_at_most_four_seconds_of_its_rate_under_way(case: Case) -> None:
    case.rate = 0.5  # two contacts in four seconds
    events = [registered() for _ in range(5)]
    await case.fold(*(incoming("debt.registered.v1", event) for event in events))
    assert await case.dispatch_at_noon() == 2
    assert await case.dispatch() == 0


async def test_an_owner_of_the_past_is_fenced(case: Case) -> None:
    async with case.pool.acquire() as conn:
        await shards.take_over(conn, partition=0, owner="other", cluster_id="cluster")
    with pytest.raises(shards.Fenced):
        await case.fold(incoming("debt.registered.v1", registered()))


async def test_another_cluster_starts_the_offsets_over(case: Case) -> None:
    async with case.pool.acquire() as conn:
        await shards.save_offsets(conn, partition=0, debt_offset=41, contact_offset=7)
        same = await shards.take_over(conn, partition=0, owner="a", cluster_id="cluster")
        other = await shards.take_over(conn, partition=0, owner="a", cluster_id="emptied")
    assert (same.debt_offset, same.contact_offset) == (41, 7)
    assert (other.debt_offset, other.contact_offset) == (-1, -1)


async def test_the_database_refuses_a_stage_that_falls(case: Case) -> None:
    event = registered(stage=2)
    await case.fold(incoming("debt.registered.v1", event))
    with pytest.raises(CheckViolation):
        await case.pool.execute("UPDATE debt SET stage = 1 WHERE debt_id = $1", event.debt_id)


async def test_the_database_refuses_a_second_contact_for_a_slot(case: Case) -> None:
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    with pytest.raises(UniqueViolation):
        await case.pool.execute(
            """INSERT INTO contact_slot (debt_id, episode, step_key, channel, contact_id)
               SELECT debt_id, episode, step_key, channel, gen_random_uuid() FROM contact_slot"""
        )


async def test_next_due_sees_debtors_and_contacts(case: Case) -> None:
    async with case.pool.acquire() as conn:
        assert await shards.next_due(conn) is None
    await case.fold(incoming("debt.registered.v1", registered()))
    async with case.pool.acquire() as conn:
        assert await shards.next_due(conn) == MONDAY_NOON.replace(hour=11)  # 08:00


def _paid(debtor_id: object, debt_id: object) -> PaymentReceived:
    return PaymentReceived(
        debtor_id=debtor_id,  # type: ignore[arg-type]
        debt_id=debt_id,  # type: ignore[arg-type]
        portfolio_id="loja",
        occurred_at=MONDAY_NOON,
        recorded_at=MONDAY_NOON,
        amount=112_000,
        currency="BRL",
        paid_at=MONDAY_NOON,
    )


def _attempted(debtor_id: object, contact_id: object) -> ContactAttempted:
    return ContactAttempted(
        contact_id=contact_id,  # type: ignore[arg-type]
        debtor_id=debtor_id,  # type: ignore[arg-type]
        portfolio_id="loja",
        channel="sms",
        at=MONDAY_NOON,
        machine_at=MONDAY_NOON,
        attempt_id=contact_id,  # type: ignore[arg-type]
        n=1,
        provider="twilio",
        account_id="sms",
    )
