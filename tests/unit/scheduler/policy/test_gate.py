"""The gate: the last look before a contact leaves, with that moment's values and permit."""

from datetime import date
from uuid import UUID

import pytest

from services.scheduler.policy.decision import Defer, Drop, Go
from services.scheduler.policy.progress import deferred
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
    portfolio,
    registered,
    rulebook,
    template,
    uid,
)

DEBT = str(uid("d1"))


@pytest.fixture
def desk() -> Desk:
    desk = Desk(now="2026-10-06 15:00")
    desk.tell("debt.registered", registered())
    return desk


def planned(desk: Desk) -> UUID:
    return desk.decide().contacts[0].contact_id


def test_go_freezes_values_permit_versions_and_subjects(desk: Desk) -> None:
    contact = planned(desk)
    desk.now = at("2026-10-06 18:00")
    go = desk.gate(contact)
    assert isinstance(go, Go)
    assert go.values == {
        "amount": "R$ 1.120,00",
        "count": "1",
        "creditor_name": "Loja Azul",
        "creditor_contact": "",
        "first_name": "Maria",
        "due_date": "05/10/2026",
        "days_past_due": "1",
        "opt_out": "Responda SAIR para não receber mais mensagens.",
    }
    assert (go.not_before, go.not_after) == (at("2026-10-06 18:00"), at("2026-10-06 20:00-03:00"))
    assert (go.address, go.locale, go.template_version) == (SAO_PAULO_PHONE, "pt-BR", 7)
    assert go.local_date == date(2026, 10, 6)
    assert go.versions == {
        "portfolio:br": "1",
        "template:br-reminder-after": "7",
        "account:main-sms": "1",
        "pack:br-default": "1",
        "pack:br-sp": "1",
        "ladder:br-consumer-standard": "1",
    }
    assert set(go.subjects) == {
        "everything",
        subject_of("tenant", TENANT),
        subject_of("portfolio", TENANT, "br"),
        subject_of("channel", TENANT, "sms"),
        subject_of("template", TENANT, "br-reminder-after"),
        subject_of("template", TENANT, "br-reminder-after@7"),
        subject_of("debtor", TENANT, str(DEBTOR)),
        subject_of("debt", TENANT, DEBT),
        address_subject("sms", SAO_PAULO_PHONE),
    }
    assert go.reasons


def test_the_balance_is_that_of_dispatch_not_of_planning(desk: Desk) -> None:
    contact = planned(desk)
    paid = events.PaymentReceived(
        **about(), amount=12_000, currency="BRL", paid_at=at("2026-10-06 12:00")
    )
    desk.tell("debt.payment_received", paid)
    go = desk.gate(contact)
    assert isinstance(go, Go)
    assert go.values["amount"] == "R$ 1.000,00"


def test_a_paid_debt_is_not_chased(desk: Desk) -> None:
    contact = planned(desk)
    paid = events.PaymentReceived(
        **about(), amount=112_000, currency="BRL", paid_at=at("2026-10-06 12:00")
    )
    desk.tell("debt.payment_received", paid)
    drop = desk.gate(contact)
    assert isinstance(drop, Drop)
    assert (drop.kind, drop.reasons[0].rule) == ("cancelled", "debt.settled")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-10-06 20:00-03:00", "2026-10-07 08:00-03:00"),
        ("2026-10-06 19:59:30-03:00", "2026-10-07 08:00-03:00"),  # too short to be called in time
        ("2026-10-07 07:59:59-03:00", "2026-10-07 08:00-03:00"),
    ],
)
def test_outside_the_window_the_contact_waits_for_the_next(
    desk: Desk, now: str, until: str
) -> None:
    contact = planned(desk)
    desk.now = at(now)
    defer = desk.gate(contact)
    assert isinstance(defer, Defer)
    assert defer.until == at(until)
    assert defer.not_after == at("2026-10-07 20:00-03:00")
    deferred(desk.known, contact, defer, desk.now)
    assert desk.known.contacts[str(contact)].due_at == at(until)


def test_a_contact_that_outlived_its_step_expires(desk: Desk) -> None:
    contact = planned(desk)
    desk.now = at("2026-10-13 15:00")
    drop = desk.gate(contact)
    assert isinstance(drop, Drop)
    assert (drop.kind, drop.reasons[-1].rule) == ("expired", "ladder.too_late")


