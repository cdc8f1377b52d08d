"""Checks of single fields of a configuration entry: each says what is wrong and how to mend it.

In: a value and the name of its field. Out: nothing, or a problem (422) with field and remedy.
"""

import re

from shared.http.problems import FieldError, Problem, invalid

_LOCALE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")


def wrong(field: str, message: str, remedy: str) -> Problem:
    """Return the problem of one field."""
    return invalid([FieldError(field=field, message=message, remedy=remedy)])


def check_text(value: str, field: str, chars_max: int) -> None:
    """Raise unless `value` is a text with something in it, of at most `chars_max` characters."""
    if not value.strip() or len(value) > chars_max or "\x00" in value:
        raise wrong(field, f"not a text of 1 to {chars_max} characters", "correct the text")


def check_line(value: str, field: str, chars_max: int) -> None:
    """Raise unless `value` is such a text on one line: nothing that ends a header or is unseen."""
    check_text(value, field, chars_max)
    if not value.isprintable():
        raise wrong(field, "not one line of printable characters", "remove line ends and controls")


def check_one_of(value: str, allowed: tuple[str, ...], field: str) -> None:
    """Raise unless `value` is one of the allowed ones."""
    if value not in allowed:
        raise wrong(field, "not one of the allowed values", f"use {' or '.join(allowed)}")


def check_within(value: float, maximum: float, field: str) -> None:
    """Raise unless 0 <= value <= maximum."""
    if not 0 <= value <= maximum:
        raise wrong(field, f"not between 0 and {maximum}", "correct the number")


def check_locale(value: str, field: str) -> None:
    """Raise unless `value` is a language tag such as pt-BR."""
    if not _LOCALE.fullmatch(value):
        raise wrong(field, "not a locale", "use language tags, e.g. pt-BR")
