"""Why an event was refused: problems that name field and remedy, never the value.

In: msgspec's validation errors and our own checks. Out: `Problem`s, for one event of a batch or
for the whole request. `field` is a JSON path such as `$.data.amount`.
"""

import re

import msgspec

from shared.http.problems import FieldError, Problem

BAD_REQUEST = 400
CONFLICT = 409
TOO_LARGE = 413
UNPROCESSABLE = 422

# What msgspec expected, and what the caller should do about it. First match wins.
_REMEDIES: tuple[tuple[str, str], ...] = (
    ("with a timezone component", "add an offset, e.g. 2026-03-02T14:00:00-03:00"),
    ("datetime", "send an RFC 3339 instant with an offset, e.g. 2026-03-02T14:00:00-03:00"),
    ("encoded date", "send a date as YYYY-MM-DD"),
    ("got `float`", 'send amounts as decimal strings, e.g. "1120.00"'),
    ("`str`, got `int`", 'send texts and amounts in quotes, e.g. "1120.00"'),
    ("enum value", "use one of the values that /openapi.json lists"),
    ("matching regex", "use the form that /openapi.json shows; no invisible characters"),
    ("length", "keep to the length that /openapi.json states"),
)
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING_FIELD = re.compile(r"missing required field `(?P<name>\w+)`$")
_NAME_LIKE = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")  # a longer "name" is a value in disguise


def wrong(field: str, message: str, remedy: str) -> Problem:
    """Refuse an event because of one field."""
    return _refused(
        UNPROCESSABLE, "The event is not valid", "invalid-event", field, message, remedy
    )


def unknown_portfolio(field: str) -> Problem:
    """Refuse a debt of a portfolio that this tenant does not have (somebody else's is unknown)."""
    return _refused(
        UNPROCESSABLE,
        "The portfolio is not known",
        "unknown-portfolio",
        field,
        "no such portfolio",
        "create the portfolio first, or correct its id",
    )


def contradiction(field: str, message: str, remedy: str) -> Problem:
    """Refuse an event that cannot be true together with what was accepted before."""
    return _refused(
        CONFLICT,
        "The event contradicts what is known",
        "contradicting-event",
        field,
        message,
        remedy,
    )


def conflict() -> Problem:
    """Refuse an event whose id was used for another body."""
    return _refused(
        CONFLICT,
        "This id was used for another event",
        "conflicting-event",
        "$.id",
        "used for an event with another body",
        "give the new event an id of its own; repeat an event unchanged",
    )


def malformed(detail: str) -> Problem:
    """Refuse what is not JSON."""
    return Problem(BAD_REQUEST, "Malformed JSON", detail, "malformed-json")


def too_deep() -> Problem:
    """Refuse JSON that nests without end."""
    detail = "The body nests too deep; send a flatter one."
    return Problem(BAD_REQUEST, "JSON too deep", detail, "json-too-deep")


def too_many(count: int, count_max: int) -> Problem:
    """Refuse a request with too many events."""
    detail = f"The request holds {count} events; send at most {count_max} at once."
    return Problem(TOO_LARGE, "Too many events", detail, "too-many-events")


def from_validation(error: msgspec.ValidationError, prefix: str) -> Problem:
    """Translate msgspec's words; `prefix` is the path of what was decoded, e.g. `$.data`."""
    head, _, path = str(error).partition(" - at ")
    where = prefix + path.strip("`").removeprefix("$").replace("[...]", "")
    if unknown := _UNKNOWN_FIELD.search(head):
        # The name is the caller's text: shown only when it looks like a name, not like a value.
        safe = _NAME_LIKE.fullmatch(unknown["name"])
        field = f"{where}.{safe[0]}" if safe else where
        return wrong(field, "unknown field", "remove the field, or correct its name")
    if missing := _MISSING_FIELD.search(head):
        return wrong(f"{where}.{missing['name']}", "missing", "add the field")
    remedy = next((text for words, text in _REMEDIES if words in head), "see /openapi.json")
    return wrong(where, _expectation(head), remedy)


def _expectation(head: str) -> str:
    """Keep what was expected; drop what was sent, and patterns nobody wants to read."""
    if head.startswith("Invalid enum value"):
        return "not one of the allowed values"
    if "matching regex" in head:
        return "not in the expected form"
    return head[:1].lower() + head[1:].replace("`", "")


def _refused(status: int, title: str, slug: str, field: str, message: str, remedy: str) -> Problem:
    error = FieldError(field=field, message=message, remedy=remedy)
    return Problem(status, title, f"{field}: {message}; {remedy}", slug, [error])
