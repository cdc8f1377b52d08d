"""Silence: promises, agreements, payments, disputes and holds stop contact, and let it resume."""

from datetime import date
from typing import Any

import pytest

from services.scheduler.policy.decision import Decision, VerdictKind
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.silence import HOLD_RECHECK
from shared.events import debt as events
from shared.events.hold import subject_of
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    TENANT,
    Desk,
    about,
    at,
    hold,
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


def test_a_promise_silences_until_date_and_grace_and_is_then_broken() -> None:
    desk = desk_with()
    made = events.PromiseMade(
        **about(when="2026-10-06 14:00"),
        amount=50_000,
        currency="BRL",
        due_date=date(2026, 10, 9),
    )
    desk.tell("debt.promise_made", made)
    waiting = desk.decide()
    assert (waiting.contacts, waiting.wake_at) == ([], at("2026-10-13 00:00-03:00"))
    broken = desk.decide("2026-10-13 15:00")
    assert [kind for kind, _ in broken.facts] == ["debt.promise_broken.v1"]
    assert steps_of(broken) == ["d5-notice"]
    assert desk.decide().facts == []


@pytest.mark.parametrize(
    ("paid", "kept"),
    [
        ([("2026-10-09 12:00", 50_000)], True),
        ([("2026-10-08 12:00", 30_000), ("2026-10-12 12:00", 20_000)], True),  # within the grace
        ([("2026-10-09 12:00", 30_000)], False),  # 60 percent is broken
        ([("2026-10-13 12:00", 50_000)], False),  # too late
        ([("2026-10-01 12:00", 50_000)], False),  # before it was promised
    ],
)
def test_a_promise_is_kept_by_cumulative_payments_in_time(
    paid: list[tuple[str, int]],
    kept: bool,  # noqa: FBT001
) -> None:
    desk = desk_with()
    made = events.PromiseMade(
        **about(when="2026-10-06 14:00"),
        amount=50_000,
        currency="BRL",
        due_date=date(2026, 10, 9),
    )
    desk.tell("debt.promise_made", made)
    for number, (when, amount) in enumerate(paid):
        desk.tell("debt.payment_received", payment(amount, when), uid(f"payment {number}"))
    facts = desk.decide("2026-10-13 15:00").facts
    assert [kind for kind, _ in facts] == [f"debt.promise_{'kept' if kept else 'broken'}.v1"]


def test_an_agreement_rests_contact_while_instalments_are_paid() -> None:
    desk = desk_with()
    plan = events.AgreementMade(
        **about(when="2026-10-06 14:00"),
        currency="BRL",
        instalments=(
            events.Instalment(amount=60_000, due_date=date(2026, 10, 10)),
            events.Instalment(amount=52_000, due_date=date(2026, 11, 10)),
        ),
    )
    desk.tell("debt.agreement_made", plan)
    assert desk.decide().wake_at == at("2026-10-14 00:00-03:00")
    desk.tell("debt.payment_received", payment(60_000, "2026-10-10 12:00"))
    resting = desk.decide("2026-10-20 15:00")
    assert (resting.contacts, resting.wake_at) == ([], at("2026-11-14 00:00-03:00"))
    over = desk.decide("2026-11-16 15:00")
    assert [kind for kind, _ in over.facts] == ["debt.promise_broken.v1"]
    assert over.contacts


def test_a_payment_that_bounces_within_the_window_resumes_at_the_next_unsent_step() -> None:
    desk = desk_with()
    desk.send(desk.decide().contacts[0].contact_id)
    paid = uid("payment")
    desk.tell("debt.payment_received", payment(112_000, "2026-10-07 12:00"), paid)
    assert desk.decide("2026-10-07 15:00").per_debt[DEBT].kind == VerdictKind.STOP
    bounced = events.PaymentReversed(
        **about(when="2026-10-10 12:00"), payment_event_id=paid, reversed_at=at("2026-10-10 12:00")
    )
    desk.tell("debt.payment_reversed", bounced)
    assert steps_of(desk.decide("2026-10-10 15:00")) == ["d5-notice"]
    assert desk.known.debts[DEBT].episode == 1


