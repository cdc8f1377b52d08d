"""When a debtor may be contacted, told a second time: the verifier's own small table of the law.

In: an instant and the places that count for a person. Out: why contact was not allowed then, or
None. Written from the laws themselves (state laws of Brazil on collection hours, Regulation F of
the US) and on purpose without the scheduler's packs: a mistake there must not be repeated here.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

SATURDAY, SUNDAY = 5, 6

Hours = tuple[time, time] | None


class Place(msgspec.Struct, frozen=True):
    """A place that counts: ISO country and subdivision (without country), IANA zone."""

    country: str
    subdivision: str
    zone: str


class Rules(msgspec.Struct, frozen=True):
    """Hours of one jurisdiction, half-open; None: not at all. `holidays_closed` as on Sundays."""

    weekday: Hours
    saturday: Hours
    sunday: Hours
    holidays_closed: bool


def _hours(first: int, last: int) -> tuple[time, time]:
    return time(first), time(last)


BRAZIL_DEFAULT = Rules(_hours(8, 20), _hours(8, 14), None, holidays_closed=True)
BRAZIL: dict[str, Rules] = {
    "RJ": Rules(_hours(9, 19), None, None, holidays_closed=True),  # Lei 7.868/2018
    "ES": Rules(_hours(8, 19), None, None, holidays_closed=True),  # Lei 10.626/2017
    "AM": Rules(_hours(8, 18), None, None, holidays_closed=True),  # LC 306/2016, stricter reading
}
UNITED_STATES = Rules(_hours(8, 21), _hours(8, 21), _hours(8, 21), holidays_closed=False)


class Cap(msgspec.Struct, frozen=True):
    """At most `contacts` on these channels within `dates` local dates, per person or per debt."""

    dates: int
    contacts: int
    channels: frozenset[str]
    per_debt: bool = False


MESSAGES = frozenset({"sms", "email", "whatsapp"})
# Brazil's caps are the house's own default; the US figure is the house's for messages, which the
# law leaves open.
CAPS: dict[str, tuple[Cap, ...]] = {
    "BR": (Cap(1, 1, MESSAGES | {"voice"}), Cap(7, 3, MESSAGES | {"voice"})),
    "US": (Cap(7, 3, MESSAGES),),
}
# 940 CMR 7.04(1)(f): two communications about a debt in seven days by telephone, voice or text; a
# message by an app to the same telephone is counted with the texts, which is the cautious reading.
STATE_CAPS: dict[tuple[str, str], tuple[Cap, ...]] = {
    ("US", "MA"): (Cap(7, 2, frozenset({"sms", "voice", "whatsapp"}), per_debt=True),),
}

# Fixed public holidays of Brazil, nationwide and by state, as (month, day).
NATIONAL = ((1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (11, 20), (12, 25))
BY_STATE: dict[str, tuple[tuple[int, int], ...]] = {
    "SP": ((7, 9),),
    "RJ": ((4, 23),),
    "AM": ((9, 5),),
}
GOOD_FRIDAY = timedelta(days=-2)  # from Easter Sunday
# Movable public holidays of states, from Easter: carnival in RJ, Our Lady of Penha in ES.
MOVABLE: dict[str, timedelta] = {"RJ": timedelta(days=-47), "ES": timedelta(days=8)}


def caps(places: tuple[Place, ...]) -> tuple[Cap, ...]:
    """Return every cap that binds for a person with these places."""
    countries = dict.fromkeys(place.country for place in places)
    states = dict.fromkeys((place.country, place.subdivision) for place in places)
    return (
        *(cap for country in countries for cap in CAPS.get(country, ())),
        *(cap for state in states for cap in STATE_CAPS.get(state, ())),
    )


def forbidden(at: datetime, places: tuple[Place, ...]) -> str | None:
    """Say why a person with these places may not be contacted `at` this instant; None if so."""
    if not places:
        return "no place is known"
    for place in places:
        reason = _forbidden_in(at.astimezone(ZoneInfo(place.zone)), place)
        if reason is not None:
            return reason
    return None


def local_date(at: datetime, place: Place) -> date:
    """Return the person's date at an instant."""
    return at.astimezone(ZoneInfo(place.zone)).date()


def is_holiday(day: date, place: Place) -> bool:
    """Say whether a day is a public holiday of the place (Brazil only; the US has no such rule)."""
    if place.country != "BR":
        return False
    fixed = NATIONAL + BY_STATE.get(place.subdivision, ())
    movable = {easter(day.year) + GOOD_FRIDAY}
    if place.subdivision in MOVABLE:
        movable.add(easter(day.year) + MOVABLE[place.subdivision])
    return (day.month, day.day) in fixed or day in movable


def easter(year: int) -> date:
    """Return Easter Sunday (anonymous Gregorian computus)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leap, skipped = divmod(century, 4)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap - moon + 15) % 30
    years, left = divmod(rest, 4)
    weekday = (32 + 2 * skipped + 2 * years - epact - left) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _forbidden_in(local: datetime, place: Place) -> str | None:
    rules = _rules(place)
    if rules is None:
        return f"no hours are known for {place.country}"
    if rules.holidays_closed and is_holiday(local.date(), place):
        return f"holiday in {place.subdivision}"
    by_weekday = {SATURDAY: rules.saturday, SUNDAY: rules.sunday}
    hours = by_weekday.get(local.weekday(), rules.weekday)
    if hours is None:
        return f"{local:%A} in {place.subdivision}"
    if not hours[0] <= local.time().replace(tzinfo=None) < hours[1]:
        return f"{local:%H:%M} in {place.subdivision}"
    return None


def _rules(place: Place) -> Rules | None:
    if place.country == "BR":
        return BRAZIL.get(place.subdivision, BRAZIL_DEFAULT)
    return UNITED_STATES if place.country == "US" else None
