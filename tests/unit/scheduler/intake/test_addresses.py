"""Addresses to write to: canonical, reachable on their channel, or refused by field and remedy."""

import pytest

from services.scheduler.intake.addresses import canonical_address, contact_address
from shared.http.problems import Problem

MOBILES = ("+5511987654321", "+12015550123", "+34612345678", "+351912345678")
TEXTLESS = {
    "+551132654321": "a fixed line in São Paulo",
    "+34912345678": "a fixed line in Madrid",
    "+18005550199": "a free-of-charge number",
    "+551140041234": "a number of a bank's service line",
}


@pytest.mark.parametrize("number", MOBILES)
def test_mobiles_take_texts(number: str) -> None:
    assert contact_address("sms", number, country=None, field="$.a") == number


@pytest.mark.parametrize("number", TEXTLESS)
def test_what_takes_no_text_is_refused_without_being_named(number: str) -> None:
    with pytest.raises(Problem) as caught:
        contact_address("sms", number, country=None, field="$.data.debtor.contact_points[0]")
    shown = str(caught.value) + str(caught.value.__dict__)
    assert "contact_points[0]" in shown
    assert "mobile" in shown
    assert number not in shown
    assert number.removeprefix("+") not in shown


def test_an_address_that_a_header_would_decode_is_no_address() -> None:
    hostile = "=?utf-8?q?=0d=0aBcc=3A_x=40example.net?=@example.com"
    with pytest.raises(Problem):
        canonical_address("email", hostile, country=None, field="$.a")
    assert canonical_address("email", "a=b@example.com", country=None, field="$.a")


@pytest.mark.parametrize("number", TEXTLESS)
def test_other_channels_and_holds_take_any_number(number: str) -> None:
    assert contact_address("voice", number, country=None, field="$.a") == number
    assert canonical_address("sms", number, country=None, field="$.a") == number
