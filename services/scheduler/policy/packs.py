"""Compliance packs: from YAML to a checked `Pack`.

In: YAML text whose values carry status (law, guidance, house) and source. Out: the pack, or
`PolicyError` with line, field and remedy. Which packs bind whom is `jurisdiction.py`'s question.
"""

import re
from datetime import date

import holidays
import msgspec

from services.scheduler.policy.documents import Lines, check_choice, check_key, read
from services.scheduler.policy.rulebook import Cap, HolidayRule, Pack, PolicyError, Window

STATUSES = ("law", "guidance", "house")
ROLES = ("first_party", "third_party")
PACK_CHANNELS = ("sms", "email", "whatsapp", "voice", "letter", "handoff")
SCOPES = ("debtor", "debt")
CAP_WINDOWS = ("calendar_days", "week")
CONSENTS = ("not_revoked", "granted")
OPT_OUT_SCOPES = ("address", "channel", "debtor")
CAP_DAYS_MAX = 45  # contacts older than that leave the debtor's state
DAY_MINUTES = 24 * 60
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY_LANGUAGE = (
    "en_US"  # names of optional days are written as the library names them in English
)
HOLIDAY_YEARS = (2026, 2027)

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


class CapDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cap as written; `max` contacts within `days` dates of the debtor's own calendar."""

    key: str
    channels: tuple[str, ...]
    max: int
    days: int = 7
    scope: str = "debtor"
    window: str = "calendar_days"
    min_gap_days: int = 0
    status: str = "house"
    source: str = ""


class HolidayDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days on which nobody is contacted."""

    country: str
    subdivision: str | None = "of_place"
    optional_days: tuple[str, ...] = ()
    extra_days: tuple[date, ...] = ()


class Applies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the pack binds: a place and collector roles."""

    country: str | None = None
    subdivision: str | None = None
    city: str | None = None
    roles: tuple[str, ...] = ROLES


class OptOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far an opt-out reaches, and the line that offers it, by language."""

    scope: str = "address"
    text: dict[str, str] = {}


class PackDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack file."""

    pack: str
    version: int
    status: str
    source: str
    checked_on: date
    effective_from: date
    effective_to: date | None = None
    title: str = ""
    applies: Applies = Applies()
    channels: tuple[str, ...] = ("sms", "email", "whatsapp", "voice")
    windows: dict[str, tuple[str, ...]] | None = None
    holidays: HolidayDocument | None = None
    caps: tuple[CapDocument, ...] = ()
    consent: dict[str, str] = {}
    opt_out: OptOut = OptOut()
    stage_waits: dict[int, int] = {}
    retention_days: int | None = None
    note: str = ""


def load_pack(text: str) -> Pack:
    """Read a pack; raise `PolicyError` naming line, field and remedy."""
    document, lines = read(text, PackDocument)
    check_key(document.pack, lines, "pack")
    check_choice(document.status, STATUSES, lines, "status")
    check_choice(document.opt_out.scope, OPT_OUT_SCOPES, lines, "opt_out", "scope")
    for role in document.applies.roles:
        check_choice(role, ROLES, lines, "applies", "roles")
    for channel in document.channels:
        check_choice(channel, PACK_CHANNELS, lines, "channels")
    for channel, level in document.consent.items():
        check_choice(channel, PACK_CHANNELS, lines, "consent", channel)
        check_choice(level, CONSENTS, lines, "consent", channel)
    if document.effective_to is not None and document.effective_to <= document.effective_from:
        raise lines.error("ends before it begins", "effective_to", remedy="set a later date")
    return Pack(
        id=document.pack,
        version=document.version,
        status=document.status,
        source=document.source,
        checked_on=document.checked_on,
        effective_from=document.effective_from,
        effective_to=document.effective_to,
        title=document.title,
        country=document.applies.country,
        subdivision=document.applies.subdivision,
        city=document.applies.city,
        roles=document.applies.roles,
        channels=document.channels,
        windows=_windows(document.windows, lines),
        holidays=_holidays(document.holidays, lines),
        caps=tuple(_cap(cap, str(i), lines) for i, cap in enumerate(document.caps)),
        consent=document.consent,
        opt_out_scope=document.opt_out.scope,
        opt_out_text=document.opt_out.text,
        stage_waits=document.stage_waits,
        retention_days=document.retention_days,
    )


