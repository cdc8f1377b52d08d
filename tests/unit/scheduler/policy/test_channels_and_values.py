"""Who may use which provider for whom, and what a message says."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.scheduler.policy.channels import (
    channel_allowed,
    check_portfolio,
    check_steps,
    content_allowed,
)
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.values import day_text, money
from shared.events import debt as events
from shared.events.configuration import SenderAccount, Template
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    Desk,
    account,
    at,
    point,
    portfolio,
    registered,
    template,
    uid,
    us_portfolio,
)

DEBT = str(uid("d1"))


def planned(desk: Desk) -> UUID:
    return desk.decide().contacts[0].contact_id


@pytest.mark.parametrize(
    ("provider", "country", "role", "channel", "answer"),
    [
        ("twilio", "US", "third_party", "sms", "provider_forbids_role"),
        ("twilio", "CA", "third_party", "sms", "provider_forbids_role"),
        ("twilio", "US", "first_party", "sms", None),
        ("twilio", "BR", "third_party", "sms", None),
        ("other", "US", "third_party", "sms", None),
        ("twilio", "BR", "third_party", "whatsapp", "attestation_missing"),
        ("meta", "BR", "first_party", "whatsapp", None),
    ],
)
def test_who_may_use_which_provider_for_whom(
    provider: str, country: str, role: str, channel: str, answer: str | None
) -> None:
    assert channel_allowed(provider, country, role, channel) == answer


def test_a_portfolio_is_checked_before_any_debtor_is_touched() -> None:
    found = check_portfolio(us_portfolio(), {"main-sms": account()})
    assert [(f.rule, f.field) for f in found] == [("provider_forbids_role", "accounts.sms")]
    missing = check_portfolio(us_portfolio(), {})
    assert [(f.rule, f.field) for f in missing] == [("account_missing", "accounts.sms")]
    assert check_portfolio(portfolio(), {"main-sms": account()}) == []


LADDER = """\
ladder: short
version: 1
steps:
  - {key: remind, offset_days: 1, stage: 0, channels: [sms, whatsapp],
     templates: {sms: s, whatsapp: w}}
  - {key: talk, offset_days: 9, stage: 1, channels: [sms, handoff], templates: {sms: s}}
"""
SMS, CHAT = template(), msgspec.structs.replace(template(), channel="whatsapp")


@pytest.mark.parametrize(
    ("changes", "accounts", "templates", "rules"),
    [
        ({}, {"main-sms": account()}, {"s": SMS, "w": CHAT}, []),
        ({}, {"main-sms": account()}, {"s": SMS}, []),
        ({"accounts": {}}, {}, {"s": SMS, "w": CHAT}, ["channel_unavailable"]),
        ({}, {}, {"s": SMS, "w": CHAT}, ["account_missing"]),
        ({}, {"main-sms": account()}, {"w": CHAT}, ["template_missing"]),
        ({}, {"main-sms": account()}, {"s": CHAT}, ["template_missing"]),
        ({"locale": "fr-FR"}, {"main-sms": account()}, {"s": SMS}, ["template_locale_missing"]),
        ({}, {"main-sms": account(countries=("US",))}, {"s": SMS}, ["account_not_for_role"]),
        (
            {"country": "US", "collector_role": "third_party"},
            {"main-sms": account()},
            {"s": SMS},
            ["provider_forbids_role"],
        ),
    ],
)
def test_a_step_that_nothing_can_carry_is_named_with_the_remedy(
    changes: dict[str, Any],
    accounts: dict[str, SenderAccount],
    templates: dict[str, Template],
    rules: list[str],
) -> None:
    found = check_steps(portfolio(**changes), load_ladder(LADDER), accounts, templates)
    assert [each.rule for each in found] == rules
    for each in found:
        assert each.field == "steps.remind", "a person takes the other one"
        assert "whatsapp: the portfolio has no account" in each.message
        assert "accounts.whatsapp" in each.remedy


def test_offers_that_a_channel_does_not_carry_leave_a_step_undone() -> None:
    ladder = load_ladder(LADDER)
    offer = {"channels": ("whatsapp",), "content_class": "marketing"}
    steps = (msgspec.structs.replace(ladder.steps[0], **offer),)
    agency = portfolio(accounts={"whatsapp": "wa"}, country="US")
    meta = account(channel="whatsapp", provider="meta")
    found = check_steps(
        agency, msgspec.structs.replace(ladder, steps=steps), {"wa": meta}, {"w": CHAT}
    )
    assert [each.rule for each in found] == ["content_class_refused"]


@pytest.mark.parametrize(
    ("attestation", "rules"),
    [
        (None, {"attestation_missing"}),
        ("  ", {"attestation_missing"}),
        ("Signed by the agency on 2027-01-05, file 12/2027", set()),
    ],
)
def test_a_third_partys_whatsapp_is_off_until_its_attestation_is_recorded(
    attestation: str | None, rules: set[str]
) -> None:
    meta = account(channel="whatsapp", provider="meta")
    agency = us_portfolio(accounts={"whatsapp": "wa"}, whatsapp_attestation=attestation)
    assert {f.rule for f in check_portfolio(agency, {"wa": meta})} == rules


@pytest.mark.parametrize(
    ("channel", "content_class", "country", "rule"),
    [
        ("email", "utility", "BR", None),
        ("email", "marketing", "BR", "email_reminders_only"),
        ("whatsapp", "marketing", "BR", None),
        ("whatsapp", "marketing", "US", "content_class_refused"),
        ("sms", "marketing", "US", None),
    ],
)
def test_what_a_channel_does_not_carry(
    channel: str, content_class: str, country: str, rule: str | None
) -> None:
    assert content_allowed(channel, content_class, country) == rule


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (112_000, "BRL", "pt-BR", "R$ 1.120,00"),
        (112_000, "USD", "en-US", "$1,120.00"),
        (5, "USD", "en-US", "$0.05"),
        (-5, "BRL", "pt-BR", "-R$ 0,05"),
        (112_000, "CLP", "es-CL", "$112.000"),
        (112_000, "MXN", "es-MX", "$1,120.00"),
        (112_000, "CHF", "de-CH", "CHF 1.120,00"),
    ],
)
def test_money_is_written_as_the_debtor_reads_it(
    minor: int, currency: str, locale: str, text: str
) -> None:
    assert money(minor, currency, locale) == text


def test_dates_are_written_as_the_debtor_reads_them() -> None:
    assert day_text(date(2026, 2, 1), "pt-BR") == "01/02/2026"
    assert day_text(date(2026, 2, 1), "en-US") == "02/01/2026"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [("Maria Souza", "person", "Maria"), ("Bar do Zé Ltda", "company", "Bar do Zé Ltda")],
)
def test_how_the_debtor_is_addressed(name: str, kind: str, expected: str) -> None:
    desk = Desk(now="2026-10-06 15:00")
    desk.tell("debt.registered", registered(debtor_name=name))
    facts: dict[str, Any] = {"kind": kind}
    desk.tell(
        "debtor.updated",
        events.DebtorUpdated(
            debtor_id=DEBTOR,
            occurred_at=at("2026-10-01"),
            recorded_at=at("2026-10-01"),
            debtor=events.DebtorFacts(**facts),
        ),
    )
    assert desk.send(planned(desk)).values["first_name"] == expected


def test_the_better_known_address_is_used() -> None:
    desk = Desk(now="2026-10-06 15:00")
    verified = point("+5511912345678", verified=True)
    desk.tell("debt.registered", registered(contact_points=(point(), verified)))
    assert desk.send(planned(desk)).address == verified.address
