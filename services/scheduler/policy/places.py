"""Where a debtor may be: the set of zones that places and phone numbers point to.

In: places from the client, phone numbers. Out: zone names. Every indication counts (the law wants
a time that is convenient everywhere the data points to). A number whose prefix says no more than a
country of several clocks (toll-free, Australian mobiles) indicates nothing: without a place, nobody
knows when it is lawful to contact it. `Etc/Unknown` is no zone, and never UTC.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from shared.events.debt import Place

UNKNOWN_ZONE = "Etc/Unknown"
# A number's zone depends on its leading digits only; 65,536 prefixes are 10 MB and cover a country.
CACHED_PREFIXES = 65_536
# Calling codes whose mobile numbers carry an area code, so that the prefix table alone answers.
AREA_CODE_COUNTRIES = ("1", "52", "54", "55")
JANUARY, JULY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)

_BR_SAO_PAULO = "AL BA CE DF ES GO MA MG PB PI PR RJ RN RS SC SE SP"
_US_EASTERN = "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV"
_US_CENTRAL = "AL AR IA IL LA MN MO MS OK WI"

# Zones of states when the client names no zone; several where a state has several clocks.
SUBDIVISION_ZONES: dict[tuple[str, str], tuple[str, ...]] = {
    **{("BR", state): ("America/Sao_Paulo",) for state in _BR_SAO_PAULO.split()},
    ("BR", "AC"): ("America/Rio_Branco",),
    ("BR", "AM"): ("America/Manaus", "America/Rio_Branco"),
    ("BR", "AP"): ("America/Belem",),
    ("BR", "MS"): ("America/Campo_Grande",),
    ("BR", "MT"): ("America/Cuiaba",),
    ("BR", "PA"): ("America/Belem",),
    ("BR", "PE"): ("America/Recife", "America/Noronha"),
    ("BR", "RO"): ("America/Porto_Velho",),
    ("BR", "RR"): ("America/Boa_Vista",),
    ("BR", "TO"): ("America/Araguaina",),
    **{("US", state): ("America/New_York",) for state in _US_EASTERN.split()},
    **{("US", state): ("America/Chicago",) for state in _US_CENTRAL.split()},
    ("US", "AK"): ("America/Anchorage", "America/Adak"),
    ("US", "AZ"): ("America/Phoenix", "America/Denver"),
    ("US", "CA"): ("America/Los_Angeles",),
    ("US", "CO"): ("America/Denver",),
    ("US", "FL"): ("America/New_York", "America/Chicago"),
    ("US", "HI"): ("Pacific/Honolulu",),
    ("US", "ID"): ("America/Boise", "America/Los_Angeles"),
    ("US", "IN"): ("America/Indiana/Indianapolis", "America/Chicago"),
    ("US", "KS"): ("America/Chicago", "America/Denver"),
    ("US", "KY"): ("America/New_York", "America/Chicago"),
    ("US", "MI"): ("America/Detroit", "America/Chicago"),
    ("US", "MT"): ("America/Denver",),
    ("US", "ND"): ("America/Chicago", "America/Denver"),
    ("US", "NE"): ("America/Chicago", "America/Denver"),
    ("US", "NM"): ("America/Denver",),
    ("US", "NV"): ("America/Los_Angeles", "America/Denver"),
    ("US", "OR"): ("America/Los_Angeles", "America/Boise"),
    ("US", "SD"): ("America/Chicago", "America/Denver"),
    ("US", "TN"): ("America/New_York", "America/Chicago"),
    ("US", "TX"): ("America/Chicago", "America/Denver"),
    ("US", "UT"): ("America/Denver",),
    ("US", "WA"): ("America/Los_Angeles",),
    ("US", "WY"): ("America/Denver",),
    ("US", "PR"): ("America/Puerto_Rico",),
}


def subdivision_of(place: Place) -> str | None:
    """Return the subdivision without its country: SP for both SP and BR-SP."""
    if place.subdivision is None:
        return None
    return place.subdivision.removeprefix(f"{place.country}-")


def zones_of_place(place: Place) -> tuple[str, ...]:
    """Return the zones a place points to: its own, else its state's, else none."""
    if place.zone is not None:
        return (place.zone,)
    subdivision = subdivision_of(place)
    return SUBDIVISION_ZONES.get((place.country, subdivision), ()) if subdivision else ()


def zones_of_phone(address: str) -> tuple[str, ...]:
    """Return the zones an E.164 number points to; none when they do not share one area or clock."""
    for code in AREA_CODE_COUNTRIES:
        if address.startswith(code, 1):
            return _by_prefix(address[: TIMEZONE_LONGEST_PREFIX + 1], len(code))
    return _by_library(address[: TIMEZONE_LONGEST_PREFIX + 1], len(address))


def zone_info(name: str) -> ZoneInfo | None:
    """Return the zone, None when there is none of that name."""
    if name == UNKNOWN_ZONE:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=CACHED_PREFIXES)
def _by_prefix(prefix: str, code_digits: int) -> tuple[str, ...]:
    digits = prefix[1:]
    for length in range(TIMEZONE_LONGEST_PREFIX, code_digits, -1):
        zones = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return tuple(zones)
    return ()  # toll-free and the like: the country is all it says


@lru_cache(maxsize=CACHED_PREFIXES)
def _by_library(prefix: str, length: int) -> tuple[str, ...]:
    """Ask the library about the first number with this prefix: the last digits decide nothing."""
    try:
        number = phonenumbers.parse(prefix.ljust(length, "0"))
    except phonenumbers.NumberParseException:
        return ()
    zones = tuple(timezone.time_zones_for_number(number))
    return zones if zones != (UNKNOWN_ZONE,) and _one_clock(zones) else ()


def _one_clock(zones: tuple[str, ...]) -> bool:
    """Say whether the zones read the same in winter and in summer."""
    known = [zone_info(name) for name in zones]
    return all(
        len({moment.astimezone(zone).utcoffset() for zone in known if zone is not None}) == 1
        for moment in (JANUARY, JULY)
    )