def test_a_payment_that_bounces_after_the_window_begins_a_new_episode_at_the_same_stage() -> None:
    desk = desk_with("2026-10-10 15:00")
    desk.send(desk.decide().contacts[0].contact_id)
    paid = uid("payment")
    desk.tell("debt.payment_received", payment(112_000, "2026-10-12 12:00"), paid)
    desk.decide("2026-10-12 15:00")
    bounced = events.PaymentReversed(
        **about(when="2026-10-28 12:00"), payment_event_id=paid, reversed_at=at("2026-10-28 12:00")
    )
    desk.tell("debt.payment_reversed", bounced)
    assert steps_of(desk.decide("2026-10-28 15:00")) == ["d20-extrajudicial"]
    debt = desk.known.debts[DEBT]
    assert (debt.episode, debt.stage) == (2, 1)


def test_a_reversal_that_comes_before_its_payment_still_counts() -> None:
    desk = desk_with()
    paid = uid("payment")
    bounced = events.PaymentReversed(
        **about(), payment_event_id=paid, reversed_at=at("2026-10-06 12:00")
    )
    desk.tell("debt.payment_reversed", bounced)
    desk.tell("debt.payment_received", payment(112_000, "2026-10-06 11:00"), paid)
    assert steps_of(desk.decide()) == ["d1-notice"]


def test_a_payment_in_another_currency_silences_and_is_not_counted() -> None:
    desk = desk_with()
    foreign = events.PaymentReceived(
        **about(), amount=999_999, currency="USD", paid_at=at("2026-10-06 12:00")
    )
    desk.tell("debt.payment_received", foreign)
    decision = desk.decide()
    assert (decision.contacts, rule_of(decision)) == ([], "debt.payment_currency_mismatch")
    assert [item.kind for item in decision.work_items] == ["payment_currency_mismatch"]


def test_a_cancelled_debt_opens_again_with_a_later_registration() -> None:
    desk = desk_with()
    desk.send(desk.decide().contacts[0].contact_id)
    desk.tell("debt.cancelled", events.DebtCancelled(**about(when="2026-10-07 12:00")))
    assert desk.decide("2026-10-07 15:00").per_debt[DEBT].kind == VerdictKind.STOP
    desk.tell("debt.registered", registered(occurred_at=at("2026-10-09 12:00")), uid("again"))
    assert steps_of(desk.decide("2026-10-13 15:00")) == ["d5-notice"]
    assert desk.known.debts[DEBT].episode == 2


@pytest.mark.parametrize(
    ("event_type", "event"),
    [
        ("debt.disputed", events.DebtDisputed(**about())),
        (
            "debtor.hold_placed",
            events.HoldPlaced(
                debtor_id=DEBTOR,
                occurred_at=at("2026-10-06"),
                recorded_at=at("2026-10-06"),
                reason="attorney",
            ),
        ),
        (
            "debtor.erasure_requested",
            events.ErasureRequested(
                debtor_id=DEBTOR, occurred_at=at("2026-10-06"), recorded_at=at("2026-10-06")
            ),
        ),
        (
            "debtor.consent_changed",
            events.ConsentChanged(
                debtor_id=DEBTOR,
                occurred_at=at("2026-10-06"),
                recorded_at=at("2026-10-06"),
                state="revoked",
                origin="portal",
            ),
        ),
    ],
)
def test_stop_facts_cancel_what_is_planned_and_plan_nothing(event_type: str, event: Any) -> None:
    desk = desk_with()
    planned = desk.decide().contacts[0].contact_id
    desk.tell(event_type, event)
    decision = desk.decide()
    assert decision.contacts == []
    assert [contact_id for contact_id, reasons in decision.cancel if reasons] == [planned]


@pytest.mark.parametrize(
    ("scope", "name"),
    [("everything", ""), ("tenant", ""), ("portfolio", "br"), ("debt", DEBT)],
)
def test_holds_silence_until_they_end(scope: str, name: str) -> None:
    desk = desk_with()
    until = at("2026-10-07 12:00")
    desk.holds = [hold(scope, subject_of(scope, TENANT, name), until=until)]
    held = desk.decide()
    assert (held.contacts, held.wake_at) == ([], until)
    assert steps_of(desk.decide("2026-10-07 15:00")) == ["d1-notice"]


def test_a_foreign_hold_changes_nothing() -> None:
    desk = desk_with()
    desk.holds = [hold("debt", subject_of("debt", TENANT, str(uid("d9"))))]
    assert len(desk.decide().contacts) == 1


def test_a_hold_that_others_may_lift_is_asked_about_again_within_the_hour() -> None:
    desk = desk_with()
    desk.holds = [hold("tenant", subject_of("tenant", TENANT, ""), origin="operator")]
    held = desk.decide()
    assert (held.contacts, held.wake_at) == ([], desk.now + HOLD_RECHECK)
    desk.holds = []
    assert steps_of(desk.decide()) == ["d1-notice"]
