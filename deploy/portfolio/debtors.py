"""Imaginary debtors: who they are, where they live, what they owe and since when.

In: a seed, a country's share and the ladder's steps (for those who enter mid-life). Out: `Debtor`
records in the client's own terms. Deterministic: debtor number n of a seed is the same person
whatever the size of the portfolio.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import msgspec

from deploy.portfolio.identities import Phones, cnpj, cpf, us_taxpayer
from deploy.portfolio.names import (
    CITIES,
    COMPANY_KINDS,
    EMAIL_DOMAINS,
    FAMILY,
    GIVEN,
    City,
)

AGE_DAYS = (-5, 60)  # days past due on the start date: before the due date to well past it
CENT = Decimal("0.01")
MONTHLY_INTEREST = Decimal("0.01")  # what Brazilian consumer contracts may ask per month
LATE_PENALTY = Decimal("0.02")  # and the usual single fine
PAST_HOUR = time(10, 30)  # local hour of contacts made before the debt came here

SPANISH_SHARE = 0.3  # of US debtors
COMPANY_SHARE = 0.06
SEVERAL_SHARE, MANY_SHARE = 0.18, 0.02  # 2 to 4 invoices; 8 to 12
MID_LIFE_SHARE = 0.12
MOVED_SHARE = 0.05  # the number is of another area than the address: two places count
MESSAGED_SHARE = 0.7  # of earlier contacts, the others were calls
EMAIL_SHARE = 0.7
US_DOCUMENT_SHARE = 0.6
PLACELESS_SHARE = 0.01  # the client knows no place; the number must do


class LadderStep(msgspec.Struct, frozen=True):
    """A step as far as history needs it."""

    key: str
    offset_days: int
    stage: int
    channel: str


class Market(msgspec.Struct, frozen=True):
    """What is particular to one portfolio: country, currency, sizes of debts, products."""

    portfolio_id: str
    country: str
    currency: str
    median: float
    spread: float
    products: tuple[str, ...]


BRAZIL = Market("varejo-br", "BR", "BRL", 480.0, 0.9, ("card", "store_credit", "utilities"))
UNITED_STATES = Market("agency-us", "US", "USD", 350.0, 0.8, ("medical", "card", "telecom"))


class Invoice(msgspec.Struct, frozen=True):
    """One debt."""

    debt_ref: str
    principal: Decimal
    interest: Decimal
    penalty: Decimal
    due_date: date
    product: str
    stage: int = 0
    steps_done: tuple[tuple[str, str, datetime], ...] = ()

    @property
    def total(self) -> Decimal:
        """What is owed in all."""
        return self.principal + self.interest + self.penalty


class Debtor(msgspec.Struct, frozen=True):
    """One person or company with their debts; `cities` are the places the client knows."""

    debtor_ref: str
    document: str | None
    name: str
    kind: str
    locale: str
    market: Market
    phone: str
    email: str | None
    cities: tuple[City, ...]
    home: City
    consent: str
    consent_origin: str | None
    consent_at: datetime | None
    invoices: tuple[Invoice, ...]
    past_contacts: tuple[tuple[str, datetime], ...]


def draw(
    *,
    seed: str,
    market: Market,
    count: int,
    start: date,
    steps: Sequence[LadderStep] = (),
    phones: Phones | None = None,
) -> Iterator[Debtor]:
    """Yield `count` debtors of a market as they stand on the `start` date."""
    phones = phones or Phones()
    for number in range(1, count + 1):
        random = Random(f"{seed}|{market.portfolio_id}|{number}")  # noqa: S311 - must repeat
        yield _debtor(random, market, number, start=start, steps=steps, phones=phones)


def _debtor(
    random: Random,
    market: Market,
    number: int,
    *,
    start: date,
    steps: Sequence[LadderStep],
    phones: Phones,
) -> Debtor:
    home = _city(random, market.country)
    language = "pt" if market.country == "BR" else "en"
    if market.country == "US" and random.random() < SPANISH_SHARE:
        language = "es"
    company = random.random() < COMPANY_SHARE
    family = random.choice(FAMILY[language])
    name = (
        f"{random.choice(COMPANY_KINDS[language])} {family}"
        if company
        else f"{random.choice(GIVEN[language])} {_family(random, family, language)}"
    )
    moved = random.random() < MOVED_SHARE
    dialled = _city(random, market.country) if moved else home
    phone = phones.draw(random, market.country, random.choice(dialled.area_codes))
    placeless = random.random() < PLACELESS_SHARE
    consent, origin = _consent(random, market.country)
    invoices, past = _history(random, market, number, start=start, steps=steps, home=home)
    return Debtor(
        debtor_ref=f"{market.country}-{random.getrandbits(40):010x}",
        document=_document(random, market.country, company=company),
        name=name,
        kind="company" if company else "person",
        locale={"pt": "pt-BR", "en": "en-US", "es": "es"}[language],
        market=market,
        phone=phone,
        email=_email(random, number, market.country),
        cities=() if placeless else tuple(dict.fromkeys((home, dialled))),
        home=dialled if placeless else home,
        consent=consent,
        consent_origin=origin,
        consent_at=datetime.combine(start - timedelta(days=random.randrange(100, 900)), PAST_HOUR,
                                    UTC) if origin else None,
        invoices=invoices,
        past_contacts=past,
    )  # fmt: skip


def _history(
    random: Random,
    market: Market,
    number: int,
    *,
    start: date,
    steps: Sequence[LadderStep],
    home: City,
) -> tuple[tuple[Invoice, ...], tuple[tuple[str, datetime], ...]]:
    """Return the debtor's invoices and, for those who enter mid-life, what was done before."""
    mid_life = random.random() < MID_LIFE_SHARE
    invoices = tuple(
        _invoice(random, market, f"{number:06d}-{index:02d}", start)
        for index in range(1, _how_many(random) + 1)
    )
    if not mid_life:
        return invoices, ()
    zone = ZoneInfo(home.zone)
    treated = tuple(_with_steps(invoice, start, steps, zone) for invoice in invoices)
    days = sorted(random.sample(range(1, 12), random.randrange(1, 4)), reverse=True)
    past = tuple(
        (
            "sms" if random.random() < MESSAGED_SHARE else "voice",
            _instant(start - timedelta(days=day), zone),
        )
        for day in days
    )
    return treated, past


