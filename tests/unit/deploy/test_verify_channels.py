"""The verifier looks at people, not at channels: caps, disputes and states over all of them."""

import msgspec
import pytest

from deploy.demo.evidence import Person, Stop
from deploy.demo.law import Place
from deploy.demo.verify import verify
from tests.unit.deploy.test_verify import (
    DAY,
    MONDAY_NOON,
    SAO_PAULO,
    call,
    contact,
    evidence,
    kinds,
    two_contacts,
)


def test_disputed_debts_are_left_alone_at_every_address() -> None:
    before = MONDAY_NOON - DAY
    disputed = Stop("", "disputed", before, before, None, ("debt1",))
    assert kinds(verify(evidence(stops=[disputed]))) == {"after_stop"}
    other = Stop("", "disputed", before, before, None, ("debt2",))
    assert verify(evidence(stops=[other])).ok


def test_caps_count_over_all_channels_of_a_person() -> None:
    mail = contact("c2", step="d5")
    verdict = verify(
        msgspec.structs.replace(
            two_contacts(mail, call(2, "c2", MONDAY_NOON + DAY / 12, "r2", "smtp")),
            people=[Person(("r1", "r2"), (SAO_PAULO,))],
        )
    )
    assert kinds(verdict) == {"above_cap"}


@pytest.mark.parametrize(
    ("debts", "provider", "ok"),
    [
        (("debt1", "debt1", "debt1"), "twilio", False),
        (("debt1", "debt1", "debt2"), "twilio", True),
        (("debt1", "debt1", "debt1"), "meta", False),
        (("debt1", "debt1", "debt1"), "smtp", True),
    ],
)
def test_massachusetts_counts_two_messages_to_a_telephone_about_a_debt_in_seven_days(
    debts: tuple[str, ...], provider: str, *, ok: bool
) -> None:
    boston = Place("US", "MA", "America/New_York")
    last = len(debts) - 1
    found = evidence(
        truth=[
            call(n + 1, f"c{n}", MONDAY_NOON + n * DAY, "r1", provider if n == last else "twilio")
            for n in range(len(debts))
        ],
        contacts=[contact(f"c{n}", step=f"s{n}", debt=debt) for n, debt in enumerate(debts)],
        balance={"planned": 3, "sent": 3},
        people=[Person(("r1",), (boston,))],
    )
    assert verify(found).ok is ok
