"""Events before their debt, colliding identities: held, visible, and released in order."""

import asyncio
from typing import Any

from services.scheduler.store import holds as hold_store
from shared.events.debt import DebtorMerged
from shared.events.hold import subject_of
from shared.events.identities import hold_id
from shared.events.topics import CONTACT_EVENTS
from shared.postgres.outbox import headers_from
from tests.support.scheduler import (
    ACME,
    Doors,
    a_payment,
    a_registration,
    an_event,
    doors,
    settings_for,
)


async def items(door: Doors, state: str = "open") -> list[dict[str, Any]]:
    answer = await door.call("GET", "/v1/work-items", params={"state": state})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["work_items"]
    return found


async def test_a_payment_before_its_debt_waits_visibly_under_a_hold(door: Doors) -> None:
    answer = await door.post(a_payment())

    assert answer.json()["results"][0]["status"] == "parked"
    assert await door.published() == []
    [item] = await items(door)
    assert item["kind"] == "parked_event"
    assert item["reasons"][0]["rule"] == "unknown_debt"
    reasons = {(hold.reason, hold.subject) for hold in await door.lane()}
    subject = subject_of("debt", ACME, item["debt_id"])
    assert reasons == {("parked_event", subject), ("debt.payment_received", subject)}
    [(kind, _)] = await door.facts(CONTACT_EVENTS.name)
    assert kind == "work_item.opened.v1"


async def test_the_registration_releases_what_waited_in_its_own_transaction(door: Doors) -> None:
    dispute = an_event("debt.disputed", {"debt_ref": "D-1"})
    await door.post(a_payment())
    await door.post(dispute)

    answer = await door.post(a_registration())

    assert answer.json()["results"][0]["status"] == "accepted"
    events = await door.published()
    assert [kind for kind, _ in events] == [
        "debt.registered.v1",
        "debt.payment_received.v1",
        "debt.disputed.v1",
    ]
    assert len({event.debtor_id for _, event in events}) == 1
    assert len({event.debt_id for _, event in events}) == 1
    assert {event.portfolio_id for _, event in events} == {"cards"}
    released_in = await door.pool.fetch(
        "SELECT DISTINCT xid FROM outbox WHERE topic = 'debt.events.v1'"
    )
    assert len(released_in) == 1
    assert await door.pool.fetchval("SELECT count(*) FROM parked_event") == 0
    assert await items(door) == []
    [closed] = await items(door, "closed")
    assert closed["decision"] == "released"


async def test_release_lifts_the_parking_hold_and_leaves_the_payments_own(door: Doors) -> None:
    await door.post(a_payment())
    await door.post(a_registration())

    states = {hold.reason: (hold.state, hold.version) for hold in await door.lane()}

    assert states["debt.payment_received"] == ("active", 1)
    assert states["debt_registered"] == ("lifted", 2)
    lifted = [hold for hold in await door.lane() if hold.state == "lifted"]
    assert lifted[0].lifted_at is not None
    assert lifted[0].lifted_at > lifted[0].placed_at


async def test_a_payment_posted_beside_its_registration_never_stays_parked(door: Doors) -> None:
    pairs = [(a_registration(n), a_payment(n)) for n in range(12)]

    await asyncio.gather(
        *(door.batch([event]) for pair in pairs for event in reversed(pair)),
    )

    assert await door.pool.fetchval("SELECT count(*) FROM parked_event") == 0
    assert len(await door.published()) == 24


async def test_within_one_batch_a_payment_may_come_before_its_registration(door: Doors) -> None:
    answer = await door.batch([a_payment(), a_registration()])

    assert [one["status"] for one in answer.json()["results"]] == ["accepted", "accepted"]
    assert [kind for kind, _ in await door.published()] == [
        "debt.registered.v1",
        "debt.payment_received.v1",
    ]
    assert await items(door) == []


async def test_a_parked_event_sent_again_is_a_duplicate(door: Doors) -> None:
    event = a_payment()
    await door.post(event)

    answer = await door.post(event)

    assert answer.json()["results"][0]["status"] == "duplicate"
    assert len(await items(door)) == 1


async def test_colliding_identities_wait_for_the_merge(door: Doors) -> None:
    await door.batch(
        [
            a_registration(1, document="52998224725"),
            a_registration(2, debtor_ref="P-2"),
        ]
    )
    collision = a_registration(3, debtor_ref="P-2", document="52998224725")

    parked = await door.batch([collision, a_payment(3)])

    assert [one["status"] for one in parked.json()["results"]] == ["parked", "parked"]
    kinds = {item["kind"] for item in await items(door)}
    assert kinds == {"identity_collision", "parked_event"}

    merge = {"debtor_ref": "P-2", "into_debtor_ref": "P-1"}
    answer = await door.post(an_event("debtor.merged", merge))

    assert answer.status_code == 202
    events = await door.published()
    assert [kind for kind, _ in events[2:]] == [
        "debtor.merged.v1",
        "debtor.merged.v1",
        "debt.registered.v1",
        "debt.payment_received.v1",
    ]
    survivor = events[0][1].debtor_id
    assert {event.debtor_id for _, event in events[2:]} == {survivor}
    assert await items(door) == []


