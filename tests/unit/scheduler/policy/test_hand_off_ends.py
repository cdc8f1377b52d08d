"""When a hand-off is over although nobody closed it, and when it must not be asked for again."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.scheduler.policy.state import decode, encode
from shared.events import debt as events
from shared.events.hold import subject_of
from tests.unit.scheduler.policy.builders import TENANT, Desk, about, at, hold, point, uid
from tests.unit.scheduler.policy.test_fallback import DEBT, desk, on, sent
from tests.unit.scheduler.policy.test_hand_off import closed
from tests.unit.scheduler.policy.test_hand_off_terms import (
    LANDLINE,
    MANDATORY,
    MOBILE,
    asked,
    ended,
    handed,
    payment,
)


def caller(*channels: str, **changes: Any) -> Desk:
    """Somebody with a mobile for messages, and two telephones."""
    points = (
        point(MOBILE, consent="granted"),
        point(MOBILE, channel="voice"),
        point(LANDLINE, channel="voice"),
    )
    return desk(on(*(channels or ("sms", "handoff"))), **{"contact_points": points} | changes)


def followed_up() -> tuple[Desk, UUID]:
    """A message that left on the 6th and was not answered: a person has its step."""
    made = caller()
    _, contact_id = sent(made, "2026-10-06 15:00")
    made.report(contact_id, "undelivered")
    [_] = asked(made.decide("2026-10-11 15:00"))
    return made, contact_id


def updated(when: str, **facts: Any) -> events.DebtorUpdated:
    told = about(when=when) | {"debt_id": None, "portfolio_id": None}
    return events.DebtorUpdated(**told, debtor=events.DebtorFacts(**facts))


def report_of(work_item_id: UUID, outcome: str = "right_party") -> events.ContactRecorded:
    when = "2026-10-06 16:29"
    return events.ContactRecorded(
        **about(when=when), channel="voice", at=at(when), outcome=outcome, work_item_id=work_item_id
    )


@pytest.mark.parametrize("channels", [("sms", "handoff"), ("sms", "email", "handoff")])
@pytest.mark.parametrize("fact", ["opted_out", "complained"])
def test_who_stopped_the_message_is_not_called_about_it(
    fact: str, channels: tuple[str, ...]
) -> None:
    made = caller(*channels)
    _, contact_id = sent(made, "2026-10-06 15:00")
    made.report(contact_id, fact)
    for day in (8, 10, 11, 13):
        assert asked(made.decide(f"2026-10-{day:02d} 15:00")) == []


def test_a_stop_takes_the_open_hand_off_back_and_nobody_is_asked_anew() -> None:
    made, contact_id = followed_up()
    made.now = at("2026-10-11 16:00")
    made.report(contact_id, "opted_out")
    decision = made.decide("2026-10-11 16:30")
    assert ended(decision) == [("withdrawn", "handoff.opted_out")]
    assert asked(decision) == asked(made.decide("2026-10-12 16:30")) == []


def test_a_report_on_an_item_that_was_asked_anew_ends_the_new_one() -> None:
    made, first = handed()
    made.tell("debt.payment_received", payment(12_000, "2026-10-06 16:00"))
    [second] = asked(made.decide("2026-10-06 16:30"))
    report = report_of(first.work_item_id)
    folded = made.tell("contact.recorded", report, uid("report"))
    assert [(end.work_item_id, end.decision) for end in folded.endings] == [
        (second.work_item_id, "done")
    ]
    assert made.known.debts[DEBT].steps["notice"].state == "handed_off"
    assert asked(made.decide("2026-10-07 15:00")) == []


def test_a_report_on_an_item_that_a_hold_took_back_is_not_asked_for_again() -> None:
    made, first = handed()
    made.holds = [hold("channel", subject_of("channel", TENANT, "handoff"))]
    made.decide("2026-10-06 16:30")
    assert made.tell("contact.recorded", report_of(first.work_item_id)).endings == []
    made.holds = []
    assert asked(made.decide("2026-10-06 17:00")) == []


def test_a_copy_of_a_report_does_not_end_what_was_asked_anew_since() -> None:
    made, first = handed()
    made.tell("contact.recorded", report_of(first.work_item_id), uid("report"))
    approved = msgspec.structs.replace(closed("notice", "approve"), work_item_id=first.work_item_id)
    made.tell("work_item.closed", approved)
    [_] = asked(made.decide("2026-10-07 15:00"))
    folded = made.tell("contact.recorded", report_of(first.work_item_id), uid("report"))
    assert folded.endings == []
    assert made.known.debts[DEBT].handed


def test_interest_that_grows_every_day_asks_nobody_anew() -> None:
    made, _ = handed()
    for day in range(7, 12):
        when = f"2026-10-{day:02d} 12:00"
        grown = events.DebtUpdated(**about(when=when), interest=10_000 + day)
        made.tell("debt.updated", grown)
        decision = made.decide(when)
        assert (ended(decision), asked(decision)) == ([], [])


@pytest.mark.parametrize(
    "facts",
    [
        {"places": (events.Place(country="BR", subdivision="AC", zone="America/Rio_Branco"),)},
        {
            "contact_points": (
                point(LANDLINE, channel="voice"),
                point(MOBILE, channel="voice", verified=True),
                point("+5568999990000", channel="voice"),
            )
        },
    ],
    ids=["place", "telephone"],
)
def test_other_hours_renew_a_hand_off(facts: dict[str, Any]) -> None:
    made, _ = handed()
    made.tell("debtor.updated", updated("2026-10-06 16:00", **facts))
    decision = made.decide("2026-10-06 16:30")
    assert ended(decision) == [("withdrawn", "handoff.law_changed")]
    [anew] = asked(decision)
    morning = anew.reach[0].openings[1].opens
    assert morning == at("2026-10-07 13:00"), "08:00 in Acre"
    assert ended(made.decide("2026-10-06 17:00")) == []


def test_a_hand_off_of_before_its_law_was_kept_stands() -> None:
    made, _ = handed()
    made.known.debts[DEBT].handed["notice"].law = ""
    made.state = decode(encode(made.known))
    assert b'"law"' not in encode(made.known)
    assert ended(made.decide("2026-10-06 16:30")) == []


@pytest.mark.parametrize("fact", ["replied", "read", "delivered"])
def test_an_answer_takes_the_hand_off_of_a_follow_up_back(fact: str) -> None:
    made = caller()
    _, contact_id = sent(made, "2026-10-06 15:00")
    [_] = asked(made.decide("2026-10-07 15:00"))
    made.now = at("2026-10-07 16:00")
    made.report(contact_id, fact)
    decision = made.decide("2026-10-07 16:30")
    assert ended(decision) == [("withdrawn", "fallback.not_needed")]
    assert asked(decision) == asked(made.decide("2026-10-08 15:00")) == []


def test_a_hold_on_hand_offs_delays_that_of_a_follow_up() -> None:
    made, _ = followed_up()
    made.holds = [hold("channel", subject_of("channel", TENANT, "handoff"))]
    decision = made.decide("2026-10-11 16:00")
    assert ended(decision) == [("withdrawn", "hold")]
    assert decision.held, "a lift wakes the debtor"
    made.holds = []
    assert len(asked(made.decide("2026-10-11 17:00"))) == 1


def test_a_hold_on_hand_offs_does_not_delay_what_a_person_did_already() -> None:
    made, _ = followed_up()
    given = made.known.debts[DEBT].handed["notice"]
    made.tell("contact.recorded", report_of(given.work_item_id))
    made.holds = [hold("channel", subject_of("channel", TENANT, "handoff"))]
    assert not made.decide("2026-10-11 17:00").held


AFTER_NOTICE = "    offset_days: 20\n    after_step: notice\n    mandatory: true\n"


@pytest.mark.parametrize("ladder", [MANDATORY, on("email", "handoff")])
def test_what_a_person_did_is_what_later_steps_build_on(ladder: str) -> None:
    ladder = ladder.replace("    offset_days: 20\n", AFTER_NOTICE)
    made, request = handed(ladder, contact_points=(point(), point(MOBILE, channel="voice")))
    made.decide("2026-10-06 16:00")
    report = report_of(request.work_item_id, "delivered_notice")
    made.tell("contact.recorded", report)
    step = made.known.debts[DEBT].steps["notice"]
    assert (step.state, step.reason, step.at) == ("handed_off", "done", report.at)
    [plan] = made.decide("2026-10-27 15:00").contacts
    assert plan.step_key == "later"


def test_a_step_that_a_person_only_has_is_not_built_on() -> None:
    made, _ = handed(MANDATORY.replace("    offset_days: 20\n", AFTER_NOTICE))
    assert made.decide("2026-10-27 15:00").contacts == []
