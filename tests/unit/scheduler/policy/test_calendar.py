"""The calendar: half-open local windows, closed days, jumps of the clock, sets of zones."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.policy.calendar import Calendar, WeekRule, start_of
from services.scheduler.policy.jurisdiction import Jurisdiction, resolve
from services.scheduler.policy.rulebook import Pack, Window
from shared.events.debt import Place
from tests.unit.scheduler.policy.builders import (
    NEW_YORK_PHONE,
    Desk,
    at,
    point,
    portfolio,
    registered,
    rulebook,
    shipped_pack,
)

WORK_DAYS = range(5)
MINUTE = timedelta(minutes=1)


def weekly(zone: str, *spans: tuple[int, int], days: range = WORK_DAYS) -> Calendar:
    windows = tuple(Window(open=a, close=b) for a, b in spans)
    return Calendar(
        (WeekRule(ZoneInfo(zone), lambda day: windows if day.weekday() in days else ()),)
    )


def bound(
    *places: Place, phone: str | None = None, packs: tuple[str, ...], role: str = "third_party"
) -> Jurisdiction:
    """What binds a debtor with these places and this phone."""
    book = rulebook(
        portfolios={
            "br": portfolio(
                packs=packs, collector_role=role, country=packs[0][:2].upper(), accounts={}
            )
        }
    )
    desk = Desk(book)
    points = (point(phone),) if phone else ()
    desk.tell("debt.registered", registered(places=places, contact_points=points))
    return resolve(desk.known, "br", book)


def test_next_lawful_instant_is_the_instant_itself_inside_the_window() -> None:
    calendar = weekly("America/Sao_Paulo", (480, 1200))
    now = at("2026-10-05 14:13:27")
    assert calendar.next_lawful(now) == now
    assert calendar.lawful(now)


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        # 08:00 Mon-Fri asked from a Sunday evening in UTC: Monday has begun over there
        ("Australia/Sydney", "2026-07-05 21:00", "2026-07-05 22:00"),
        ("Asia/Tokyo", "2026-07-05 21:00", "2026-07-05 23:00"),
        # and from a Friday afternoon in UTC it is Saturday there: not before Monday
        ("Australia/Sydney", "2026-07-03 15:00", "2026-07-05 22:00"),
        ("Asia/Tokyo", "2026-07-03 16:00", "2026-07-05 23:00"),
    ],
)
def test_weekdays_are_those_of_the_debtor(zone: str, now: str, expected: str) -> None:
    assert weekly(zone, (480, 1200)).next_lawful(at(now)) == at(expected)


def test_friday_nine_in_the_evening_in_sao_paulo_waits_for_monday() -> None:
    calendar = weekly("America/Sao_Paulo", (480, 1200))
    friday_night = at("2026-10-02 21:00-03:00")
    assert calendar.next_lawful(friday_night) == at("2026-10-05 08:00-03:00")


def test_windows_are_half_open() -> None:
    calendar = weekly("America/Sao_Paulo", (480, 1200))
    assert calendar.lawful(at("2026-10-05 08:00-03:00"))
    assert not calendar.lawful(at("2026-10-05 07:59:59-03:00"))
    assert calendar.lawful(at("2026-10-05 19:59:59-03:00"))
    assert not calendar.lawful(at("2026-10-05 20:00-03:00"))


def test_an_overnight_window_ends_at_midnight_before_a_closed_day() -> None:
    nights = weekly("America/Sao_Paulo", (22 * 60, 30 * 60))
    assert nights.lawful(at("2026-10-06 03:00-03:00"))  # the night from Monday to Tuesday
    assert nights.lawful(at("2026-10-09 23:30-03:00"))
    assert not nights.lawful(at("2026-10-10 03:00-03:00"))  # Saturday is closed
    assert not nights.lawful(at("2026-10-05 03:00-03:00"))  # Sunday opened nothing


def test_new_york_number_with_californian_address_leaves_eleven_to_nine_eastern() -> None:
    law = bound(Place(country="US", subdivision="CA"), phone=NEW_YORK_PHONE, packs=("us-federal",))
    calendar = law.calendar("sms")
    assert not calendar.lawful(at("2026-10-05 10:59-04:00"))
    assert calendar.next_lawful(at("2026-10-05 08:30-04:00")) == at("2026-10-05 11:00-04:00")
    assert calendar.lawful(at("2026-10-05 20:59-04:00"))
    assert not calendar.lawful(at("2026-10-05 21:00-04:00"))


@pytest.mark.parametrize(
    ("phone", "places"),
    [
        ("+18005550142", ()),  # toll-free: 42 zones without a common window
        (None, ()),  # nothing known
        (None, (Place(country="US"),)),  # a country of many clocks
        (None, (Place(country="US", zone="Etc/Unknown"),)),
        (None, (Place(country="US", zone="Mars/Olympus"),)),
        (NEW_YORK_PHONE, (Place(country="MX", zone="America/Mexico_City"),)),  # no pack for Mexico
    ],
)
def test_what_cannot_be_resolved_has_no_lawful_instant(
    phone: str | None, places: tuple[Place, ...]
) -> None:
    law = bound(*places, phone=phone, packs=("us-federal",))
    assert law.calendar("sms").next_lawful(at("2026-10-05 15:00")) is None


def test_a_toll_free_number_says_nothing_beside_a_known_address() -> None:
    law = bound(Place(country="US", subdivision="NY"), phone="+18005550142", packs=("us-federal",))
    assert law.calendar("sms").lawful(at("2026-10-05 08:00-04:00"))


@pytest.mark.parametrize(
    ("subdivision", "day", "lawful"),
    [
        ("SP", "2026-07-09", False),  # the state's own day
        ("MG", "2026-07-09", True),
        ("SP", "2026-11-20", False),
        ("MG", "2026-11-20", False),
        ("MG", "2026-02-17", False),  # carnival is optional in the library, named in the pack
        ("MG", "2026-06-04", False),  # so is Corpus Christi
        ("MG", "2026-10-28", True),  # civil servants' day is optional and not named
        ("BR-SP", "2026-07-09", False),
        ("SP", "2026-10-04", False),  # Sunday
    ],
)
def test_brazilian_holidays_by_state(subdivision: str, day: str, lawful: bool) -> None:  # noqa: FBT001
    place = Place(country="BR", subdivision=subdivision, zone="America/Sao_Paulo")
    law = bound(place, packs=("br-default", "br-sp"))
    assert law.calendar("sms").lawful(at(f"{day} 12:00-03:00")) is lawful


def test_saturdays_in_sao_paulo_end_at_two() -> None:
    law = bound(Place(country="BR", subdivision="SP"), packs=("br-default", "br-sp"))
    assert law.calendar("sms").lawful(at("2026-10-03 13:59-03:00"))
    assert law.calendar("sms").next_lawful(at("2026-10-03 14:00-03:00")) == at(
        "2026-10-05 08:00-03:00"
    )


def test_a_pack_binds_only_on_its_dates() -> None:
    early = shipped_pack("us-federal")
    assert not early.in_force(date(2021, 11, 29))
    ended = Pack(
        **{name: getattr(early, name) for name in early.__struct_fields__}
        | {"effective_to": date(2026, 9, 1)}
    )
    assert ended.in_force(date(2026, 8, 31))
    assert not ended.in_force(date(2026, 9, 1))


def test_the_first_instant_of_a_day_that_begins_at_one() -> None:
    # Santiago springs forward at midnight: 2026-09-06 begins at 01:00
    assert start_of(date(2026, 9, 6), ZoneInfo("America/Santiago")) == at("2026-09-06 04:00")


def _changes(zone: ZoneInfo) -> list[datetime]:
    """Instants within 2025-2030 around which the zone's offset changes, to the hour."""
    found = []
    hour = datetime(2025, 1, 1, tzinfo=UTC)
    step = timedelta(days=1)
    while hour.year <= 2030:
        if hour.astimezone(zone).utcoffset() != (hour + step).astimezone(zone).utcoffset():
            inner = hour
            while (
                inner.astimezone(zone).utcoffset()
                == (inner + step / 24).astimezone(zone).utcoffset()
            ):
                inner += step / 24
            found.append(inner)
        hour += step
    return found


