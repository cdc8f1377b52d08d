"""A lift wakes whom its hold kept back: all of them, in pages, and nobody else's."""

from uuid import UUID, uuid4

import pytest

from services.scheduler.holds import Holds
from services.scheduler.store import lifts
from shared.events.hold import Hold, subject_of
from tests.integration.scheduler.planning_case import MONDAY_NOON, Case, incoming, registered


async def held_tenant(case: Case) -> tuple[Holds, Hold]:
    """An emergency stop of the tenant, at noon."""
    await case.set_law(MONDAY_NOON)
    holds = Holds(case.pool, wake=lambda: None)
    subject = subject_of("tenant", "acme")
    placed = await holds.place(
        tenant_id="acme", scope="tenant", subject=subject, reason="emergency_stop", until=None
    )
    return holds, placed


async def register(case: Case, number: int) -> list[UUID]:
    events = [registered(debt_ref=f"fatura-{n}") for n in range(number)]
    await case.fold(*(incoming("debt.registered.v1", event) for event in events))
    return [event.debtor_id for event in events]


async def page(case: Case) -> int:
    async with case.fenced() as ws:
        return await lifts.wake_page(ws.conn, partition=case.shard, now=ws.law)


async def test_whoever_waits_for_the_lift_is_due_at_once(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds, hold = await held_tenant(case)
    people = await register(case, 3)
    assert await case.wake() == 0, "the next look is an hour away"
    assert await page(case) == 0, "nothing was lifted"

    await holds.lift(tenant_id="acme", hold_id=hold.hold_id, reason="lifted_by_operator")
    monkeypatch.setattr(lifts, "PAGE_MAX", 2)
    assert [await page(case) for _ in range(3)] == [2, 1, 0]
    async with case.pool.acquire() as conn:
        assert await lifts.count(conn) == 0, "the lift is done with"
    assert await case.wake() == 3
    for debtor_id in people:
        assert [row["state"] for row in await case.contacts(debtor_id)] == [10]


async def test_a_planned_contact_that_a_hold_deferred_is_dispatched_after_the_lift(
    case: Case,
) -> None:
    [debtor_id] = await register(case, 1)
    holds, hold = await held_tenant(case)
    assert await case.dispatch() == 1
    [waiting] = await case.contacts(debtor_id)
    assert (waiting["state"], waiting["held"]) == (0, True)
    assert waiting["wake_at"] > MONDAY_NOON

    await holds.lift(tenant_id="acme", hold_id=hold.hold_id, reason="lifted_by_operator")
    assert await page(case) == 1
    await case.dispatch()
    [sent] = await case.contacts(debtor_id)
    assert sent["state"] == 10


async def test_another_tenants_lift_wakes_nobody_here(case: Case) -> None:
    await held_tenant(case)
    await register(case, 1)
    holds = Holds(case.pool, wake=lambda: None)
    other = await holds.place(
        tenant_id="other",
        scope="tenant",
        subject=subject_of("tenant", "other"),
        reason="emergency_stop",
        until=None,
    )
    await holds.lift(tenant_id="other", hold_id=other.hold_id, reason="lifted_by_operator")
    assert await page(case) == 0
    assert await case.wake() == 0


async def test_who_is_held_by_something_else_waits_on(case: Case) -> None:
    holds, hold = await held_tenant(case)
    [debtor_id] = await register(case, 1)
    await holds.place(
        tenant_id="acme",
        scope="portfolio",
        subject=subject_of("portfolio", "acme", "loja"),
        reason="emergency_stop",
        until=None,
    )
    await holds.lift(tenant_id="acme", hold_id=hold.hold_id, reason="lifted_by_operator")
    assert await page(case) == 1
    assert await case.wake() == 1
    assert await case.contacts(debtor_id) == []
    assert await case.wake() == 0
    assert [await page(case), await page(case)] == [0, 0], "and is not looked at again and again"
    assert await holds.lift(tenant_id="acme", hold_id=uuid4(), reason="unknown") is None
