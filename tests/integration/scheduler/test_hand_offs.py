"""A step that people take: asked for on its topic once, taken back or done, never twice."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec

from services.scheduler import planning
from services.scheduler.holds import Holds
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.store import lifts, waiting
from services.scheduler.work_items import WorkItems
from shared.events.contact import WorkItemFact
from shared.events.debt import ContactPoint, ContactRecorded, PaymentReceived
from shared.events.envelope import Envelope, decode
from shared.events.handoff import (
    HANDOFF_CLOSED,
    HANDOFF_REQUESTED,
    HandoffClosed,
    HandoffRequested,
)
from shared.events.hold import Hold, subject_of
from shared.events.topics import CONTACT_TASKS_HANDOFF
from tests.integration.scheduler.merging_case import Pair
from tests.integration.scheduler.planning_case import (
    MONDAY_NOON,
    Case,
    headers_of,
    incoming,
    registered,
)

LADDER = """\
ladder: br-consumer-standard
version: 1
steps:
  - key: call
    offset_days: 1
    stage: 1
    channels: [email, handoff]
    templates: {email: t}
    mandatory: true
    objective: agree on a plan by telephone
"""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
NUMBER = "+551130001000"


def on_the_ladder(case: Case) -> None:
    case.rules.ladders["br-consumer-standard"] = (1, load_ladder(LADDER))
    case.rules.templates["t"] = next(iter(case.rules.templates.values()))


async def handed(case: Case, event: Any = None) -> tuple[Any, planning.Incoming]:
    """A debtor without a mailbox, whose mandatory step a person has since noon."""
    on_the_ladder(case)
    await case.set_law(MONDAY_NOON)
    event = event or registered()
    voice = ContactPoint(channel="voice", address=NUMBER)
    facts = msgspec.structs.replace(event.debtor, contact_points=(voice,))
    event = msgspec.structs.replace(event, debtor=facts)
    told = incoming("debt.registered.v1", event)
    told = planning.Incoming(
        msgspec.structs.replace(told.envelope, traceparent=TRACE), event, event.debtor_id
    )
    await case.fold(told)
    return event, told


async def requests(case: Case) -> list[HandoffRequested]:
    return [decode(e.data, HandoffRequested) for e in await case.envelopes(HANDOFF_REQUESTED)]


async def closings(case: Case) -> list[HandoffClosed]:
    return [decode(e.data, HandoffClosed) for e in await case.envelopes(HANDOFF_CLOSED)]


async def topics(case: Case, debtor_id: UUID) -> list[str]:
    """Types on the hand-offs' topic, in order."""
    rows = await case.pool.fetch(
        "SELECT * FROM outbox WHERE key = $1 AND topic = $2 ORDER BY xid, id",
        str(debtor_id),
        CONTACT_TASKS_HANDOFF.name,
    )
    return [headers_of(row)["ce_type"] for row in rows]


def about(event: Any) -> dict[str, Any]:
    return {
        "debtor_id": event.debtor_id,
        "debt_id": event.debt_id,
        "portfolio_id": "loja",
        "occurred_at": MONDAY_NOON,
        "recorded_at": MONDAY_NOON,
    }


async def item(case: Case) -> dict[str, Any]:
    [row] = await case.pool.fetch("SELECT * FROM work_item WHERE state <> 'closed'")
    return dict(row.items())


async def test_an_opened_item_is_asked_for_on_the_topic_once(case: Case) -> None:
    event, told = await handed(case)
    await case.fold(told)  # redelivered
    await case.set_law(MONDAY_NOON + timedelta(days=2))
    await case.wake()
    [envelope] = await case.envelopes(HANDOFF_REQUESTED)
    request = decode(envelope.data, HandoffRequested)
    open_item = await item(case)
    assert request.work_item_id == open_item["work_item_id"]
    assert envelope.key == str(event.debtor_id)
    assert envelope.traceparent is not None
    assert envelope.traceparent.split("-")[1] == TRACE.split("-")[1]
    assert envelope.expires_at == request.permit.not_after == open_item["deadline"]
    assert request.permit.not_before == MONDAY_NOON
    assert request.permit.issued_at != MONDAY_NOON, "machine time"
    assert (request.portfolio_id, request.step_key) == ("loja", "call")
    assert request.objective == "agree on a plan by telephone"
    [voice] = request.reach
    assert (voice.channel, voice.addresses) == ("voice", (NUMBER,))
    assert f"debt:acme:{event.debt_id}" in request.subjects
    assert f"address:acme:voice:{'digest'}" in request.subjects


async def test_a_paid_debt_takes_its_hand_off_back_once(case: Case) -> None:
    event, _ = await handed(case)
    [request] = await requests(case)
    paid = PaymentReceived(**about(event), amount=112_000, currency="BRL", paid_at=MONDAY_NOON)
    told = incoming("debt.payment_received.v1", paid)
    await case.fold(told)
    await case.fold(told)
    [closed] = await closings(case)
    assert (closed.work_item_id, closed.outcome) == (request.work_item_id, "withdrawn")
    assert closed.reason == "debt.settled"
    assert await topics(case, event.debtor_id) == [HANDOFF_REQUESTED, HANDOFF_CLOSED]
    [fact] = await case.envelopes("work_item.closed.v1")
    assert decode(fact.data, WorkItemFact).decision == "withdrawn"
    assert planning.read(fact) is None, "the state says so already"


