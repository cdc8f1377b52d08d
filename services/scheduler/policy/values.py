"""Merge values: what a template may say, frozen at dispatch, written as the debtor reads it.

In: the debts of a contact, the creditor, the debtor's name and locale. Out: text by name: amount,
count, creditor_name, creditor_contact, first_name, due_date, days_past_due, opt_out.
"""

from datetime import date

from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.locales import language_of, text_locale
from services.scheduler.policy.state import DebtorState, DebtState
from shared.events.configuration import Portfolio, Template

VALUE_NAMES = (
    "amount",
    "count",
    "creditor_name",
    "creditor_contact",
    "first_name",
    "due_date",
    "days_past_due",
    "opt_out",
)
DEFAULT_DIGITS = 2
# ISO 4217: currencies whose minor unit is not a hundredth.
CURRENCY_DIGITS = {"CLP": 0, "JPY": 0, "KRW": 0, "PYG": 0, "VND": 0, "BHD": 3, "KWD": 3, "TND": 3}
CURRENCY_SIGNS = {
    "BRL": "R$ ",
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "MXN": "$",
    "COP": "$ ",
    "CLP": "$",
}
COMMA_LANGUAGES = ("pt", "es", "de", "fr", "it")  # 1.120,00; the others write 1,120.00
POINT_LOCALES = ("es-MX", "es-US", "es-PR")
MONTH_FIRST_LOCALES = ("en-US",)
GREETINGS = {"pt": "cliente", "es": "cliente", "en": "customer"}
OPT_OUT_LINES = {
    "pt": "Responda SAIR para não receber mais mensagens.",
    "es": "Responda ALTO para no recibir más mensajes.",
    "en": "Reply STOP to opt out.",
}


def choose_locale(state: DebtorState, portfolio: Portfolio, template: Template) -> str | None:
    """Return the template's locale for this debtor; None when it has no text to offer."""
    for wanted in (state.locale, portfolio.locale):
        found = text_locale(template, wanted) if wanted is not None else None
        if found is not None:
            return found
    return None


def merge_values(
    state: DebtorState,
    debts: list[DebtState],
    portfolio: Portfolio,
    jurisdiction: Jurisdiction,
    locale: str,
    day: date,
) -> dict[str, str]:
    """Return every value of a contact about these debts (one currency) on the debtor's date."""
    total = sum(debt.balance() for debt in debts)
    dates = [debt.due_date for debt in debts if debt.due_date is not None]
    oldest = min(dates, default=day)
    return {
        "amount": money(total, debts[0].currency, locale),
        "count": str(len(debts)),
        "creditor_name": portfolio.creditor_name,
        "creditor_contact": portfolio.creditor_contact or "",
        "first_name": first_name(state, locale),
        "due_date": day_text(oldest, locale),
        "days_past_due": str(max((day - oldest).days, 0)),
        "opt_out": opt_out_line(jurisdiction, locale),
    }


def money(minor: int, currency: str, locale: str) -> str:
    """Write an amount: R$ 1.120,00 or $1,120.00."""
    digits = CURRENCY_DIGITS.get(currency, DEFAULT_DIGITS)
    whole, part = divmod(abs(minor), 10**digits)
    text = f"{whole:,}" + (f".{part:0{digits}d}" if digits else "")
    if language_of(locale) in COMMA_LANGUAGES and locale not in POINT_LOCALES:
        text = text.translate(str.maketrans(",.", ".,"))
    sign = CURRENCY_SIGNS.get(currency, f"{currency} ")
    return f"{'-' if minor < 0 else ''}{sign}{text}"


def day_text(day: date, locale: str) -> str:
    """Write a date as the debtor reads it: 31/12/2026 or 12/31/2026."""
    if locale in MONTH_FIRST_LOCALES:
        return f"{day.month:02d}/{day.day:02d}/{day.year}"
    return f"{day.day:02d}/{day.month:02d}/{day.year}"


def first_name(state: DebtorState, locale: str) -> str:
    """Return how to address the debtor: a person by first name, a company by its whole name."""
    name = (state.name or "").strip()
    if not name:
        return GREETINGS.get(language_of(locale), GREETINGS["en"])
    return name if state.kind == "company" else name.split()[0]


def opt_out_line(jurisdiction: Jurisdiction, locale: str) -> str:
    """Return the line that offers the opt-out: the packs' wording, else the house's."""
    language = language_of(locale)
    for _, pack in jurisdiction.packs:
        if language in pack.opt_out_text:
            return pack.opt_out_text[language]
    return OPT_OUT_LINES.get(language, OPT_OUT_LINES["en"])
