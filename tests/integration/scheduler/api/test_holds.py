"""Stopping and resuming contact: at the events' door, by operators, and from the senders."""

from typing import Any

import pytest

from services.scheduler.policy.drafts import HoldChange
from services.scheduler.store import holds as store
from shared.events.hold import Hold, subject_of
from shared.events.identities import hold_id, time_ordered_id
from shared.privacy import address_subject
from tests.support.scheduler import ACME, OTHER, Doors, a_payment, a_registration, an_event

PHONE = "+5511987654321"
STOPS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("debt.cancelled", {"debt_ref": "D-1"}, ["debt"]),
    ("debt.disputed", {"debt_ref": "D-1"}, ["debt"]),
    (
        "debt.promise_made",
        {"debt_ref": "D-1", "amount": "1.00", "currency": "BRL", "due_date": "2026-04-01"},
        ["debt"],
    ),
    (
        "debt.agreement_made",
        {
            "debt_ref": "D-1",
            "currency": "BRL",
            "instalments": [{"amount": "1.00", "due_date": "2026-04-01"}],
        },
        ["debt"],
    ),
    ("debtor.erasure_requested", {"debtor_ref": "P-1"}, ["debtor"]),
    ("debtor.hold_placed", {"debtor_ref": "P-1", "reason": "attorney"}, ["debtor"]),
    (
        "debtor.consent_changed",
        {"debtor_ref": "P-1", "state": "revoked", "origin": "web", "channel": "sms"},
        ["debtor"],
    ),
    (
        "debtor.consent_changed",
        {
            "debtor_ref": "P-1",
            "state": "revoked",
            "origin": "web",
            "channel": "sms",
            "address": PHONE,
        },
        ["address", "debtor"],
    ),
    (
        "contact.recorded",
        {
            "debt_ref": "D-1",
            "channel": "voice",
            "at": "2026-03-01T10:00:00Z",
            "outcome": "wrong_person",
        },
        ["debtor"],
    ),
    ("debtor.consent_changed", {"debtor_ref": "P-1", "state": "granted", "origin": "web"}, []),
    ("debtor.hold_lifted", {"debtor_ref": "P-1", "reason": "attorney"}, []),
    ("debt.updated", {"debt_ref": "D-1", "due_date": "2026-03-05"}, []),
]


@pytest.mark.parametrize(("kind", "data", "scopes"), STOPS)
async def test_what_stops_contact_places_its_holds_with_the_event(
    door: Doors, kind: str, data: dict[str, Any], scopes: list[str]
) -> None:
    await door.post(a_registration())

    await door.post(an_event(kind, data))

    event_id = (await door.pool.fetch("SELECT event_id FROM outbox ORDER BY id"))[-1]["event_id"]
    held = await door.lane()
    assert sorted(hold.scope for hold in held) == scopes
    for hold in held:
        assert hold.hold_id == hold_id(event_id, hold.scope, hold.subject)
        assert (hold.version, hold.state) == (1, "active")


async def test_a_payment_holds_exactly_its_debt(door: Doors) -> None:
    await door.batch([a_registration(1), a_registration(2)])
    await door.post(a_payment(1))

    [hold] = await door.lane()
    debt_id = (await door.published())[0][1].debt_id
    assert hold.subject == subject_of("debt", ACME, str(debt_id))
    async with door.pool.acquire() as conn:
        assert [one.hold_id for one in await store.active_for(conn, [hold.subject])] == [
            hold.hold_id
        ]


async def test_the_planner_confirms_or_lifts_that_hold_and_no_other(door: Doors) -> None:
    await door.batch([a_registration(1), a_payment(1), a_payment(1)])
    first, second = await door.lane()
    lift = HoldChange(hold_id=first.hold_id, state="lifted", reason="balance_remains")

    async with door.pool.transaction() as conn:
        changed = await store.change(conn, [lift])
        unchanged = await store.change(
            conn, [HoldChange(hold_id=second.hold_id, state="active", reason=second.reason)]
        )
        again = await store.change(conn, [lift])
        left = await store.active_for(conn, [first.subject])

    assert [(hold.version, hold.state) for hold in changed] == [(2, "lifted")]
    assert unchanged == again == []
    assert [hold.hold_id for hold in left] == [second.hold_id]
    assert (await door.lane())[-1].hold_id == first.hold_id


async def test_an_operator_stops_a_portfolio_and_lets_it_go_on(door: Doors) -> None:
    placed = await door.call(
        "POST",
        "/v1/holds",
        json={"scope": "portfolio", "portfolio_id": "cards", "reason": "complaint"},
    )
    hold = placed.json()
    listed = await door.call("GET", "/v1/holds")
    lifted = await door.call("DELETE", f"/v1/holds/{hold['hold_id']}")
    again = await door.call("DELETE", f"/v1/holds/{hold['hold_id']}")

    assert placed.status_code == 201
    assert hold["subject"] == subject_of("portfolio", ACME, "cards")
    assert [one["hold_id"] for one in listed.json()["holds"]] == [hold["hold_id"]]
    assert (lifted.json()["state"], lifted.json()["version"]) == ("lifted", 2)
    assert again.json()["version"] == 2
    assert [one.version for one in await door.lane()] == [1, 2]


