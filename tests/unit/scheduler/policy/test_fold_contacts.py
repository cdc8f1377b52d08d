"""Folding what senders tell: states that rise, late evidence, replies."""

from datetime import date

import pytest

from shared.events.states import ContactState
from tests.unit.scheduler.policy.builders import (
    Desk,
    at,
    point,
    registered,
    uid,
)


def test_states_of_contacts_only_rise() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    contact = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    desk.send(contact)
    desk.report(contact, "delivered")
    assert desk.report(contact, "undelivered").touched_contacts == set()
    assert desk.report(contact, "failed").touched_contacts == set()
    assert desk.known.contacts[str(contact)].state == ContactState.DELIVERED


def test_late_evidence_closes_the_newer_contact_that_was_only_planned() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    first = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    desk.send_without_answer(first)
    desk.report(first, "failed")
    second = desk.decide("2026-10-07 15:00").contacts[0].contact_id
    assert second != first
    folded = desk.report(first, "delivered")
    assert [contact_id for contact_id, _ in folded.cancelled] == [second]
    assert desk.known.contacts[str(second)].state == ContactState.CANCELLED
    assert [item.kind for item in folded.work_items] == ["late_evidence"]
    assert desk.decide("2026-10-08 15:00").contacts == []


def test_late_evidence_asks_the_sender_to_close_what_was_dispatched() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    first = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    desk.send_without_answer(first)
    desk.report(first, "failed")
    second = desk.decide("2026-10-07 15:00").contacts[0].contact_id
    desk.send_without_answer(second)
    folded = desk.report(first, "delivered")
    assert folded.close_requests == [second]
    assert desk.known.debts[str(uid("d1"))].steps["d1-notice"].state == "sent"


@pytest.mark.parametrize(
    ("intent", "confident", "kinds"),
    [
        ("help", True, ["unsure_reply"]),
        ("promise", False, ["unsure_reply"]),
        ("paid", True, ["claims_paid"]),
        ("dispute", True, ["dispute_reply"]),
        ("wrong_person", True, []),
    ],
)
def test_replies_act_or_ask_a_person(intent: str, confident: bool, kinds: list[str]) -> None:  # noqa: FBT001
    desk = Desk()
    desk.tell("debt.registered", registered())
    contact = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    desk.send(contact)
    folded = desk.report(contact, "replied", intent=intent, confident=confident)
    assert [item.kind for item in folded.work_items] == kinds
    if intent in ("paid", "dispute"):
        assert desk.decide("2026-10-10 15:00").contacts == []


def test_a_promise_by_reply_silences_until_its_date_and_grace() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    contact = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    desk.send(contact)
    desk.report(contact, "replied", intent="promise", promise_date=date(2026, 10, 9))
    decision = desk.decide("2026-10-10 15:00")
    assert decision.contacts == []
    assert decision.wake_at == at("2026-10-13 00:00-03:00")


def test_an_opt_out_marks_the_address_it_answers() -> None:
    desk = Desk()
    other = point("+5511912345678")
    desk.tell("debt.registered", registered(contact_points=(point(), other)))
    contact = desk.decide("2026-10-06 15:00").contacts[0].contact_id
    used = desk.send(contact).address
    desk.report(contact, "opted_out", intent="opt_out")
    states = {p.address: p.consent.state for p in desk.known.points if p.consent}
    assert states == {used: "revoked"}
    following = desk.decide("2026-10-13 15:00").contacts[0].contact_id
    assert desk.send(following).address != used
