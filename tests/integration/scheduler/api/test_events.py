"""Posting debt events: what is accepted goes out once, what is wrong is refused alone."""

import asyncio
import json
from typing import Any

from shared.events.debt import DebtRegistered, PaymentReceived
from tests.support.scheduler import OTHER, PORTFOLIO, Doors, a_payment, a_registration, an_event


async def test_a_structured_event_is_accepted_and_goes_out_in_our_own_terms(door: Doors) -> None:
    answer = await door.post(a_registration())

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    [(kind, event)] = await door.published()
    assert kind == "debt.registered.v1"
    assert isinstance(event, DebtRegistered)
    assert event.principal == 112_000
    assert event.debtor.contact_points is not None
    assert event.debtor.contact_points[0].address == "+5511987654321"
    assert event.portfolio_id == "cards"
    assert event.occurred_at.isoformat() == "2026-03-02T17:00:00+00:00"


async def test_binary_and_bulk_forms_say_the_same_as_the_structured_one(door: Doors) -> None:
    event = a_registration()
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}

    binary = await door.call(
        "POST",
        "/v1/events",
        json=event["data"],
        headers=attributes,
    )
    bulk = await door.call(
        "POST",
        "/v1/events:bulk",
        content=f"{json.dumps(event)}\n\n{json.dumps(a_payment())}\n",
        headers={"content-type": "application/x-ndjson"},
    )

    assert binary.status_code == 202, binary.text
    assert [one["status"] for one in bulk.json()["results"]] == ["duplicate", "accepted"]
    assert [kind for kind, _ in await door.published()] == [
        "debt.registered.v1",
        "debt.payment_received.v1",
    ]


async def test_a_bad_event_of_a_batch_is_refused_alone_by_index(door: Doors) -> None:
    wrong = a_registration(2, principal=1120.5)

    answer = await door.batch([a_registration(1), wrong, a_registration(3)])

    results = answer.json()["results"]
    assert [one["status"] for one in results] == ["accepted", "refused", "accepted"]
    assert results[1]["id"] == wrong["id"]
    [error] = results[1]["problem"]["errors"]
    assert error["field"] == "$.data.principal"
    assert "decimal string" in error["remedy"]
    assert len(await door.published()) == 2


async def test_the_same_event_again_is_a_duplicate_and_goes_out_once(door: Doors) -> None:
    event = a_registration()

    first = await door.post(event)
    again = await door.post({**event, "source": event["source"]})
    twice = await door.batch([event, event])

    assert first.json()["results"][0]["status"] == "accepted"
    assert again.json()["results"][0]["status"] == "duplicate"
    assert again.json()["results"][0]["event_id"] == first.json()["results"][0]["event_id"]
    assert twice.json()["duplicates"] == 2
    assert len(await door.published()) == 1


async def test_one_id_for_two_bodies_is_a_conflict(door: Doors) -> None:
    await door.post(a_registration(id="one"))

    answer = await door.post(a_registration(id="one", principal="99.00"))
    within = await door.batch(
        [a_payment(id="two", amount="1.00"), a_payment(id="two", amount="2.00")]
    )

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert within.json()["results"][1]["problem"]["status"] == 409
    assert len(await door.published()) == 2


async def test_two_tenants_may_use_the_same_ids(door: Doors) -> None:
    event = a_registration(id="one")

    mine = await door.post(event)
    theirs = await door.post(event, key=door.keys[OTHER])

    assert mine.json()["accepted"] == theirs.json()["accepted"] == 1
    (_, first), (_, second) = await door.published()
    assert first.debtor_id != second.debtor_id
    assert first.debt_id != second.debt_id


async def test_a_payment_on_another_tenants_debt_is_parked_not_applied(door: Doors) -> None:
    await door.post(a_registration())

    answer = await door.post(a_payment(), key=door.keys[OTHER])

    assert answer.json()["results"][0]["status"] == "parked"
    assert [kind for kind, _ in await door.published()] == ["debt.registered.v1"]


async def test_another_tenants_portfolio_is_unknown(door: Doors) -> None:
    await door.call("PUT", "/v1/config/portfolio/mine", json=PORTFOLIO)

    answer = await door.post(a_registration(portfolio_id="mine"), key=door.keys[OTHER])

    assert answer.status_code == 422
    assert answer.json()["type"].endswith("unknown-portfolio")


async def test_one_person_with_two_references_is_found_by_the_document(door: Doors) -> None:
    await door.batch(
        [
            a_registration(1, document="529.982.247-25"),
            a_registration(2, document="52998224725"),
        ]
    )

    (_, first), (_, second) = await door.published()
    assert first.debtor_id == second.debtor_id
    assert first.debt_id != second.debt_id


