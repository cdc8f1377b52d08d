"""Explain says what decide and gate do, with every rule's verdict, and changes nothing."""

from typing import Any

import msgspec
import pytest

from services.scheduler.policy.explain import explain
from services.scheduler.policy.silence import RULES
from services.scheduler.policy.state import encode
from shared.events import debt as events
from shared.events.hold import subject_of
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    SAO_PAULO_PHONE,
    TENANT,
    Desk,
    about,
    address_subject,
    at,
    hold,
    past,
    registered,
    uid,
)


def explained(desk: Desk, now: str) -> dict[str, object]:
    answer = explain(desk.known, desk.book, desk.holds, at(now), address_subject)
    raw: dict[str, object] = msgspec.to_builtins(answer)
    return raw


def desk_with(**changes: Any) -> Desk:
    desk = Desk()
    desk.tell("debt.registered", registered(**changes))
    return desk


def test_it_tells_what_would_happen_now() -> None:
    desk = desk_with()
    answer = explain(desk.known, desk.book, [], at("2026-10-06 15:00"), address_subject)
    assert [(d.verdict, d.next_step, d.next_lawful) for d in answer.debts] == [
        ("contact", "d1-notice", at("2026-10-06 15:00"))
    ]
    assert [(c.gate, c.step_key) for c in answer.contacts] == [("go", "d1-notice")]


def test_it_tells_when_next_outside_the_window() -> None:
    desk = desk_with()
    answer = explain(desk.known, desk.book, [], at("2026-10-06 20:00-03:00"), address_subject)
    assert answer.next_lawful == at("2026-10-07 08:00-03:00")
    assert [(c.gate, c.until) for c in answer.contacts] == [("defer", answer.next_lawful)]


@pytest.mark.parametrize("now", ["2026-09-20 15:00", "2026-10-06 15:00", "2026-12-24 03:00"])
def test_every_rule_is_listed_whatever_the_verdict(now: str) -> None:
    desk = desk_with()
    answer = explain(desk.known, desk.book, [], at(now), address_subject)
    told = {reason.rule for reason in answer.debts[0].rules}
    assert {name for name, _ in RULES} <= told
    assert {"calendar.window", "caps.push-day", "caps.push-week", "ladder.step"} <= told


def test_it_names_the_hold_the_cap_and_the_promise_that_stand_against_contact() -> None:
    desk = desk_with(past_contacts=(past("sms", "2026-10-06 12:00"),))
    desk.holds = [hold("debt", subject_of("debt", TENANT, str(uid("d1"))))]
    desk.tell("debt.disputed", events.DebtDisputed(**about()))
    answer = explain(desk.known, desk.book, desk.holds, at("2026-10-06 15:00"), address_subject)
    verdicts = {reason.rule: reason.verdict for reason in answer.debts[0].rules}
    assert (verdicts["hold"], verdicts["debt.disputed"]) == ("held", "wait")
    assert verdicts["caps.push-day"] == "full"
    assert answer.debts[0].verdict == "wait"


def test_it_changes_nothing() -> None:
    desk = desk_with()
    before = encode(desk.known)
    explained(desk, "2026-10-06 15:00")
    assert encode(desk.known) == before


def test_it_carries_no_personal_data() -> None:
    desk = desk_with()
    text = str(explained(desk, "2026-10-06 15:00"))
    assert str(DEBTOR) in text
    for personal in (SAO_PAULO_PHONE, SAO_PAULO_PHONE[1:], "Maria", "Souza", "1120", "1.120"):
        assert personal not in text