def _windows(
    spans: dict[str, tuple[str, ...]] | None, lines: Lines
) -> tuple[tuple[Window, ...], ...] | None:
    if spans is None:
        return None
    week: list[tuple[Window, ...] | None] = [None] * len(WEEKDAYS)
    for name, given in spans.items():
        windows = tuple(sorted(_window(span, lines, name) for span in given))
        for day in _days(name, lines):
            if week[day] is not None:
                raise lines.error(
                    "day is named twice", "windows", name, remedy="name each day once"
                )
            week[day] = windows
    missing = [WEEKDAYS[day] for day, windows in enumerate(week) if windows is None]
    if missing:
        raise lines.error(
            f"no word about {', '.join(missing)}", "windows", remedy="use [] for a closed day"
        )
    return tuple(windows or () for windows in week)


def _days(name: str, lines: Lines) -> range:
    first, _, last = name.partition("-")
    for day in (first, last or first):
        check_choice(day, WEEKDAYS, lines, "windows", name)
    start, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
    if end < start:
        raise lines.error("days run from mon to sun", "windows", name, remedy="split the range")
    return range(start, end + 1)


def _window(span: str, lines: Lines, name: str) -> Window:
    match = _SPAN.fullmatch(span)
    if match is None:
        raise _bad_span(lines, name)
    numbers = [int(part) for part in match.groups()]
    opens, closes = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    minutes_ok = numbers[1] < 60 and numbers[3] < 60  # noqa: PLR2004 - minutes of an hour
    if not minutes_ok or opens >= DAY_MINUTES or closes > DAY_MINUTES or opens == closes:
        raise _bad_span(lines, name)
    return Window(open=opens, close=closes if closes > opens else closes + DAY_MINUTES)


def _bad_span(lines: Lines, name: str) -> PolicyError:
    return lines.error(
        "a window reads HH:MM-HH:MM", "windows", name, remedy='e.g. "08:00-20:00", or "22:00-06:00"'
    )


def _holidays(rule: HolidayDocument | None, lines: Lines) -> HolidayRule | None:
    if rule is None:
        return None
    supported = holidays.list_supported_countries()
    if rule.country not in supported:
        raise lines.error(
            "no holiday calendar for this country", "holidays", "country", remedy="use ISO code"
        )
    named = optional_names(rule.country) if rule.optional_days else frozenset()
    for day in rule.optional_days:
        check_choice(day, tuple(sorted(named)), lines, "holidays", "optional_days")
    return HolidayRule(
        country=rule.country,
        subdivision=rule.subdivision,
        optional_days=rule.optional_days,
        extra_days=rule.extra_days,
    )


def optional_names(country: str) -> frozenset[str]:
    """Return the names of a country's optional holidays, as the library gives them in English."""
    calendar = holidays.country_holidays(
        country, years=HOLIDAY_YEARS, categories=("optional",), language=HOLIDAY_LANGUAGE
    )
    return frozenset(name for names in calendar.values() for name in names.split("; "))


def _cap(cap: CapDocument, index: str, lines: Lines) -> Cap:
    at = ("caps", index)
    check_choice(cap.scope, SCOPES, lines, *at, "scope")
    check_choice(cap.window, CAP_WINDOWS, lines, *at, "window")
    check_choice(cap.status, STATUSES, lines, *at, "status")
    for channel in cap.channels:
        check_choice(channel, PACK_CHANNELS, lines, *at, "channels")
    if not 0 < cap.days <= CAP_DAYS_MAX or cap.max < 1:
        raise lines.error(
            f"a cap allows 1 or more within 1 to {CAP_DAYS_MAX} days", *at, remedy="correct it"
        )
    return Cap(
        key=cap.key,
        channels=cap.channels,
        scope=cap.scope,
        maximum=cap.max,
        days=cap.days,
        window=cap.window,
        min_gap_days=cap.min_gap_days,
        status=cap.status,
    )
