"""Where a debtor may be: phone prefixes, states, zones."""

import phonenumbers
import pytest
from phonenumbers import timezone

from services.scheduler.policy.places import zone_info, zones_of_phone, zones_of_place
from shared.events.debt import Place


def test_every_brazilian_area_code_has_one_zone() -> None:
    codes = [c for c in range(11, 100) if phonenumbers.is_valid_number(_parse(f"+55{c}987654321"))]
    zones = {code: zones_of_phone(f"+55{code}987654321") for code in codes}
    assert len(codes) == 67
    assert all(len(names) == 1 for names in zones.values())
    assert zones[92] == ("America/Manaus",)


@pytest.mark.parametrize("code", ["212", "310", "208", "907", "312", "808", "787", "416"])
def test_north_american_prefixes_agree_with_the_library(code: str) -> None:
    number = f"+1{code}5550142"
    assert zones_of_phone(number) == tuple(timezone.time_zones_for_number(_parse(number)))


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+61412345678", ()),  # Australian mobiles: a country of several clocks
        ("+18005550142", ()),  # toll-free
        ("+5508005550142", ()),
        ("+999123456", ()),
        ("+81312345678", ("Asia/Tokyo",)),
        ("+4930123456", ("Europe/Berlin",)),
    ],
)
def test_a_prefix_that_says_only_the_country_points_nowhere(
    number: str, zones: tuple[str, ...]
) -> None:
    assert zones_of_phone(number) == zones


def test_british_mobiles_have_several_zones_of_one_clock() -> None:
    assert "Europe/London" in zones_of_phone("+447400123456")


def test_unknown_zone_names_are_no_zone() -> None:
    assert zone_info("Etc/Unknown") is None
    assert zone_info("../../etc/passwd") is None
    assert zone_info("America/Sao_Paulo") is not None


def test_a_state_stands_for_its_zones() -> None:
    assert zones_of_place(Place(country="US", subdivision="US-FL")) == (
        "America/New_York",
        "America/Chicago",
    )
    assert zones_of_place(Place(country="BR", subdivision="XX")) == ()


def _parse(number: str) -> phonenumbers.PhoneNumber:
    return phonenumbers.parse(number)
