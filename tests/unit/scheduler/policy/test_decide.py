"""Deciding: the ladder forward, one message per person, silence, caps, and what is withheld."""

from datetime import date
from typing import Any

import pytest

from services.scheduler.policy.decision import Decision, VerdictKind
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.progress import approved, waived
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import copy, encode
from shared.events import debt as events
from shared.events.hold import subject_of
from shared.events.states import ContactState
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    TENANT,
    Desk,
    about,
    at,
    done,
    hold,
    point,
    portfolio,
    registered,
    rulebook,
    uid,
)

DEBT = str(uid("d1"))

MANDATORY = """\
ladder: br-consumer-standard
version: 1
steps:
  - {key: before, offset_days: -3, stage: 0, channels: [sms], templates: {sms: t}}
  - {key: first, offset_days: 1, stage: 0, channels: [sms], templates: {sms: t}}
  - {key: must, offset_days: 5, stage: 1, channels: [sms], templates: {sms: t}, mandatory: true}
  - {key: third, offset_days: 10, stage: 1, channels: [sms], templates: {sms: t}}
  - {key: fourth, offset_days: 20, stage: 2, channels: [sms], templates: {sms: t}}
"""


def payment(amount: int, when: str, name: str = "d1") -> Any:
    fields = about(name, when) | {"amount": amount, "currency": "BRL", "paid_at": at(when)}
    return events.PaymentReceived(**fields)


def desk_with(now: str = "2026-10-06 15:00", **changes: Any) -> Desk:
    desk = Desk(now=now)
    desk.tell("debt.registered", registered(**changes))
    return desk


def mandatory_book(**changes: Any) -> Rulebook:
    return rulebook(ladders=[load_ladder(MANDATORY)], portfolios={"br": portfolio()}, **changes)


def steps_of(decision: Decision) -> list[str]:
    return [plan.step_key for plan in decision.contacts]


def rule_of(decision: Decision, debt: str = DEBT) -> str:
    return decision.per_debt[debt].reasons[-1].rule


def test_a_due_step_is_planned_in_the_window_of_this_moment() -> None:
    plan = desk_with().decide().contacts[0]
    assert plan.step_key == "d1-notice"
    assert plan.due_at == at("2026-10-06 15:00")
    assert plan.not_after == at("2026-10-06 20:00-03:00")
    assert plan.local_date == date(2026, 10, 6)
    assert [item.step_key for item in plan.items] == ["d1-notice"]


def test_deciding_again_plans_nothing_new() -> None:
    desk = desk_with()
    desk.decide()
    before = encode(desk.known)
    again = desk.decide()
    assert (again.contacts, again.cancel) == ([], [])
    assert encode(desk.known) == before
    assert again.per_debt[DEBT].kind == VerdictKind.CONTACT


def test_outside_the_window_the_contact_is_planned_for_its_opening() -> None:
    plan = desk_with("2026-10-06 22:30-03:00").decide().contacts[0]
    assert plan.due_at == at("2026-10-07 08:00-03:00")
    assert plan.local_date == date(2026, 10, 7)


def test_before_its_day_a_step_wakes_the_debtor_when_its_window_opens() -> None:
    decision = desk_with("2026-09-25 15:00").decide()
    assert decision.contacts == []
    assert decision.wake_at == at("2026-09-30 08:00-03:00")


def test_a_debt_enters_mid_life_at_the_last_step_it_has_reached() -> None:
    desk = desk_with("2026-10-22 15:00")  # 17 days past due
    assert steps_of(desk.decide()) == ["d15-offer-talk"]
    records = desk.known.debts[DEBT].steps
    late = [key for key, record in records.items() if record.state == "entered_late"]
    assert late == ["d-5-reminder", "d-1-reminder", "d1-notice", "d5-notice", "d10-notice"]


def test_earlier_mandatory_steps_come_first_and_before_due_ones_never() -> None:
    desk = Desk(mandatory_book(), "2026-10-16 15:00")  # 11 days past due
    desk.tell("debt.registered", registered())
    first = desk.decide()
    assert steps_of(first) == ["must"]
    desk.send(first.contacts[0].contact_id)
    assert steps_of(desk.decide("2026-10-19 15:00")) == ["third"]
    assert desk.known.debts[DEBT].steps["before"].state == "entered_late"


