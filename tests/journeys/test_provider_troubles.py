"""The provider throttles, fails, hangs, babbles: nobody hears twice, nothing gets lost.

One tenant per story. Told by the provider's log and the ledger.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.debtors import Debtor
from tests.support.journey import Journey, instant

HEALTHY = 6  # others on the same account, who must not suffer
RETRY_AFTER_SECONDS = 1

# Each leaves our side in the dark; `accepted` says what the provider knows.
NOT_ACCEPTED: dict[str, dict[str, Any]] = {
    "error before": {"kind": "error_500_before"},
    "silence before": {"kind": "timeout_before"},
    "reset before": {"kind": "reset_connection", "accepted": False},
    "garbled refusal": {"kind": "garbled_answer", "accepted": False, "shape": "html"},
}
ACCEPTED: dict[str, dict[str, Any]] = {
    "error after": {"kind": "error_500_after_acceptance"},
    "silence after": {"kind": "timeout_after_acceptance"},
    "reset after": {"kind": "reset_connection", "accepted": True},
}
GARBLED: dict[str, dict[str, Any]] = {
    shape: {"kind": "garbled_answer", "accepted": True, "shape": shape}
    for shape in ("html", "truncated", "empty", "wrong_json")
}


def struck(journey: Journey, troubles: dict[str, dict[str, Any]]) -> dict[str, Debtor]:
    """One person for each trouble, and healthy ones around them; their debts are posted."""
    people = journey.people(len(troubles) + HEALTHY)
    met = dict(zip(troubles, people, strict=False))
    for name, person in met.items():
        journey.faults(troubles[name] | {"match": {"recipient": person.phone}, "times": 1})
    journey.register(people)
    journey.driver.drain()
    return met


def test_a_provider_that_asks_to_wait_is_obeyed_and_nobody_is_forgotten(journey: Journey) -> None:
    people = journey.people(HEALTHY)
    told = {"kind": "throttle_429", "retry_after": RETRY_AFTER_SECONDS, "times": 1}
    for person in people[:2]:
        journey.faults(told | {"match": {"recipient": person.phone}})
    journey.register(people)
    journey.driver.drain()

    assert journey.accepted() == {journey.digest(person): 1 for person in people}
    for person in people[:2]:
        [first, second] = [instant(line["machine_at"]) for line in journey.truth("request", person)]
        assert second - first >= timedelta(seconds=RETRY_AFTER_SECONDS)
    refused = journey.events("contact.attempt_refused.v1")
    assert len(refused) == 2
    assert {event["data"]["error"] for event in refused} == {"throttled"}
    journey.settle()
    journey.check()


def test_what_was_perhaps_not_taken_is_never_sent_again_and_ends_unknown(
    journey: Journey,
) -> None:
    met = struck(journey, NOT_ACCEPTED)
    for person in met.values():
        [contact] = journey.contacts_of(person)
        assert contact["state"] == "unknown"
        assert instant(contact["resolve_by"]) > journey.driver.now

    journey.settle()

    for name, person in met.items():
        assert len(journey.truth("request", person)) == 1, name
        assert journey.truth("accepted", person) == [], name
        [contact] = journey.contacts_of(person)
        assert (contact["state"], contact["balance_class"]) == ("unknown_final", "unknown"), name
    assert len(journey.accepted()) == HEALTHY
    journey.check()


@pytest.mark.parametrize("troubles", [ACCEPTED, GARBLED], ids=["cut off", "garbled"])
def test_what_was_taken_without_our_knowing_is_learnt_from_its_receipt(
    journey: Journey, troubles: dict[str, dict[str, Any]]
) -> None:
    met = struck(journey, troubles)
    journey.settle()

    for name, person in met.items():
        assert len(journey.truth("request", person)) == 1, name
        assert len(journey.truth("accepted", person)) == 1, name
        [contact] = journey.contacts_of(person)
        assert contact["state"] == "delivered", name
    assert len(journey.accepted()) == HEALTHY + len(met)
    journey.check()


def test_taken_without_answer_or_receipt_is_unknown_for_ever_and_never_repeated(
    journey: Journey,
) -> None:
    [person, other] = journey.people(2)
    for kind in ("reset_connection", "lose_receipts"):
        fault = {"kind": kind, "match": {"recipient": person.phone}}
        journey.faults(fault | ({"accepted": True} if kind == "reset_connection" else {}))
    journey.register([person, other])
    journey.settle()

    assert len(journey.truth("request", person)) == 1
    [contact] = journey.contacts_of(person)
    assert (contact["state"], contact["balance_class"]) == ("unknown_final", "unknown")
    totals = journey.platform.ledger("/v1/balance")["totals"]
    assert (totals["sent"], totals["unknown"], totals["balanced"]) == (1, 1, True)


def test_a_number_that_does_not_exist_fails_once_and_is_not_tried_again(journey: Journey) -> None:
    [person, other] = journey.people(2)
    journey.faults(
        {"kind": "refuse", "code": 21211, "match": {"recipient": person.phone}},
    )
    journey.register([person, other])
    journey.run_until(journey.start + timedelta(days=12))

    assert len(journey.truth("request", person)) == 1
    assert len(journey.truth("accepted", other)) > 1
    contacts = journey.contacts_of(person)
    [failed] = [contact for contact in contacts if contact["state"] == "failed"]
    assert failed["state_code"] == "recipient_invalid"
    assert {contact["balance_class"] for contact in contacts if contact != failed} <= {"withheld"}
    journey.check()
