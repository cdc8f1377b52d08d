"""A lift wakes whom its hold kept back: all of them, in pages, and nobody else's."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.scheduler.holds import Holds
from services.scheduler.planning import plan_events
from services.scheduler.store import lifts
from shared.events.hold import Hold, subject_of
from tests.integration.scheduler.merging_case import Pair
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
    assert await page(case) + await page(case) == 1, "placement and lift, in any order"
    assert await case.wake() == 1
    assert await case.contacts(debtor_id) == []
    assert await case.wake() == 0
    assert [await page(case), await page(case)] == [0, 0], "and is not looked at again and again"
    assert await holds.lift(tenant_id="acme", hold_id=uuid4(), reason="unknown") is None


async def known(case: Case, event: Any) -> None:
    """What intake has stored of a registered debt and its debtor."""
    await case.pool.execute(
        "INSERT INTO identity (tenant_id, digest, key_id, debtor_id) VALUES ('acme', $1, 'k', $2)",
        event.debtor_id.bytes,
        event.debtor_id,
    )
    await case.pool.execute(
        "INSERT INTO debt_reference (tenant_id, digest, key_id, debt_id, debtor_id)"
        " VALUES ('acme', $1, 'k', $2, $3)",
        event.debt_id.bytes,
        event.debt_id,
        event.debtor_id,
    )


async def place(case: Case, scope: str, name: object) -> tuple[Holds, Hold]:
    holds = Holds(case.pool, wake=lambda: None)
    placed = await holds.place(
        tenant_id="acme",
        scope=scope,
        subject=subject_of(scope, "acme", str(name)),
        reason="attorney",
        until=None,
    )
    await page(case)  # the placement is taken up
    return holds, placed


async def lift(holds: Holds, hold: Hold) -> None:
    await holds.lift(tenant_id="acme", hold_id=hold.hold_id, reason="lifted_by_operator")


async def held(case: Case) -> set[UUID]:
    rows = await case.pool.fetch("SELECT debtor_id FROM debtor WHERE held")
    return {row["debtor_id"] for row in rows}


@pytest.mark.parametrize("scope", ["debtor", "debt"])
async def test_a_lift_of_one_persons_hold_wakes_nobody_else(case: Case, scope: str) -> None:
    events = [registered(debt_ref=f"fatura-{n}") for n in range(3)]
    first = events[0]
    await case.set_law(MONDAY_NOON)
    placed = [
        await place(case, scope, each.debtor_id if scope == "debtor" else each.debt_id)
        for each in events
    ]
    for each in events:
        await known(case, each)
    await case.fold(*(incoming("debt.registered.v1", each) for each in events))
    assert await held(case) == {each.debtor_id for each in events}
    await lift(*placed[0])
    assert await page(case) == 1
    assert await held(case) == {each.debtor_id for each in events} - {first.debtor_id}
    async with case.pool.acquire() as conn:
        assert await lifts.count(conn) == 0
    assert await case.wake() == 1
    assert [row["state"] for row in await case.contacts(first.debtor_id)] == [10]


@pytest.mark.parametrize("scope", ["debtor", "debt"])
async def test_what_was_planned_for_the_one_person_never_waits_for_the_lift(
    case: Case, scope: str
) -> None:
    """So a narrow lift need not look for contacts: the hold cancels them, the lift plans anew."""
    event = registered()
    await case.fold(incoming("debt.registered.v1", event))
    await known(case, event)
    await case.set_law(MONDAY_NOON)
    holds, hold = await place(case, scope, event.debtor_id if scope == "debtor" else event.debt_id)
    await case.dispatch()
    [gone] = await case.contacts(event.debtor_id)
    assert (gone["state"], gone["held"]) == (41, False)
    await case.wake()
    await lift(holds, hold)
    assert await page(case) == 1
    await case.wake()
    assert sorted(row["state"] for row in await case.contacts(event.debtor_id)) == [10, 41]


async def test_a_merged_persons_hold_keeps_back_the_survivor_until_its_lift(pair: Pair) -> None:
    """No key leads from the person that the hold names to who took it over: all are looked at."""
    await pair.there.fold(incoming("debt.registered.v1", pair.old))
    await pair.here.fold(incoming("debt.registered.v1", pair.new))
    for event in (pair.old, pair.new):
        await known(pair.here, event)
    holds, hold = await place(pair.here, "debtor", pair.merged)
    await page(pair.there)
    await pair.merge()
    await pair.here.pool.execute(  # as intake does in the transaction of the merge
        "UPDATE identity SET debtor_id = $1 WHERE debtor_id = $2", pair.survivor, pair.merged
    )
    await pair.pump()
    await pair.here.set_law(MONDAY_NOON)
    await pair.here.wake()
    assert pair.survivor in await held(pair.here)
    await lift(holds, hold)
    assert [await page(pair.there), await page(pair.here)] == [0, 1]
    assert pair.survivor not in await held(pair.here)


@pytest.mark.parametrize("scope", ["debtor", "debt"])
async def test_a_decision_made_before_the_lift_and_committed_after_it_is_woken(
    case: Case, scope: str
) -> None:
    event = registered()
    await known(case, event)
    await case.set_law(MONDAY_NOON)
    named = event.debtor_id if scope == "debtor" else event.debt_id
    holds, hold = await place(case, scope, named)
    async with case.fenced() as ws:
        await plan_events(ws, [incoming("debt.registered.v1", event)], case.dispatcher)
        await lift(holds, hold)  # commits meanwhile; the decision has seen the hold
        taking_up = asyncio.ensure_future(page(case))
        waiting, _ = await asyncio.wait([taking_up], timeout=0.2)
        assert not waiting, "the page waits for the shard"
    assert await taking_up == 1
    assert await case.wake() == 1
    assert [row["state"] for row in await case.contacts(event.debtor_id)] == [10]


async def test_a_narrow_lift_reads_by_key(case: Case) -> None:
    """However many others wait: nothing of theirs is read."""
    event = registered()
    await known(case, event)
    async with case.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            "INSERT INTO debtor (debtor_id, shard, tenant_id, state, held)"
            " SELECT gen_random_uuid(), $1, 'acme', '', true FROM generate_series(1, 20000)",
            case.shard,
        )
        await conn.execute("ANALYZE debtor")
        args = (case.shard, MONDAY_NOON, event.debtor_id, None, "acme")
        rows = await conn.fetch(f"EXPLAIN (COSTS OFF) {lifts.WAKE_NAMED}", *args)
    plan = "\n".join(row[0] for row in rows)
    assert "Index Scan using debtor_pkey on debtor" in plan
    assert "Seq Scan on debtor" not in plan