async def test_a_merge_and_what_waits_for_it_may_share_a_batch(door: Doors) -> None:
    answer = await door.batch(
        [
            a_registration(1, document="52998224725"),
            a_registration(2, debtor_ref="P-2"),
            a_registration(3, debtor_ref="P-2", document="52998224725"),
            an_event("debtor.merged", {"debtor_ref": "P-2", "into_debtor_ref": "P-1"}),
        ]
    )

    assert {one["status"] for one in answer.json()["results"]} == {"accepted"}
    events = await door.published()
    assert events[-1][1].debtor_id == events[0][1].debtor_id


async def test_after_a_merge_both_references_and_all_debts_are_one_debtor(door: Doors) -> None:
    await door.batch([a_registration(1), a_registration(2)])
    await door.post(an_event("debtor.merged", {"debtor_ref": "P-2", "into_debtor_ref": "P-1"}))

    await door.batch(
        [
            a_payment(2),
            a_registration(3, debtor_ref="P-2"),
            an_event("debtor.hold_placed", {"debtor_ref": "P-2", "reason": "attorney"}),
        ]
    )

    events = await door.published()
    assert {event.debtor_id for _, event in events[2:]} == {events[0][1].debtor_id}
    merged = [hold.subject for hold in await door.lane() if hold.reason == "debtor.merged"]
    assert len(merged) == 2


async def test_a_merge_is_told_to_both_and_stops_both(door: Doors) -> None:
    merge = an_event("debtor.merged", {"debtor_ref": "P-2", "into_debtor_ref": "P-1"})
    await door.batch([a_registration(1), a_registration(2), merge])
    await door.post(merge)  # a duplicate tells nobody anything

    (_, first), (_, second), (_, told), (_, copy) = await door.published()
    assert isinstance(told, DebtorMerged)
    assert isinstance(copy, DebtorMerged)
    rows = await door.pool.fetch("SELECT key, headers FROM outbox ORDER BY xid, id")
    keys = [row["key"] for row in rows[-2:]]
    assert keys == [str(first.debtor_id), str(second.debtor_id)]
    original, other = (dict(headers_from(row["headers"]))["ce_id"] for row in rows[-2:])
    cause = copy.cause_event_id
    assert cause is not None
    assert told.cause_event_id is None
    assert str(cause).encode() == original != other
    for event in (told, copy):
        assert event.debtor_id == first.debtor_id
        assert event.merged_debtor_id == second.debtor_id
    held = {hold.subject: hold.hold_id for hold in await door.lane()}
    subjects = [subject_of("debtor", ACME, key) for key in keys]
    assert held == {subject: hold_id(cause, "debtor", subject) for subject in subjects}


async def test_a_person_may_be_held_before_anything_is_owed(door: Doors) -> None:
    held = an_event("debtor.hold_placed", {"debtor_ref": "P-1", "reason": "deceased"})

    await door.post(held)
    await door.post(a_registration(1))

    (_, first), (_, second) = await door.published()
    assert first.debtor_id == second.debtor_id
    subject = subject_of("debtor", ACME, str(first.debtor_id))
    async with door.pool.acquire() as conn:
        [hold] = await hold_store.active_for(conn, [subject])
    assert hold.reason == "deceased"


async def test_a_parked_event_can_be_discarded_by_a_person(door: Doors) -> None:
    await door.post(a_payment())
    [item] = await items(door)
    path = f"/v1/work-items/{item['work_item_id']}"

    taken = await door.call("POST", f"{path}/claim")
    closed = await door.call("POST", f"{path}/decision", json={"decision": "discard"})
    again = await door.call("POST", f"{path}/decision", json={"decision": "discard"})

    assert (taken.status_code, closed.status_code, again.status_code) == (200, 200, 409)
    assert await door.pool.fetchval("SELECT count(*) FROM parked_event") == 0
    lifted = [hold.reason for hold in await door.lane() if hold.state == "lifted"]
    assert lifted == ["parked_event_discarded"]
    kinds = [kind for kind, _ in await door.facts(CONTACT_EVENTS.name)]
    assert kinds == ["work_item.opened.v1", "work_item.closed.v1"]


async def test_a_rotated_key_still_finds_everybody_and_every_debt(door: Doors) -> None:
    await door.batch([a_registration(1, document="52998224725")])
    url = door.scheduler.settings.postgres_url.get_secret_value()
    rotated = settings_for(url, identity_keys="k2:example-newer,k1:example-identity")
    only_new = settings_for(url, identity_keys="k2:example-newer")

    async with doors(door.pool, rotated) as later:
        await later.batch(
            [a_payment(1), a_registration(2, debtor_ref="P-1", document="52998224725")]
        )
    async with doors(door.pool, only_new) as last:
        answer = await last.batch([a_payment(1), a_registration(3, debtor_ref="P-1")])
        assert [one["status"] for one in answer.json()["results"]] == ["accepted", "accepted"]
        await last.batch([a_registration(4, document="529.982.247-25")])
        owners = await last.pool.fetch("SELECT DISTINCT debtor_id FROM debt_reference")

    assert len(owners) == 1
