"""Money, dates and instants as clients write them, checked and in our own units.

In: decimal strings, dates, aware instants, with the path of the field they came in. Out: integers
in minor units, dates a debt can have, instants in UTC; or the problem that names the field.
"""

from datetime import UTC, date, datetime

from services.scheduler.intake.refusal import wrong
from shared.events.currencies import MINOR_DIGITS

AMOUNT_MINOR_MAX = 10**15  # ten trillion in most currencies: beyond it is a unit error
DATE_MIN = date(1970, 1, 1)  # nothing older is still collected
DATE_MAX = date(2100, 1, 1)  # nothing is due after it; 9999-12-31 is a placeholder


def minor(text: str, currency: str, field: str, *, least: int = 1) -> int:
    """Read a decimal string as minor units of `currency`; exactly its number of decimals."""
    digits = MINOR_DIGITS[currency]
    whole, _, decimals = text.partition(".")
    if len(decimals) != digits:
        example = "1120" if digits == 0 else "1120." + "0" * digits
        raise wrong(field, f"{currency} has {digits} decimals", f'write it as "{example}"')
    amount = int(whole + decimals)
    if amount < least:
        raise wrong(field, "must be greater than zero", "leave the field out, or send the amount")
    if amount > AMOUNT_MINOR_MAX:
        raise wrong(field, "larger than any debt", "check the unit: amounts are in whole currency")
    return amount


def money_code(code: str, field: str) -> str:
    """Check a currency."""
    if code not in MINOR_DIGITS:
        raise wrong(field, "not a currency in use", "send an ISO 4217 code, e.g. BRL or USD")
    return code


def day(value: date, field: str) -> date:
    """Check that a date is one that a debt can have."""
    if not DATE_MIN <= value < DATE_MAX:
        raise wrong(field, f"not between {DATE_MIN} and {DATE_MAX}", "send the real date")
    return value


def instant(value: datetime, field: str, *, latest: datetime | None = None) -> datetime:
    """Return the instant in UTC; `latest` bounds what has happened already."""
    try:
        moment = value.astimezone(UTC)
    except (OverflowError, ValueError):
        moment = None
    if moment is None or not DATE_MIN <= moment.date() < DATE_MAX:
        raise wrong(field, f"not between {DATE_MIN} and {DATE_MAX}", "send the real instant")
    if latest is not None and moment > latest:
        raise wrong(field, "lies in the future", "send when it happened; check the clock")
    return moment
