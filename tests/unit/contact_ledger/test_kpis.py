"""The KPIs: exact on the domain's example, null where there is nothing to divide by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contact_ledger.kpis import Counts, ratios, reply_confirms_person

EXAMPLE = Counts(
    accounts_assigned=100,
    accounts_attempted=60,
    accounts_contacted=45,
    attempts=240,
    contacts=120,
    right_party_contacts=30,
    promises=12,
    promises_due=9,
    promises_kept=6,
)


def test_the_domains_example() -> None:
    kpis = ratios(EXAMPLE)
    assert kpis.penetration == 0.45
    assert kpis.intensity == 4.0
    assert kpis.rpc == 0.25
    assert kpis.ptp == 0.40
    assert kpis.kp_of_promises == 0.50
    assert kpis.kp_of_due == pytest.approx(0.667, abs=0.0005)


def test_an_empty_denominator_gives_null_not_zero() -> None:
    kpis = ratios(Counts())
    assert {getattr(kpis, name) for name in kpis.__struct_fields__} == {None}


def test_nothing_of_something_is_zero_not_null() -> None:
    assert ratios(Counts(accounts_assigned=3)).penetration == 0.0


@given(part=st.integers(0, 10**6), whole=st.integers(1, 10**6))
def test_a_ratio_times_its_denominator_is_its_numerator(part: int, whole: int) -> None:
    rpc = ratios(Counts(right_party_contacts=part, contacts=whole)).rpc
    assert rpc is not None
    assert round(rpc * whole) == part


@pytest.mark.parametrize(
    ("intent", "right_party", "confirms"),
    [
        ("promise", False, True),
        ("opt_out", False, True),
        ("other", False, True),
        ("wrong_person", False, False),
        ("wrong_person", True, True),
    ],
)
def test_a_reply_confirms_the_person_unless_it_denies_them(
    intent: str, *, right_party: bool, confirms: bool
) -> None:
    assert reply_confirms_person(intent, right_party=right_party) is confirms