def _invoice(random: Random, market: Market, reference: str, start: date) -> Invoice:
    low, high = AGE_DAYS
    age = low + int((high - low + 1) * random.random() ** 1.4)  # young debts are commoner
    principal = Decimal(str(round(random.lognormvariate(0, market.spread) * market.median, 2)))
    principal = min(max(principal, Decimal("19.90")), Decimal("25000.00")).quantize(CENT)
    late = max(0, age)
    interest = (principal * MONTHLY_INTEREST * late / 30).quantize(CENT)
    return Invoice(
        debt_ref=f"{market.country}-{reference}",
        principal=principal,
        interest=interest,
        penalty=(principal * LATE_PENALTY).quantize(CENT) if late else Decimal("0.00"),
        due_date=start - timedelta(days=age),
        product=random.choice(market.products),
    )


def _with_steps(
    invoice: Invoice, start: date, steps: Sequence[LadderStep], zone: ZoneInfo
) -> Invoice:
    """Return the invoice with the ladder's earlier steps done on their days, the last two not."""
    age = (start - invoice.due_date).days
    past = [step for step in steps if step.offset_days < age][:-2]
    done = tuple(
        (step.key, step.channel, _instant(invoice.due_date + timedelta(step.offset_days), zone))
        for step in past
    )
    stage = max((step.stage for step in past), default=0)
    return msgspec.structs.replace(invoice, steps_done=done, stage=stage)


def _instant(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, PAST_HOUR, zone).astimezone(UTC)


def _how_many(random: Random) -> int:
    draw_ = random.random()
    if draw_ < MANY_SHARE:
        return random.randrange(8, 13)
    return random.randrange(2, 5) if draw_ < MANY_SHARE + SEVERAL_SHARE else 1


def _city(random: Random, country: str) -> City:
    cities = CITIES[country]
    return random.choices(cities, weights=[city.weight for city in cities])[0]


def _family(random: Random, family: str, language: str) -> str:
    if language == "en":
        return family
    return f"{family} {random.choice(FAMILY[language])}"


def _email(random: Random, number: int, country: str) -> str | None:
    has_one = random.random() < EMAIL_SHARE
    name = f"debtor{number}-{country.lower()}"  # no two people share a mailbox
    return f"{name}@{random.choice(EMAIL_DOMAINS)}" if has_one else None


def _document(random: Random, country: str, *, company: bool) -> str | None:
    if country == "BR":
        return cnpj(random) if company else cpf(random)
    return us_taxpayer(random) if random.random() < US_DOCUMENT_SHARE else None


def _consent(random: Random, country: str) -> tuple[str, str | None]:
    granted, revoked = (0.90, 0.03) if country == "BR" else (0.86, 0.04)
    luck = random.random()
    if luck < granted:
        return "granted", "contract" if country == "BR" else "web_form"
    return ("revoked", "phone_call") if luck < granted + revoked else ("unknown", None)
