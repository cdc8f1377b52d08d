"""Receipts late, twice, in the wrong order, never, false: states only move forward.

One tenant per story. Told by the provider's log and the ledger.
"""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from deploy.sandbox.twilio_signature import sign
from shared.events.states import STATE_AFTER, rank
from tests.support import tenancy
from tests.support.debtors import Debtor
from tests.support.journey import Journey, until

LATE = timedelta(hours=3)
TROUBLES: dict[str, list[dict[str, Any]]] = {
    "twice": [{"kind": "duplicate_receipt"}],
    "backwards": [{"kind": "reorder_receipts"}],
    "backwards and twice": [{"kind": "reorder_receipts"}, {"kind": "duplicate_receipt"}],
    "late": [{"kind": "late_receipt", "law_seconds": LATE.total_seconds()}],
    # The receipts come a second before the answer to the call that they are about.
    "early": [{"kind": "timeout_after_acceptance", "seconds": 1.0}],
    "never": [{"kind": "lose_receipts"}],
}


def post_receipt(journey: Journey, sid: str, status: str) -> None:
    """Let the provider say something, true or not, about a message that it accepted."""
    before = len(journey.truth("callback"))
    body = {"message_sid": sid, "status": status}
    journey.platform.sandbox("POST", "/sandbox/receipts", body)
    until(lambda: len(journey.truth("callback")) > before, "the receipt at our door")


def states_told(journey: Journey, person: Debtor) -> list[str]:
    """Every state fact about a person, in the order in which the ledger recorded them."""
    lines = [line for line in journey.history(person) if line["type"] in STATE_AFTER]
    return [line["type"] for line in sorted(lines, key=lambda line: line["recorded_at"])]


def test_receipts_in_any_order_and_number_leave_the_truth(journey: Journey) -> None:
    people = journey.people(len(TROUBLES))
    met = dict(zip(TROUBLES, people, strict=True))
    for name, person in met.items():
        journey.faults(*(f | {"match": {"recipient": person.phone}} for f in TROUBLES[name]))
    journey.register(people)
    journey.driver.drain()
    assert {name: journey.contacts_of(person)[0]["state"] for name, person in met.items()} == {
        **dict.fromkeys(TROUBLES, "delivered"),
        "late": "sent",
        "never": "accepted",
    }
    journey.settle()
    for name, person in met.items():
        assert len(journey.truth("request", person)) == 1, name
        [contact] = journey.contacts_of(person)
        assert contact["state"] == ("accepted" if name == "never" else "delivered"), name
        assert contact["accepted"] == 1, name
        told = states_told(journey, person)
        assert len(told) == len(set(told)), f"{name}: the same state was told twice"
    journey.check()


def test_a_receipt_that_contradicts_what_is_known_changes_nothing(journey: Journey) -> None:
    [person] = journey.people(1)
    journey.register([person])
    journey.driver.drain()
    [accepted] = journey.truth("accepted", person)
    for status in ("sent", "undelivered", "failed", "queued"):
        post_receipt(journey, accepted["message_sid"], status)
    journey.driver.drain()
    [contact] = journey.contacts_of(person)
    assert contact["state"] == "delivered"
    facts = [STATE_AFTER[type_] for type_ in states_told(journey, person)]
    assert max(facts, key=rank).name.lower() == "delivered"
    journey.settle()
    journey.check()


def test_a_receipt_after_the_end_of_an_unknown_still_raises_it(journey: Journey) -> None:
    [person] = journey.people(1)
    match = {"match": {"recipient": person.phone}}
    journey.faults(
        {"kind": "reset_connection", "accepted": True} | match, {"kind": "lose_receipts"} | match
    )
    journey.register([person])
    journey.settle()
    assert journey.contacts_of(person)[0]["state"] == "unknown_final"

    [accepted] = journey.truth("accepted", person)
    post_receipt(journey, accepted["message_sid"], "delivered")
    journey.driver.drain()
    assert journey.contacts_of(person)[0]["state"] == "delivered"
    journey.check()


def signed(url: str, fields: dict[str, str], token: str) -> dict[str, str]:
    """Headers of a webhook with the provider's signature under this token."""
    return {"X-Twilio-Signature": sign(token, url, fields)}


def inbound(journey: Journey, person: Debtor, text: str, number: int = 1) -> dict[str, str]:
    """An inbound message as the provider posts it."""
    return {
        "AccountSid": journey.sid,
        "MessageSid": f"SM{number:032x}",
        "SmsStatus": "received",
        "From": person.phone,
        "To": tenancy.sender_number(journey.number),
        "Body": text,
    }


def test_what_the_provider_did_not_sign_changes_nothing(journey: Journey) -> None:
    [person] = journey.people(1)
    journey.register([person])
    journey.driver.drain()
    before = {event["id"] for event in journey.events()}
    token = journey.stack.keys["sandbox_account"]
    url = f"{journey.stack.url('sms_sender')}/webhooks/twilio/{journey.tenant_id}/br-sms"
    contact_id = journey.contacts_of(person)[0]["contact_id"]
    stop = inbound(journey, person, "SAIR")
    forged = f"{url}?c={contact_id}&n=1&a={contact_id}&s=0123456789abcdef"
    other = f"{journey.stack.url('sms_sender')}/webhooks/twilio/{journey.tenant_id}/other"

    def answer(to: str, fields: dict[str, str] | bytes, headers: dict[str, str]) -> int:
        content = fields if isinstance(fields, bytes) else None
        data = None if isinstance(fields, bytes) else fields
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return httpx.post(to, content=content, data=data, headers=form | headers).status_code

    assert answer(url, stop, {}) == 403
    assert answer(url, stop, signed(url, stop, "guessed")) == 403
    assert answer(url, stop | {"Body": "PARE"}, signed(url, stop, token)) == 403
    assert answer(url + "?x=1", stop, signed(url, stop, token)) == 403
    assert answer(forged, stop, signed(forged, stop, token)) == 403
    assert answer(url, b"\xff\xfe not a form", signed(url, stop, token)) == 403
    assert answer(other, stop, signed(other, stop, token)) == 404
    assert answer(url, b"x" * 300_000, signed(url, stop, token)) == 413
    journey.driver.drain()
    assert {event["id"] for event in journey.events()} == before
    holds = journey.platform.call("GET", "scheduler", "/v1/holds", headers=journey.platform.tenant)
    assert holds["holds"] == []


@pytest.mark.parametrize("times", [3])
def test_an_authentic_webhook_replayed_counts_once(journey: Journey, times: int) -> None:
    [person] = journey.people(1)
    journey.register([person])
    journey.driver.drain()
    url = f"{journey.stack.url('sms_sender')}/webhooks/twilio/{journey.tenant_id}/br-sms"
    said = inbound(journey, person, "vou pagar na sexta", 2)
    headers = signed(url, said, journey.stack.keys["sandbox_account"])
    answers = [httpx.post(url, data=said, headers=headers).status_code for _ in range(times)]
    assert answers == [200] * times
    journey.driver.drain()
    assert len(journey.events("contact.replied.v1")) == 1
    garbled = {"AccountSid": journey.sid, "Nonsense": "1"}
    sure = signed(url, garbled, journey.stack.keys["sandbox_account"])
    assert httpx.post(url, data=garbled, headers=sure).status_code == 200
    journey.driver.drain()
    assert len(journey.events("contact.replied.v1")) == 1
    journey.check()
