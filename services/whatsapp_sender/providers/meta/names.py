"""A person's names at Meta: a phone as WhatsApp writes it, and business-scoped user ids.

In: `wa_id` and user ids as they come. Out: addresses as we write them, the likeliest first.
WhatsApp keeps the numbers of some countries as they were years ago, so one number has two
spellings; a user who goes by a username may have no number at all.
"""

import re

_DIGITS = re.compile(r"[1-9]\d{6,14}")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")

# Today's spelling, from WhatsApp's old one: Brazil's mobile numbers got a ninth digit, Mexico's
# lost the 1 behind the country code; Argentina's 9 is written abroad and not at home.
_TODAY: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"55([1-9]\d)([6-9]\d{7})"), r"55\g<1>9\g<2>"),
    (re.compile(r"521(\d{10})"), r"52\g<1>"),
)
_OLD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"55([1-9]\d)9([6-9]\d{7})"), r"55\g<1>\g<2>"),
    (re.compile(r"52([2-9]\d{9})"), r"521\g<1>"),
    (re.compile(r"549(\d{10})"), r"54\g<1>"),
)


def names_of(phone: str = "", user_ids: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return every address of a person: today's spelling first, then the others, then user ids."""
    names: list[str] = []
    digits = phone.removeprefix("+")
    if _DIGITS.fullmatch(digits):
        today = _respelt(digits, _TODAY)
        names += [f"+{each}" for each in (today, digits, _respelt(digits, _OLD))]
    names += [each for each in user_ids if _USER_ID.fullmatch(each)]
    return tuple(dict.fromkeys(names))


def _respelt(digits: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, spelling in rules:
        found = pattern.fullmatch(digits)
        if found is not None:
            return found.expand(spelling)
    return digits