def test_steps_done_elsewhere_are_not_repeated() -> None:
    desk = desk_with("2026-10-12 15:00", steps_done=(done("d5-notice", "2026-10-10 15:00"),))
    decision = desk.decide()
    assert decision.contacts == []
    assert decision.wake_at == at("2026-10-15 08:00-03:00")


def test_a_debt_that_comes_at_a_high_stage_gets_no_milder_step() -> None:
    desk = desk_with("2026-10-13 15:00", stage=2)
    decision = desk.decide()
    assert decision.contacts == []
    assert decision.wake_at == at("2026-10-26 08:00-03:00")  # the first step of stage 2


def test_the_stage_rises_when_a_provider_accepts_and_never_when_planning() -> None:
    desk = desk_with("2026-10-10 15:00")
    contact = desk.decide().contacts[0].contact_id
    assert desk.known.debts[DEBT].stage == 0
    desk.send_without_answer(contact)
    folded = desk.report(contact, "accepted")
    assert [(kind, fact.stage) for kind, fact in folded.facts] == [("debt.stage_advanced.v1", 1)]
    assert desk.known.debts[DEBT].stage == 1
    assert desk.report(contact, "delivered").facts == []


def test_a_mandatory_step_is_waited_for_and_its_unknown_end_asks_a_person() -> None:
    desk = Desk(mandatory_book(), "2026-10-13 15:00")
    desk.tell("debt.registered", registered())
    contact = desk.decide().contacts[0].contact_id
    desk.send_without_answer(contact)
    desk.report(contact, "unknown")
    folded = desk.report(contact, "unknown_final")
    assert [item.kind for item in folded.work_items] == ["mandatory_unknown_final"]
    blocked = desk.decide("2026-10-27 15:00")
    assert (blocked.contacts, rule_of(blocked)) == ([], "ladder.mandatory_unknown")
    again = copy(desk.known)
    waived(desk.known, uid("d1"), "must", desk.now)
    assert steps_of(desk.decide("2026-10-27 15:00")) == ["fourth"]
    desk.state = again
    approved(desk.known, uid("d1"), "must")
    assert [plan.k for plan in desk.decide("2026-10-27 15:00").contacts] == [2]


def test_an_optional_step_that_ended_unknown_is_not_repeated() -> None:
    desk = desk_with()
    contact = desk.decide().contacts[0].contact_id
    desk.send_without_answer(contact)
    desk.report(contact, "unknown_final")
    assert steps_of(desk.decide("2026-10-10 15:00")) == ["d5-notice"]


@pytest.mark.parametrize(
    ("fact", "now", "k"),
    [("cancelled", "2026-10-06 16:00", 2), ("expired", "2026-10-07 15:00", 2)],
)
def test_a_certain_non_send_frees_the_step_under_a_new_number(fact: str, now: str, k: int) -> None:
    desk = desk_with()
    first = desk.decide().contacts[0]
    desk.known.contacts[str(first.contact_id)].state = int(ContactState[fact.upper()])
    second = desk.decide(now).contacts[0]
    assert (second.step_key, second.k) == (first.step_key, k)
    assert second.contact_id != first.contact_id


def test_failures_are_retried_on_other_days_and_not_for_ever() -> None:
    desk = desk_with(contact_points=(point(),))
    days = []
    for day in range(6, 11):
        for plan in desk.decide(f"2026-10-{day:02d} 15:00").contacts:
            if plan.step_key == "d1-notice":
                days.append(day)
            desk.send_without_answer(plan.contact_id)
            desk.report(plan.contact_id, "failed")
    assert days == [6, 7, 8]


@pytest.mark.parametrize("later", ["2026-10-10 15:00", "2026-10-14 15:00"])
def test_a_late_optional_step_is_missed_and_the_ladder_goes_on(later: str) -> None:
    desk = desk_with("2026-10-06 15:00")
    desk.holds = [hold("debtor", subject_of("debtor", TENANT, str(DEBTOR)))]
    assert desk.decide().contacts == []
    desk.holds = []
    assert steps_of(desk.decide(later)) == ["d5-notice"]
    assert desk.known.debts[DEBT].steps["d1-notice"].state == "missed"
