"""Amounts and days as people write them in short messages, in pt, es and en.

In: a reply. Out: an amount in hundredths, a day, and whether the day is beyond doubt. `03/04` is
the third of April in most countries and the fourth of March in North America: the number it came
from decides, else the language, and where neither does, a human.
"""

import re
from datetime import date, timedelta

AHEAD_DAYS_MAX = 92  # a promise for later than a quarter is a negotiation, not a promise
AMOUNT_MAX = 10**12  # hundredths; more is a typing error
MONTHS_LAST = 12
_DIGITS = r"\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{2})?|\d+(?:[.,]\d{1,2})?"
_AMOUNT = re.compile(
    rf"(?:r\$|us\$|\$|€|\bbrl|\busd|\beur)\s?(?P<after>{_DIGITS})"
    rf"|(?P<before>{_DIGITS})\s?(?:reais|real\b|dollars?|bucks|pesos|euros?|brl|usd|eur)",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(20\d\d)-(\d{1,2})-(\d{1,2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})[/.-](\d{1,2})(?:[/.-](20\d\d|\d\d))?\b(?![.,]\d)")
_DAY_OF_MONTH = re.compile(
    r"\b(?:dia|el|el dia|on the|by the|the|ate o dia|ate dia|ate o) (\d{1,2})(?:st|nd|rd|th)?\b"
    r"(?! de \w| \d)"
)
_ENGLISH = re.compile(r"\b(?:i|ill|will|pay|can|on|by|the|my|you|tomorrow|next|friday|monday)\b")
_RELATIVE = {
    "hoje": 0, "hoy": 0, "today": 0, "tonight": 0,
    "amanha": 1, "manana": 1, "tomorrow": 1, "depois de amanha": 2, "pasado manana": 2,
}  # fmt: skip
_WEEKDAYS = {
    "monday": 0, "mon": 0, "segunda": 0, "lunes": 0, "tuesday": 1, "tue": 1, "terca": 1,
    "martes": 1, "wednesday": 2, "wed": 2, "quarta": 2, "miercoles": 2, "thursday": 3, "thu": 3,
    "quinta": 3, "jueves": 3, "friday": 4, "fri": 4, "sexta": 4, "viernes": 4, "saturday": 5,
    "sat": 5, "sabado": 5, "sunday": 6, "sun": 6, "domingo": 6,
}  # fmt: skip
_WEEKDAY = re.compile(rf"\b({'|'.join(_WEEKDAYS)})\b")
_RELATIVE_WORDS = re.compile(rf"\b({'|'.join(sorted(_RELATIVE, key=len, reverse=True))})\b")


def amount_in(text: str) -> int | None:
    """Return the first amount with a currency beside it, in hundredths; None without one."""
    found = _AMOUNT.search(text)
    if found is None:
        return None
    amount = _hundredths(found["after"] or found["before"])
    return amount if 0 < amount < AMOUNT_MAX else None


def date_in(
    text: str, words: str, today: date, *, month_first: bool | None
) -> tuple[date | None, bool]:
    """Return the day that a reply names, and whether it can mean no other day.

    `text` is as written, `words` the same without accents and punctuation; `month_first` says how
    dates are written where the person is, None when that is not known.
    """
    if month_first is None and _ENGLISH.search(words) is None:
        month_first = False
    day, sure = _explicit(text, today, month_first=month_first)
    if day is None:
        day, sure = _relative(words, today)
    if day is None or not today <= day <= today + timedelta(days=AHEAD_DAYS_MAX):
        return None, False
    return day, sure


def _explicit(text: str, today: date, *, month_first: bool | None) -> tuple[date | None, bool]:
    iso = _ISO.search(text)
    if iso is not None:
        return _valid(int(iso[1]), int(iso[2]), int(iso[3])), True
    slashed = _SLASHED.search(_AMOUNT.sub(" ", text))
    if slashed is None:
        return None, False
    first, second = int(slashed[1]), int(slashed[2])
    month, day = (second, first) if month_first is False else (first, second)
    if month > MONTHS_LAST:
        month, day = day, month
    year = today.year if slashed[3] is None else int(slashed[3]) % 100 + 2000
    found = _valid(year, month, day)
    if found is not None and found < today and slashed[3] is None:
        found = _valid(year + 1, month, day)
    # In English texts both orders are in use: only a day above 12 settles it.
    sure = month_first is not None or max(first, second) > MONTHS_LAST or first == second
    return found, sure


def _relative(words: str, today: date) -> tuple[date | None, bool]:
    near = _RELATIVE_WORDS.search(words)
    if near is not None:
        return today + timedelta(days=_RELATIVE[near[1]]), True
    numbered = _DAY_OF_MONTH.search(words)
    if numbered is not None:
        return _next_day_of_month(int(numbered[1]), today), True
    weekday = _WEEKDAY.search(words)
    if weekday is None:
        return None, False
    ahead = (_WEEKDAYS[weekday[1]] - today.weekday()) % 7 or 7
    later = re.search(r"\b(?:next|proxim[oa]|que vem|que viene)\b", words) is not None
    return today + timedelta(days=ahead), not later  # "next Friday" means two days to two people


def _next_day_of_month(number: int, today: date) -> date | None:
    year, month = today.year, today.month
    for _ in range(3):
        found = _valid(year, month, number)
        if found is not None and found >= today:
            return found
        year, month = (year + 1, 1) if month == MONTHS_LAST else (year, month + 1)
    return None


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _hundredths(digits: str) -> int:
    """Read `1.234,56`, `1,234.56`, `1.234`: a mark before one or two digits is decimal."""
    cut = re.fullmatch(r"(.*?)[.,](\d{1,2})", digits)
    whole, cents = (cut[1], cut[2].ljust(2, "0")) if cut else (digits, "00")
    return int(re.sub(r"\D", "", whole) or "0") * 100 + int(cents)