@pytest.mark.parametrize("span", [(480, 1260), (90, 150), (0, 1440), (1380, 1560)])
def test_no_instant_outside_the_local_window_at_any_change_of_clocks(span: tuple[int, int]) -> None:
    zones = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})
    tried = 0
    for name in zones[:: max(len(zones) // 150, 1)]:
        zone = ZoneInfo(name)
        calendar = weekly(name, span, days=range(7))
        for change in _changes(zone):
            tried += 1
            moment = change - timedelta(hours=3)
            while moment < change + timedelta(hours=4):
                _check_moment(calendar, zone, moment, span)
                moment += 13 * MINUTE
    assert tried > 300


def _check_moment(
    calendar: Calendar, zone: ZoneInfo, moment: datetime, span: tuple[int, int]
) -> None:
    local = moment.astimezone(zone)
    minutes = local.hour * 60 + local.minute
    inside = span[0] <= minutes < span[1] or span[0] <= minutes + 1440 < span[1]
    if calendar.lawful(moment):
        assert inside, (zone.key, moment)
    elif inside:  # the safe side may give up the repeated hour, never more
        repeated = any(
            (moment + shift).astimezone(zone).replace(tzinfo=None, fold=0)
            == local.replace(tzinfo=None, fold=0)
            for minutes_apart in range(-180, 181, 30)
            if (shift := timedelta(minutes=minutes_apart))
        )
        near = any(
            (moment + shift).astimezone(zone).utcoffset() != local.utcoffset()
            for shift in (timedelta(hours=-2), timedelta(hours=2))
        )
        assert repeated or near, (zone.key, moment)