def test_a_full_cap_defers_to_the_first_free_day(desk: Desk) -> None:
    contact = planned(desk)
    call = events.ContactRecorded(
        debtor_id=DEBTOR,
        occurred_at=at("2026-10-06 14:00"),
        recorded_at=at("2026-10-06 14:00"),
        channel="voice",
        at=at("2026-10-06 14:00"),
        outcome="answered",
    )
    desk.tell("contact.recorded", call)
    defer = desk.gate(contact)
    assert isinstance(defer, Defer)
    assert (defer.until, defer.reasons[0].rule) == (
        at("2026-10-07 08:00-03:00"),
        "caps.push-day",
    )


def test_unknown_contacts_count_in_caps_and_failed_ones_do_not() -> None:
    book = rulebook(portfolios={"br": portfolio(), "b2": portfolio(creditor_name="Outra")})
    both = Desk(book, "2026-10-06 15:00")
    both.tell("debt.registered", registered("d1"))
    first = planned(both)
    both.send_without_answer(first)
    both.report(first, "unknown")
    both.tell("debt.registered", registered("d2", portfolio_id="b2"))
    assert both.decide().contacts == []
    both.report(first, "failed")
    assert len(both.decide().contacts) == 1


@pytest.mark.parametrize(
    ("scope", "name", "answer"),
    [
        ("debtor", str(DEBTOR), "cancelled"),
        ("debt", DEBT, "cancelled"),
        ("everything", "", "defer"),
        ("portfolio", "br", "defer"),
        ("channel", "sms", "defer"),
        ("template", "br-reminder-after", "defer"),
        ("template", "br-reminder-after@7", "defer"),
        ("template", "br-reminder-after@6", "go"),
        ("channel", "email", "go"),
    ],
)
def test_holds_stop_narrow_contacts_and_defer_wide_ones(
    desk: Desk, scope: str, name: str, answer: str
) -> None:
    contact = planned(desk)
    desk.holds = [hold(scope, subject_of(scope, TENANT, name))]
    got = desk.gate(contact)
    kind = got.kind if isinstance(got, Drop) else type(got).__name__.lower()
    assert kind == answer
    assert got.reasons


def test_a_hold_on_the_address_defers_the_contact(desk: Desk) -> None:
    contact = planned(desk)
    desk.holds = [hold("address", address_subject("sms", SAO_PAULO_PHONE))]
    answer = desk.gate(contact)
    assert isinstance(answer, Defer)
    assert answer.reasons[0].rule == "hold"


def test_ended_and_lifted_holds_stop_nothing(desk: Desk) -> None:
    contact = planned(desk)
    subject = subject_of("debtor", TENANT, str(DEBTOR))
    desk.holds = [
        hold("debtor", subject, state="lifted"),
        hold("debtor", subject, until=at("2026-10-06 15:00")),
    ]
    assert isinstance(desk.gate(contact), Go)


def test_consent_taken_back_withholds(desk: Desk) -> None:
    contact = planned(desk)
    stop = events.ConsentChanged(
        debtor_id=DEBTOR,
        occurred_at=at("2026-10-06"),
        recorded_at=at("2026-10-06"),
        state="revoked",
        channel="sms",
        origin="portal",
    )
    desk.tell("debtor.consent_changed", stop)
    drop = desk.gate(contact)
    assert isinstance(drop, Drop)
    assert (drop.kind, drop.reasons[0].rule) == ("withheld", "consent_revoked")


def test_a_template_without_the_debtors_language_withholds() -> None:
    book = rulebook(templates={"br-reminder-after": template(**{"fr-FR": "Bonjour"})})
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell("debt.registered", registered())
    drop = desk.gate(planned(desk))
    assert isinstance(drop, Drop)
    assert drop.reasons[0].rule == "template_locale_missing"


def test_only_planned_contacts_pass(desk: Desk) -> None:
    contact = planned(desk)
    desk.send(contact)
    again = desk.gate(contact)
    assert isinstance(again, Drop)
    assert again.kind == "cancelled"
