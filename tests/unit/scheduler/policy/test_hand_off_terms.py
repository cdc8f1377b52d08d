"""What goes with a hand-off, and when it is taken back: silence, other figures, another address."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from deploy.demo import law
from services.scheduler.policy.decision import Decision
from services.scheduler.policy.explain import explain
from services.scheduler.policy.state import decode, encode
from shared.events import debt as events
from shared.events.handoff import HandoffRequested
from shared.events.hold import subject_of
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    TENANT,
    Desk,
    about,
    address_subject,
    at,
    hold,
    past,
    point,
    uid,
)
from tests.unit.scheduler.policy.test_fallback import DEBT, EMAIL, desk, on
from tests.unit.scheduler.policy.test_hand_off import closed

LANDLINE = "+551130001000"
MOBILE = "+5511987650000"
OPTIONAL = on("email", "handoff")
MANDATORY = OPTIONAL.replace("misfire: replan", "mandatory: true")


def handed(ladder: str = MANDATORY, **changes: Any) -> tuple[Desk, HandoffRequested]:
    """A debt whose step a person has since Monday noon; the person has two telephones."""
    points = (point(LANDLINE, channel="voice"), point(MOBILE, channel="voice", verified=True))
    made = desk(ladder, **{"contact_points": points} | changes)
    [item] = made.decide().work_items
    assert item.request is not None
    return made, item.request


def asked(decision: Decision) -> list[HandoffRequested]:
    return [item.request for item in decision.work_items if item.request is not None]


def ended(decision: Decision) -> list[tuple[str, str]]:
    return [(end.decision, end.rule) for end in decision.endings]


def payment(amount: int, day: str) -> events.PaymentReceived:
    return events.PaymentReceived(**about(when=day), amount=amount, currency="BRL", paid_at=at(day))


def test_a_request_says_where_when_how_often_and_what_stops_it() -> None:
    made, request = handed(past_contacts=(past("voice", "2026-10-04 15:00"),))
    debt = made.known.debts[DEBT]
    assert request.items[0].debt_id == debt.debt_id
    assert (request.debt_ref, request.debtor_ref) == ("d1", "c-1")
    assert (request.step_key, request.mandatory, request.locale) == ("notice", True, "pt-BR")
    assert request.values["amount"] == "R$ 1.120,00"
    [voice] = request.reach
    assert voice.addresses == (MOBILE, LANDLINE)
    today = made.now.date()
    assert voice.openings[0].opens == made.now
    assert all(each.opens < each.closes <= request.permit.not_after for each in voice.openings)
    assert {each.opens.date() for each in voice.openings} == {
        day for n in range(7) if (day := date.fromordinal(today.toordinal() + n)).weekday() < 6
    } - {date(2026, 10, 12)}, "six days a week, and no holiday"
    week = next(cap for cap in voice.caps if cap.key == "push-week")
    assert (week.maximum, week.days, week.used) == (3, 7, 1)
    assert subject_of("debt", TENANT, DEBT) in request.subjects
    assert subject_of("channel", TENANT, "handoff") in request.subjects
    assert request.permit.versions["pack:br-sp"] == "1"


def test_openings_are_the_law_as_it_is_told_a_second_time() -> None:
    _, request = handed()
    [voice] = request.reach
    places = (law.Place("BR", "SP", "America/Sao_Paulo"),)
    instant = request.permit.not_before
    while instant < request.permit.not_after:
        inside = any(each.opens <= instant < each.closes for each in voice.openings)
        assert inside is (law.forbidden(instant, places) is None), instant
        instant += timedelta(minutes=30)


def test_a_person_who_has_no_telephone_is_not_reached_by_one() -> None:
    _, request = handed(contact_points=(point(),))
    assert request.reach == ()


def test_where_the_law_is_not_known_nobody_is_reached() -> None:
    made = desk(MANDATORY, places=(events.Place(country="FR", zone="Europe/Paris"),))
    [item] = made.decide().work_items
    assert item.request is not None
    assert item.request.reach == ()


@pytest.mark.parametrize("ladder", [MANDATORY, OPTIONAL], ids=["mandatory", "optional"])
@pytest.mark.parametrize(
    ("kind", "event", "rule"),
    [
        ("debt.payment_received", payment(112_000, "2026-10-06 16:00"), "debt.settled"),
        ("debt.cancelled", events.DebtCancelled(**about()), "debt.cancelled"),
        ("debt.disputed", events.DebtDisputed(**about()), "debt.disputed"),
        (
            "debt.promise_made",
            events.PromiseMade(
                **about(), amount=112_000, currency="BRL", due_date=date(2026, 10, 20)
            ),
            "promise.open",
        ),
    ],
)
def test_what_silences_a_debt_takes_its_hand_offs_back_once(
    kind: str, event: Any, rule: str, ladder: str
) -> None:
    made, request = handed(ladder)
    made.tell(kind, event)
    decision = made.decide("2026-10-06 16:30")
    assert [end.work_item_id for end in decision.endings] == [request.work_item_id]
    assert ended(decision) == [("withdrawn", rule)]
    assert made.known.debts[DEBT].steps["notice"].state == "pending"
    assert made.decide("2026-10-06 17:00").endings == []


def test_after_a_dispute_a_person_is_asked_anew_under_another_id() -> None:
    made, request = handed()
    made.tell("debt.disputed", events.DebtDisputed(**about()))
    made.decide("2026-10-06 16:30")
    made.tell(
        "debt.dispute_resolved",
        events.DisputeResolved(**about(when="2026-10-07 12:00"), outcome="upheld"),
    )
    [anew] = asked(made.decide("2026-10-07 15:00"))
    assert anew.work_item_id != request.work_item_id
    assert anew.permit.not_after > request.permit.not_after


def test_other_figures_and_lost_addresses_renew_a_hand_off() -> None:
    made, request = handed()
    made.tell("debt.payment_received", payment(12_000, "2026-10-06 16:00"))
    decision = made.decide("2026-10-06 16:30")
    assert ended(decision) == [("withdrawn", "handoff.balance_changed")]
    [second] = asked(decision)
    assert second.values["amount"] == "R$ 1.000,00"
    revoked = events.ConsentChanged(
        debtor_id=DEBTOR,
        occurred_at=at("2026-10-06 17:00"),
        recorded_at=at("2026-10-06 17:00"),
        state="revoked",
        channel="voice",
        address=MOBILE,
        origin="call",
    )
    made.tell("debtor.consent_changed", revoked)
    decision = made.decide("2026-10-06 17:30")
    assert ended(decision) == [("withdrawn", "handoff.address_lost")]
    [third] = asked(decision)
    assert third.reach[0].addresses == (LANDLINE,)
    assert len({request.work_item_id, second.work_item_id, third.work_item_id}) == 3


def test_a_message_that_can_go_after_all_takes_the_step_back() -> None:
    made, _ = handed()
    mailbox = point(EMAIL, channel="email", consent="granted")
    facts = events.DebtorFacts(contact_points=(mailbox,))
    told = about(when="2026-10-06 16:00") | {"debt_id": None, "portfolio_id": None}
    made.tell("debtor.updated", events.DebtorUpdated(**told, debtor=facts))
    decision = made.decide("2026-10-06 16:30")
    assert [plan.channel for plan in decision.contacts] == ["email"]
    assert len(ended(decision)) == 1


def test_a_hold_on_hand_offs_takes_them_back_and_its_end_asks_anew() -> None:
    made, _ = handed()
    made.holds = [hold("channel", subject_of("channel", TENANT, "handoff"))]
    decision = made.decide("2026-10-06 16:30")
    assert ended(decision) == [("withdrawn", "hold")]
    assert asked(decision) == []
    assert decision.held, "a lift wakes the debtor"
    made.holds = []
    assert len(asked(made.decide("2026-10-06 17:00"))) == 1


@pytest.mark.parametrize(
    ("outcome", "over"),
    [("right_party", True), ("delivered_notice", True), ("no_answer", False)],
)
def test_a_reported_contact_that_names_the_hand_off_may_do_it(outcome: str, *, over: bool) -> None:
    made, request = handed()
    report = events.ContactRecorded(
        **about(), channel="voice", at=made.now, outcome=outcome, work_item_id=request.work_item_id
    )
    folded = made.tell("contact.recorded", report, uid("report"))
    assert [end.decision for end in folded.endings] == ["done"] * over
    assert made.tell("contact.recorded", report, uid("report")).endings == [], "told twice"
    debt = made.known.debts[DEBT]
    assert (debt.steps["notice"].state == "handed_off") is over
    assert (not debt.handed) is over
    assert len(made.known.past) == 1, "it counts in caps once"


def test_a_reported_contact_of_another_item_changes_nothing() -> None:
    made, _ = handed()
    report = events.ContactRecorded(
        **about(), channel="voice", at=made.now, outcome="right_party", work_item_id=uuid4()
    )
    assert made.tell("contact.recorded", report).endings == []
    assert made.known.debts[DEBT].handed


def test_a_person_may_ask_anew() -> None:
    made, request = handed()
    decided = closed("notice", "approve")
    made.tell(
        "work_item.closed", msgspec.structs.replace(decided, work_item_id=request.work_item_id)
    )
    [anew] = asked(made.decide("2026-10-14 15:00"))
    assert anew.work_item_id != request.work_item_id


def test_a_decision_on_an_item_that_was_asked_anew_ends_that_one_too() -> None:
    made, request = handed()
    made.tell("debt.payment_received", payment(12_000, "2026-10-06 16:00"))
    [second] = asked(made.decide("2026-10-06 16:30"))
    late = msgspec.structs.replace(closed("notice", "done"), work_item_id=request.work_item_id)
    folded = made.tell("work_item.closed", late)
    assert [end.work_item_id for end in folded.endings] == [second.work_item_id]
    assert made.known.debts[DEBT].steps["notice"].state == "handed_off"


def test_explaining_takes_nothing_back() -> None:
    made, _ = handed()
    made.tell("debt.cancelled", events.DebtCancelled(**about()))
    before = encode(made.known)
    explain(made.known, made.book, made.holds, made.now, address_subject)
    assert encode(made.known) == before
    assert encode(decode(before)) == before
