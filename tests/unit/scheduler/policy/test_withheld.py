"""Withheld: what must not be sent says so once, and mandatory steps wait; configuration changes."""

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.policy.decision import Decision
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.progress import dropped
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import encode
from shared.events import debt as events
from shared.events.hold import subject_of
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    NEW_YORK_PHONE,
    TENANT,
    Desk,
    about,
    account,
    at,
    hold,
    point,
    portfolio,
    registered,
    rulebook,
    uid,
    us_portfolio,
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


@pytest.mark.parametrize(
    ("changes", "book", "rule"),
    [
        ({"contact_points": ()}, None, "no_address"),
        (
            {"places": (), "contact_points": (point("+18005550142"),)},
            None,
            "jurisdiction_unresolved",
        ),
        ({"contact_points": (point(consent="revoked"),)}, None, "consent_revoked"),
        ({}, rulebook(portfolios={"br": portfolio(accounts={})}), "channel_unavailable"),
        (
            {},
            rulebook(accounts={"main-sms": account(roles=("third_party",))}),
            "account_not_for_role",
        ),
    ],
)
def test_what_must_not_be_sent_is_withheld_once_with_its_reason(
    changes: dict[str, Any], book: Rulebook | None, rule: str
) -> None:
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell("debt.registered", registered(**changes))
    decision = desk.decide()
    assert decision.contacts == []
    assert [plan.reasons[-1].rule for plan in decision.withheld] == [rule]
    assert desk.decide().withheld == []
    assert desk.known.debts[DEBT].steps["d1-notice"].state == "withheld"


def test_third_party_texts_through_a_provider_that_forbids_them_are_withheld() -> None:
    book = rulebook(portfolios={"us": us_portfolio()})
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell(
        "debt.registered",
        registered(
            portfolio_id="us",
            places=(events.Place(country="US", subdivision="NY"),),
            contact_points=(point(NEW_YORK_PHONE),),
            currency="USD",
        ),
    )
    decision = desk.decide()
    assert [plan.reasons[-1].rule for plan in decision.withheld] == ["provider_forbids_role"]
    assert decision.work_items == []  # the portfolio's fault, not each debtor's
    later = desk.decide("2026-11-03 15:00")
    assert (later.contacts, later.withheld) == ([], [])  # mandatory: it waits, nothing overtakes it


def test_a_mandatory_step_without_address_asks_a_person_and_resumes_with_one() -> None:
    desk = Desk(mandatory_book(), "2026-10-13 15:00")
    desk.tell("debt.registered", registered(contact_points=()))
    decision = desk.decide()
    assert [item.kind for item in decision.work_items] == ["mandatory_withheld"]
    facts = events.DebtorFacts(contact_points=(point(),))
    desk.tell(
        "debtor.updated",
        events.DebtorUpdated(
            debtor_id=DEBTOR,
            occurred_at=at("2026-10-14"),
            recorded_at=at("2026-10-14"),
            debtor=facts,
        ),
    )
    assert [(p.step_key, p.k) for p in desk.decide("2026-10-14 15:00").contacts] == [("must", 2)]


def test_missing_configuration_waits_and_gives_nothing_up() -> None:
    book = rulebook()
    templates = dict(book.templates)
    book.templates.clear()
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell("debt.registered", registered())
    waiting = desk.decide()
    assert (waiting.contacts, waiting.withheld) == ([], [])
    assert waiting.wake_at == at("2026-10-06 15:00") + timedelta(hours=1)
    book.templates.update(templates)
    assert steps_of(desk.decide("2026-10-06 16:00")) == ["d1-notice"]


def test_a_debt_keeps_its_ladder_version_until_its_episode_ends() -> None:
    old = load_ladder(MANDATORY)
    new = load_ladder(
        MANDATORY.replace("key: third, offset_days: 10", "key: third, offset_days: 8")
    )
    book = mandatory_book()
    desk = Desk(book, "2026-10-10 15:00")
    desk.tell("debt.registered", registered())
    desk.send(desk.decide().contacts[0].contact_id)
    book.ladders["br-consumer-standard"] = (2, new)
    book.old_ladders["br-consumer-standard", 1] = old
    assert steps_of(desk.decide("2026-10-13 15:00")) == []
    assert steps_of(desk.decide("2026-10-15 15:00")) == ["third"]


def test_a_dropped_contact_leaves_its_step_free() -> None:
    desk = desk_with()
    contact = desk.decide().contacts[0].contact_id
    desk.holds = [hold("debt", subject_of("debt", TENANT, DEBT))]
    drop = desk.gate(contact)
    assert drop is not None
    dropped(desk.known, contact, drop, desk.now)  # type: ignore[arg-type]
    desk.holds = []
    assert [plan.k for plan in desk.decide("2026-10-06 16:00").contacts] == [2]


def test_the_state_stays_small() -> None:
    desk = desk_with()
    assert len(encode(desk.known)) < 1_000
    for _ in range(12):
        decision = desk.decide()
        for plan in decision.contacts:
            desk.send(plan.contact_id)
        desk.now += timedelta(days=7)
    assert len(encode(desk.known)) < 5_000
