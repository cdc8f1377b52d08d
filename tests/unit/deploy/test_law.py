"""The verifier's table of the law, checked against the calendar library that it does not use."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest

from deploy.demo.law import Place, easter, forbidden, is_holiday

ZONES = {
    "SP": "America/Sao_Paulo",
    "RJ": "America/Sao_Paulo",
    "ES": "America/Sao_Paulo",
    "MG": "America/Sao_Paulo",
    "AM": "America/Manaus",
    "MT": "America/Cuiaba",
}


def place(subdivision: str, country: str = "BR", zone: str | None = None) -> Place:
    return Place(country, subdivision, zone or ZONES[subdivision])


@pytest.mark.parametrize(
    ("year", "day"),
    [(2024, date(2024, 3, 31)), (2025, date(2025, 4, 20)), (2026, date(2026, 4, 5))],
)
def test_easter(year: int, day: date) -> None:
    assert easter(year) == day


@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_national_holidays_agree_with_the_library(year: int) -> None:
    minas = place("MG", zone="America/Sao_Paulo")
    public = holidays.country_holidays("BR", years=year)
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
    assert {day for day in days if is_holiday(day, minas)} == set(public)


@pytest.mark.parametrize("year", [2025, 2026, 2027])
@pytest.mark.parametrize("state", list(ZONES))
def test_state_holidays_agree_with_the_library(state: str, year: int) -> None:
    public = holidays.country_holidays("BR", subdiv=state, years=year)
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(365))
    assert {day for day in days if is_holiday(day, place(state))} == set(public)


@pytest.mark.parametrize(
    ("where", "local", "allowed"),
    [
        (place("SP"), "2026-03-02T08:00", True),
        (place("SP"), "2026-03-02T19:59", True),
        (place("SP"), "2026-03-02T20:00", False),
        (place("SP"), "2026-03-07T13:59", True),
        (place("RJ"), "2026-03-02T08:59", False),
        (place("RJ"), "2026-03-07T10:00", False),
        (place("AM"), "2026-03-02T18:00", False),
        (place("SP"), "2026-07-09T12:00", False),
        (place("CA", "US", "America/Los_Angeles"), "2026-03-08T08:00", True),
        (place("CA", "US", "America/Los_Angeles"), "2026-03-08T21:00", False),
        (place("AZ", "US", "America/Phoenix"), "2026-07-04T12:00", True),
        (place("BE", "DE", "Europe/Berlin"), "2026-03-02T12:00", False),
    ],
)
def test_hours(where: Place, local: str, *, allowed: bool) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(where.zone)).astimezone(UTC)
    assert (forbidden(at, (where,)) is None) == allowed