async def test_an_emergency_stop_of_everything_needs_a_platform_key(door: Doors) -> None:
    refused = await door.call("POST", "/v1/emergency-stop", json={"scope": "everything"})
    placed = await door.call(
        "POST", "/v1/emergency-stop", key=door.admin, json={"scope": "everything"}
    )

    assert refused.status_code == 403
    assert placed.status_code == 201
    async with door.pool.acquire() as conn:
        [hold] = await store.active_for(conn, [subject_of("debt", ACME, "any")])
    assert hold.subject == "everything"
    assert hold.reason == "emergency_stop"


async def test_a_tenants_stop_is_found_by_any_subject_of_that_tenant_only(door: Doors) -> None:
    await door.call("POST", "/v1/emergency-stop", json={"scope": "tenant"})

    async with door.pool.acquire() as conn:
        mine = await store.active_for(conn, [subject_of("debtor", ACME, "x")])
        theirs = await store.active_for(conn, [subject_of("debtor", OTHER, "x")])

    assert [hold.scope for hold in mine] == ["tenant"]
    assert theirs == []


@pytest.mark.parametrize("channel", ["sms", "voice"])
async def test_an_address_is_held_by_its_digest_alone(door: Doors, channel: str) -> None:
    placed = await door.call(
        "POST",
        "/v1/holds",
        json={"scope": "address", "channel": channel, "address": PHONE, "reason": "wrong_number"},
    )

    key = door.scheduler.address_key
    assert placed.json()["subject"] == address_subject(key, ACME, channel, PHONE)
    assert PHONE not in placed.text


async def test_a_hold_ends_by_itself_when_its_time_is_up(door: Doors) -> None:
    await door.call("PUT", "/v1/clock", key=door.admin, json={"law_now": "2026-03-02T12:00:00Z"})
    await door.call(
        "POST",
        "/v1/holds",
        json={"scope": "tenant", "reason": "holiday", "until": "2026-03-03T00:00:00Z"},
    )
    subject = subject_of("tenant", ACME)

    async with door.pool.acquire() as conn:
        before = await store.active_for(conn, [subject])
        await door.call(
            "PUT", "/v1/clock", key=door.admin, json={"law_now": "2026-03-03T00:00:00Z"}
        )
        after = await store.active_for(conn, [subject])

    assert (len(before), len(after)) == (1, 0)


async def test_holds_of_others_are_not_there(door: Doors) -> None:
    placed = await door.call("POST", "/v1/holds", json={"scope": "tenant", "reason": "audit"})
    path = f"/v1/holds/{placed.json()['hold_id']}"

    found = await door.call("GET", path, key=door.keys[OTHER])
    lifted = await door.call("DELETE", path, key=door.keys[OTHER])
    foreign = await door.call(
        "POST",
        "/v1/holds",
        params={"tenant": ACME},
        key=door.keys[OTHER],
        json={"scope": "tenant", "reason": "audit"},
    )

    assert (found.status_code, lifted.status_code, foreign.status_code) == (404, 404, 403)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scope": "planet", "reason": "x"}, "scope"),
        ({"scope": "debt", "reason": "x"}, "debt_id"),
        ({"scope": "debt", "reason": "x", "debt_id": "D-1"}, "debt_id"),
        ({"scope": "channel", "reason": "x"}, "channel"),
        ({"scope": "tenant", "reason": "Because I said so"}, "reason"),
        ({"scope": "tenant", "reason": "x", "until": "2026-03-03T00:00:00"}, "until"),
        ({"scope": "tenant", "reason": "x", "until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"scope": "address", "reason": "x", "channel": "sms", "address": "12"}, "address"),
    ],
)
async def test_a_bad_hold_is_refused_naming_the_field(
    door: Doors, body: dict[str, Any], field: str
) -> None:
    answer = await door.call("POST", "/v1/holds", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("scope", "channel", "remedy"),
    [("address", "handoff", "voice, letter"), ("channel", "voice", "handoff")],
)
async def test_a_channel_that_the_scope_does_not_stop_is_refused_naming_those_it_does(
    door: Doors, scope: str, channel: str, remedy: str
) -> None:
    body = {"scope": scope, "channel": channel, "address": PHONE, "reason": "wrong_number"}
    answer = await door.call("POST", "/v1/holds", json=body)

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (422, "channel")
    assert error["remedy"].endswith(remedy)
    assert await door.lane() == []


async def test_a_senders_hold_is_learned_once_per_version(door: Doors) -> None:
    hold = Hold(
        hold_id=time_ordered_id(),
        tenant_id=ACME,
        scope="address",
        subject="address:acme:sms:00",
        reason="opted_out",
        version=1,
        state="active",
        placed_at=await door.pool.fetchval("SELECT platform.machine_now()"),
        origin="sms_sender",
    )

    async with door.pool.transaction() as conn:
        news = [await store.learn(conn, [hold, hold]), await store.learn(conn, [hold])]
        lift = HoldChange(hold_id=hold.hold_id, state="lifted", reason="opted_in")
        await store.change(conn, [lift])
        news.append(await store.learn(conn, [hold]))
        left = await store.active_for(conn, [hold.subject])

    assert news == [1, 0, 0]
    assert left == []
    assert [one.version for one in await door.lane()] == [2]
