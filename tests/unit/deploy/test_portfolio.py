"""The sample portfolio: the same for a seed, plausible, and right in what has a check."""

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import msgspec
import phonenumbers
import pytest
import yaml
from phonenumbers import PhoneNumberType, timezone

from deploy.portfolio import configuration
from deploy.portfolio.configuration import Choice, Sender
from deploy.portfolio.debtors import AGE_DAYS, Debtor, LadderStep
from deploy.portfolio.events import Books, registrations
from deploy.portfolio.sample import draw_sample
from services.scheduler.message_checks import check_template
from services.scheduler.policy.channels import check_steps
from services.scheduler.policy.ladder import load_ladder
from shared.events.configuration import Document, Portfolio, SenderAccount, Template, Tenant

START = date(2026, 3, 2)
AT = datetime(2026, 3, 2, 6, tzinfo=UTC)
STEPS = [LadderStep(f"d{n}", n, min(n // 10, 3), "sms") for n in (-5, -1, 1, 5, 10, 20, 30, 45)]
LADDERS = Path(__file__).parents[3] / "services" / "scheduler" / "ladders"
VALUE_NAMES = (
    "amount", "creditor_name", "creditor_contact", "first_name", "due_date", "days_past_due",
    "opt_out",
)  # fmt: skip
VALUES = dict.fromkeys(VALUE_NAMES, "x")
T = TypeVar("T", bound=msgspec.Struct)


@pytest.fixture(scope="module")
def sample() -> list[Debtor]:
    return draw_sample(seed="demo", debtors=1_000, start=START, brazil_steps=STEPS, us_steps=STEPS)


def test_a_seed_gives_one_sample(sample: list[Debtor]) -> None:
    again = draw_sample(seed="demo", debtors=1_000, start=START, brazil_steps=STEPS, us_steps=STEPS)
    other = draw_sample(seed="other", debtors=1_000, start=START)
    assert again == sample
    assert other[0] != sample[0]


def test_documents_have_right_check_digits(sample: list[Debtor]) -> None:
    people = [d for d in sample if d.market.country == "BR" and d.kind == "person"]
    assert len(people) > 500
    for debtor in people:
        digits = [int(c) for c in re.sub(r"\D", "", debtor.document or "")]
        assert len(digits) == 11
        for length in (9, 10):
            total = sum(digits[n] * (length + 1 - n) for n in range(length))
            assert digits[length] == total * 10 % 11 % 10


def test_numbers_are_valid_and_nobody_shares_one(sample: list[Debtor]) -> None:
    assert len({debtor.phone for debtor in sample}) == len(sample)
    for debtor in sample:
        number = phonenumbers.parse(debtor.phone)
        assert phonenumbers.is_valid_number(number)
        assert len(timezone.time_zones_for_number(number)) == 1
        if debtor.market.country == "BR":
            assert phonenumbers.number_type(number) == PhoneNumberType.MOBILE
        else:
            assert debtor.phone[5:8] != "555"


def test_the_sample_covers_what_it_is_for(sample: list[Debtor]) -> None:
    zones = {city.zone for debtor in sample for city in debtor.cities}
    states = {city.subdivision for debtor in sample for city in debtor.cities}
    assert {"SP", "RJ", "AM", "ES", "NY", "CA", "TX"} <= states
    assert len(zones) >= 7
    assert {debtor.locale for debtor in sample} == {"pt-BR", "en-US", "es"}
    assert {debtor.consent for debtor in sample} == {"granted", "revoked", "unknown"}
    assert any(len(debtor.invoices) >= 8 for debtor in sample)
    assert any(len(debtor.cities) == 2 for debtor in sample)
    assert any(not debtor.cities for debtor in sample)
    assert any(debtor.past_contacts for debtor in sample)
    assert any(invoice.steps_done for debtor in sample for invoice in debtor.invoices)


def test_amounts_and_ages_are_in_range(sample: list[Debtor]) -> None:
    low, high = AGE_DAYS
    invoices = [invoice for debtor in sample for invoice in debtor.invoices]
    ages = {(START - invoice.due_date).days for invoice in invoices}
    assert min(ages) == low
    assert max(ages) == high
    assert all(Decimal("19.90") <= i.principal <= Decimal(25_000) for i in invoices)
    assert all(i.penalty == 0 for i in invoices if i.due_date >= START)


def test_history_is_before_the_start(sample: list[Debtor]) -> None:
    for debtor in sample:
        assert all(at < AT for _, at in debtor.past_contacts)
        for invoice in debtor.invoices:
            assert all(at < AT for _, _, at in invoice.steps_done)
            done = {key for key, _, _ in invoice.steps_done}
            assert invoice.stage == max((s.stage for s in STEPS if s.key in done), default=0)


def test_registrations_are_cloudevents_with_decimal_strings(sample: list[Debtor]) -> None:
    events = list(registrations(sample, AT))
    assert len({event["id"] for event in events}) == len(events)
    for event in events:
        assert event["specversion"] == "1.0"
        assert re.fullmatch(r"\d+\.\d\d", event["data"]["principal"])
        assert json.loads(json.dumps(event)) == event


def test_payments_settle_the_oldest_invoices_first(sample: list[Debtor]) -> None:
    debtor = next(d for d in sample if len(d.invoices) > 2)
    books = Books(sample)
    total = sum(invoice.total for invoice in debtor.invoices)
    first = books.pay(debtor.phone, 0.5, AT)
    oldest = min(debtor.invoices, key=lambda invoice: (invoice.due_date, invoice.debt_ref))
    assert first[0]["data"]["debt_ref"] == oldest.debt_ref
    rest = books.pay(debtor.phone, 1.0, AT)
    assert sum(Decimal(e["data"]["amount"]) for e in first + rest) == total
    assert books.pay(debtor.phone, 1.0, AT) == []
    assert books.pay("+5511000000000", 1.0, AT) == []


@pytest.mark.parametrize("ladder_id", ["br-consumer-standard", "us-third-party"])
def test_configuration_follows_the_shipped_ladders(ladder_id: str) -> None:
    ladder = (LADDERS / f"{ladder_id}.yaml").read_text()
    sender = Sender("sms-br", "+5511912345678", "http://127.0.0.1:1", {"auth_token": "env:T"})
    choice = Choice(ladder_id, ladder, {"br": "pack: br"}, [sender])
    entries = list(configuration.entries(tenant_id="t", brazil=choice, united_states=choice))
    kinds = [kind for kind, _, _ in entries]
    assert kinds[0] == "tenant"
    assert kinds[-2:] == ["portfolio", "portfolio"]
    steps = yaml.safe_load(ladder)["steps"]
    templates = {id_: body for kind, id_, body in entries if kind == "template"}
    assert set(templates) == {name for step in steps for name in step["templates"].values()}
    for body in templates.values():
        assert set(body["texts"]) == {"pt-BR", "en-US", "es"}
        assert all(text.format(**VALUES) for text in body["texts"].values())
        mail = body["channel"] == "email"
        assert all(("{opt_out}" in text) is not mail for text in body["texts"].values())
        check_template(msgspec.convert(body, Template))
    offsets = [step.offset_days for step in configuration.steps_of(ladder)]
    assert offsets == sorted(step["offset_days"] for step in steps)
    shapes = {"account": SenderAccount, "portfolio": Portfolio, "tenant": Tenant}
    for kind, _, body in entries:
        if kind in shapes:
            msgspec.convert(body, shapes[kind])


def test_wording_follows_the_step() -> None:
    ladder = (LADDERS / "br-consumer-standard.yaml").read_text()
    sender = Sender("sms-br", "+5511912345678", "http://127.0.0.1:1", {})
    choice = Choice("br", ladder, {}, [sender])
    bodies = {
        id_: body["texts"]["pt-BR"]
        for _, id_, body in configuration.entries(
            tenant_id="t", brazil=choice, united_states=choice
        )
        if "texts" in body
    }
    assert "vence em" in bodies["br-reminder-before"]
    assert "vencido em" in bodies["br-reminder-after"]
    assert "em aberto" in bodies["br-notice"]
    assert "Aviso" in bodies["br-extrajudicial"]


def test_the_sample_leaves_no_step_to_nobody() -> None:
    def choice(ladder_id: str, *channels: str) -> Choice:
        text = (LADDERS / f"{ladder_id}.yaml").read_text()
        provider = {"sms": "twilio_compatible", "email": "smtp", "whatsapp": "meta"}
        senders = [
            Sender(f"{ladder_id}-{name}", "+15005550006", "", {}, provider[name], name)
            for name in channels
        ]
        return Choice(ladder_id, text, {}, senders)

    brazil = choice("br-consumer-standard", "sms", "email", "whatsapp")
    states = choice("us-third-party", "sms", "email")
    made = list(configuration.entries(tenant_id="t", brazil=brazil, united_states=states))

    def stored(kind: str, shape: type[T]) -> dict[str, T]:
        return {id_: msgspec.convert(body, shape) for name, id_, body in made if name == kind}

    accounts, templates = stored("account", SenderAccount), stored("template", Template)
    for portfolio in stored("portfolio", Portfolio).values():
        text = stored("ladder", Document)[portfolio.ladder_id].text
        assert check_steps(portfolio, load_ladder(text), accounts, templates) == []


def test_command_line_prints_ndjson() -> None:
    command = [sys.executable, "-m", "deploy.portfolio", "--debtors", "3"]
    printed = subprocess.run(command, capture_output=True, check=True)
    lines = printed.stdout.splitlines()
    assert len(lines) >= 3
    assert all(json.loads(line)["type"] == "debt.registered" for line in lines)