async def test_what_was_done_outside_closes_the_item(case: Case) -> None:
    event, _ = await handed(case)
    [request] = await requests(case)
    for outcome, named in (("no_answer", request.work_item_id), ("right_party", uuid4())):
        report = ContactRecorded(
            **about(event), channel="voice", at=MONDAY_NOON, outcome=outcome, work_item_id=named
        )
        await case.fold(incoming("contact.recorded.v1", report))
        assert (await item(case))["state"] == "open"
    report = ContactRecorded(
        **about(event),
        channel="voice",
        at=MONDAY_NOON,
        outcome="right_party",
        work_item_id=request.work_item_id,
    )
    await case.fold(incoming("contact.recorded.v1", report))
    [closed] = await closings(case)
    assert (closed.outcome, closed.reason) == ("done", None)
    state = await case.state(event.debtor_id)
    assert state.debts[str(event.debt_id)].steps["call"].state == "handed_off"
    assert len(state.past) == 3, "each of them counts in caps"


async def test_a_person_who_decides_tells_the_outside_systems_too(case: Case) -> None:
    await handed(case)
    [request] = await requests(case)
    items = WorkItems(case.pool, wake=lambda: None)
    await items.decide(
        tenant_id="acme",
        work_item_id=request.work_item_id,
        actor="acme/ana",
        decision="approve",
        note="she asked for Friday",
    )
    [fact] = await case.envelopes("work_item.closed.v1")
    read = planning.read(Envelope.from_record(dict(fact.headers()), fact.data))
    assert read is not None
    await case.fold(read)
    [closed] = await closings(case)
    assert (closed.outcome, closed.reason) == ("approve", None), "a note is nobody else's"
    first, second = await requests(case)
    assert (first.work_item_id, second.work_item_id) == (
        request.work_item_id,
        (await item(case))["work_item_id"],
    )


async def stopped(case: Case, holds: Holds, scope: str, name: str) -> tuple[Hold, int]:
    """Place a hold; return it and how many debtors it woke."""
    hold = await holds.place(
        tenant_id="acme",
        scope=scope,
        subject=subject_of(scope, "acme", name),
        reason="emergency_stop",
        until=None,
    )
    async with case.fenced() as ws:
        return hold, await lifts.wake_page(ws.conn, partition=case.shard, now=ws.law)


async def test_an_operators_stop_takes_back_what_it_stops_and_a_lift_asks_anew(case: Case) -> None:
    event, _ = await handed(case)
    holds = Holds(case.pool, wake=lambda: None)
    _, elsewhere = await stopped(case, holds, "portfolio", "another")
    assert (elsewhere, await case.wake()) == (0, 0)
    hold, woken = await stopped(case, holds, "portfolio", "loja")
    assert (woken, await case.wake()) == (1, 1)
    [closed] = await closings(case)
    assert (closed.outcome, closed.reason) == ("withdrawn", "hold")
    await holds.lift(tenant_id="acme", hold_id=hold.hold_id, reason="lifted_by_operator")
    async with case.fenced() as ws:
        assert await lifts.wake_page(ws.conn, partition=case.shard, now=ws.law) == 1
    assert await case.wake() == 1
    first, second = await requests(case)
    assert first.work_item_id != second.work_item_id
    assert await topics(case, event.debtor_id) == [
        HANDOFF_REQUESTED,
        HANDOFF_CLOSED,
        HANDOFF_REQUESTED,
    ]


async def test_an_operators_stop_of_a_number_takes_it_from_people_at_once(case: Case) -> None:
    await handed(case)
    holds = Holds(case.pool, wake=lambda: None)
    _, elsewhere = await stopped(case, holds, "address", "sms:digest")
    assert (elsewhere, await case.wake()) == (0, 0)
    _, woken = await stopped(case, holds, "address", "voice:digest")
    assert (woken, await case.wake()) == (1, 1)
    [closed] = await closings(case)
    assert (closed.outcome, closed.reason) == ("withdrawn", "handoff.address_lost")
    assert all(NUMBER not in each.addresses for each in (await requests(case))[-1].reach)
    waiting_here = "SELECT count(*) FROM lift WHERE shard = $1"
    assert await case.pool.fetchval(waiting_here, case.shard) == 0, "nobody is woken for ever"


async def test_a_merge_takes_hand_offs_back_and_asks_anew_for_whom_it_leaves(pair: Pair) -> None:
    on_the_ladder(pair.here)
    await handed(pair.there, pair.old)
    [request] = await requests(pair.there)
    await pair.merge()
    assert await pair.pump() == ["debtor.absorbed.v1"]
    [closed] = await closings(pair.here)
    assert (closed.work_item_id, closed.reason) == (request.work_item_id, "debtor.merged")
    assert await topics(pair.here, pair.merged) == [HANDOFF_REQUESTED, HANDOFF_CLOSED]
    [anew] = [each for each in await requests(pair.here) if each.debtor_id == pair.survivor]
    assert anew.work_item_id != request.work_item_id


async def test_what_waits_for_people_is_counted_by_kind_and_age(case: Case) -> None:
    await handed(case)
    ages: dict[float, str] = {0.5: "under_1d", 3: "1d_to_7d", 8: "over_7d"}
    for days, age in ages.items():
        await case.set_law(MONDAY_NOON + timedelta(days=days))
        async with case.pool.acquire() as conn:
            assert await waiting.open_by_age(conn) == {("handoff", age): 1}
    await case.pool.execute("UPDATE work_item SET state = 'closed'")
    async with case.pool.acquire() as conn:
        assert await waiting.open_by_age(conn) == {}