async def test_posts_at_once_of_one_new_person_make_one_debtor(door: Doors) -> None:
    events = [a_registration(n, debtor_ref="P-same", document="52998224725") for n in range(8)]

    answers = await asyncio.gather(*(door.batch([event]) for event in events))

    assert all(answer.json()["accepted"] == 1 for answer in answers)
    assert len({event.debtor_id for _, event in await door.published()}) == 1


async def test_single_posts_at_once_share_transactions_and_all_are_answered(door: Doors) -> None:
    answers = await asyncio.gather(*(door.post(a_registration(n)) for n in range(60)))

    assert {answer.status_code for answer in answers} == {202}
    assert len(await door.published()) == 60
    transactions = await door.pool.fetchval("SELECT count(DISTINCT xid) FROM outbox")
    assert transactions < 60


async def test_a_debt_may_be_registered_again_but_not_to_somebody_else(door: Doors) -> None:
    await door.batch([a_registration(1), a_registration(2)])

    again = await door.post(a_registration(1, principal="1.00"))
    stolen = await door.post(a_registration(1, debtor_ref="P-2"))

    assert again.status_code == 202
    assert stolen.status_code == 409
    assert stolen.json()["errors"][0]["field"] == "$.data.debtor_ref"


async def test_a_payment_in_another_currency_than_the_debt_is_refused(door: Doors) -> None:
    await door.post(a_registration())

    answer = await door.post(a_payment(currency="USD"))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "$.data.currency"


async def test_a_reversal_names_the_payment_by_the_clients_id(door: Doors) -> None:
    await door.batch([a_registration(), a_payment(id="pay-1")])
    reversal = {"debt_ref": "D-1", "payment_id": "pay-1"}

    answer = await door.post(an_event("debt.payment_reversed", reversal))

    assert answer.status_code == 202
    paid = (await door.batch([a_payment(id="pay-1")])).json()["results"][0]["event_id"]
    events: list[Any] = [event for _, event in await door.published()]
    assert str(events[-1].payment_event_id) == paid


async def test_a_payment_without_its_time_happened_when_the_event_says(door: Doors) -> None:
    await door.batch([a_registration(), a_payment()])

    payment = (await door.published())[-1][1]

    assert isinstance(payment, PaymentReceived)
    assert payment.paid_at == payment.occurred_at


async def test_the_callers_trace_goes_on_into_the_event(door: Doors) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    await door.post(a_registration(), headers={"traceparent": trace})

    headers = await door.pool.fetchval("SELECT headers FROM outbox WHERE topic = 'debt.events.v1'")
    assert trace.encode() in headers


async def test_a_repeated_key_gives_the_first_answer_and_another_body_a_conflict(
    door: Doors,
) -> None:
    event = a_registration()
    key = {"idempotency-key": "k-1"}

    first = await door.post(event, headers=key)
    again = await door.post(event, headers=key)
    other = await door.post(a_registration(2), headers=key)
    theirs = await door.post(event, headers=key, key=door.keys[OTHER])

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status_code == 409
    assert theirs.json()["results"][0]["status"] == "accepted"


async def test_in_binary_form_the_headers_belong_to_the_request_a_key_names(door: Doors) -> None:
    event = a_payment()
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    key = {"idempotency-key": "k-1"}

    async def post(**changes: str) -> int:
        headers = attributes | key | {f"ce-{name}": value for name, value in changes.items()}
        return (
            await door.call("POST", "/v1/events", json=event["data"], headers=headers)
        ).status_code

    assert await post() == 202
    assert await post() == 202
    assert await post(id="another-payment-of-the-same-amount") == 409


async def test_requests_at_once_with_one_key_give_one_answer(door: Doors) -> None:
    events = [a_registration(n) for n in range(5)]
    key = {"idempotency-key": "k-1"}

    answers = await asyncio.gather(*(door.batch(events, headers=key) for _ in range(4)))

    assert len({answer.text for answer in answers}) == 1
    assert len(await door.published()) == 5


async def test_a_wrong_key_and_a_key_without_the_scope_are_turned_away(door: Doors) -> None:
    reader = await door.call(
        "POST",
        "/v1/api-keys",
        key=door.admin,
        json={"tenant_id": "acme", "label": "reader", "scopes": ["read"]},
    )

    wrong = await door.post(a_registration(), key="regua_wrong")
    unscoped = await door.post(a_registration(), key=reader.json()["key"])
    platform = await door.post(a_registration(), key=door.admin)

    assert (wrong.status_code, unscoped.status_code) == (401, 403)
    assert platform.status_code == 422
    assert platform.json()["errors"][0]["field"] == "tenant"
    assert await door.published() == []
