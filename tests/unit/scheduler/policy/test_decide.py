"""Deciding: the ladder forward, one message per person, silence, caps, and what is withheld."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scheduler.policy.decision import Decision, VerdictKind
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.progress import approved, dropped, waived
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import copy, encode
from shared.events import debt as events
from shared.events.hold import subject_of
from shared.events.states import ContactState
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    NEW_YORK_PHONE,
    TENANT,
    Desk,
    about,
    account,
    at,
    done,
    hold,
    past,
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


def test_twelve_invoices_make_one_message() -> None:
    desk = Desk(now="2026-10-06 15:00")
    for number in range(12):
        desk.tell("debt.registered", registered(f"invoice {number}"))
    decision = desk.decide()
    assert len(decision.contacts) == 1
    go = desk.send(decision.contacts[0].contact_id)
    assert (go.values["count"], go.values["amount"]) == ("12", "R$ 13.440,00")
    assert len(go.subjects) == 7 + 12 + 1


def test_an_invoice_that_comes_before_dispatch_joins_the_planned_message() -> None:
    desk = desk_with()
    first = desk.decide().contacts[0].contact_id
    desk.tell("debt.registered", registered("d2"))
    again = desk.decide()
    assert [contact_id for contact_id, _ in again.cancel] == [first]
    assert len(again.contacts[0].items) == 2
    assert again.contacts[0].contact_id != first


def test_the_lead_is_the_gravest_then_oldest_debt() -> None:
    desk = Desk(now="2026-10-06 15:00")
    desk.tell("debt.registered", registered("young", due_date=date(2026, 10, 5)))
    desk.tell("debt.registered", registered("old", due_date=date(2026, 10, 4)))
    plan = desk.decide().contacts[0]
    assert [item.debt_id for item in plan.items] == [uid("old"), uid("young")]


def test_an_item_that_falls_silent_leaves_the_others_in_a_new_contact() -> None:
    desk = desk_with()
    desk.tell("debt.registered", registered("d2"))
    first = desk.decide().contacts[0]
    desk.tell("debt.payment_received", payment(112_000, "2026-10-06 15:00"))
    again = desk.decide()
    assert [contact_id for contact_id, _ in again.cancel] == [first.contact_id]
    assert [item.debt_id for item in again.contacts[0].items] == [uid("d2")]
    assert again.per_debt[DEBT].kind == VerdictKind.STOP


def test_one_contact_a_day_across_debts_and_portfolios() -> None:
    book = rulebook(portfolios={"br": portfolio(), "b2": portfolio(creditor_name="Outra")})
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell("debt.registered", registered("d1"))
    desk.tell("debt.registered", registered("d2", portfolio_id="b2"))
    decision = desk.decide()
    assert len(decision.contacts) == 1
    waiting = next(v for v in decision.per_debt.values() if v.kind == VerdictKind.WAIT)
    assert waiting.reasons[-1].rule == "caps.push-day"
    assert waiting.until == at("2026-10-07 08:00-03:00")


@pytest.mark.parametrize(
    ("when", "planned"),
    [
        (("2026-10-06 10:00",), False),  # today, elsewhere
        (("2026-10-05 23:00-03:00",), True),  # yesterday, late in the evening of São Paulo
        (("2026-09-30", "2026-10-01", "2026-10-02 15:00"), True),  # one is older than seven dates
        (("2026-10-01 15:00", "2026-10-02 15:00", "2026-10-03 15:00"), False),
    ],
)
def test_contacts_made_elsewhere_count_in_caps(when: tuple[str, ...], planned: bool) -> None:  # noqa: FBT001
    desk = desk_with(past_contacts=tuple(past("sms", moment) for moment in when))
    assert bool(desk.decide().contacts) is planned


def test_a_capped_step_stays_pending_and_does_not_advance() -> None:
    desk = desk_with(past_contacts=(past("voice", "2026-10-06 12:00"),))
    assert desk.decide().contacts == []
    assert "d1-notice" not in desk.known.debts[DEBT].steps
    assert steps_of(desk.decide("2026-10-07 15:00")) == ["d1-notice"]


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
