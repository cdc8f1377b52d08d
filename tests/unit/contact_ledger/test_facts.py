"""Reading records: what no table can hold goes to the dead letters, named, without its value."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from services.contact_ledger.facts import TYPES, read
from shared.events.debt import PaymentReceived
from shared.events.envelope import UnreadableEvent
from shared.events.states import STATE_AFTER, ContactState
from tests.support.ledger import NOW, Debtor, a_record, an_envelope

SECRET = "11987654321"


def a_payment(**change: Any) -> PaymentReceived:
    data = {"amount": 100, "currency": "BRL", "paid_at": NOW} | change
    return Debtor().event(PaymentReceived, NOW, **data)  # type: ignore[no-any-return]


def test_every_state_that_a_fact_brings_is_a_type_we_read() -> None:
    assert set(STATE_AFTER) <= set(TYPES)


def test_clear_columns_are_ids_codes_and_rules() -> None:
    contact = Debtor().contact()
    fact = contact.state("contact.withheld")
    assert (fact.contact_id, fact.debt_id) == (contact.contact_id, contact.debtor.debt_id)
    assert (fact.state, fact.rules) == (ContactState.WITHHELD, ("ladder.step",))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (a_payment(amount=2**63), "amount"),
        (a_payment(currency=f"BR{chr(0)}"), "currency"),
        (a_payment(currency="B" * 600), "currency"),
        (a_payment(paid_at=datetime(9998, 1, 1, tzinfo=UTC)), "paid_at"),
    ],
)
def test_a_value_that_no_column_holds_is_refused_by_name(data: PaymentReceived, named: str) -> None:
    with pytest.raises(UnreadableEvent, match=named):
        read(a_record(an_envelope("debt.payment_received.v1", data)))


@pytest.mark.parametrize(
    "year",
    [1999, 2200, 9999],
)
def test_a_clock_gone_wild_makes_no_partition(year: int) -> None:
    envelope = an_envelope(
        "debt.payment_received.v1", a_payment(), at=datetime(year, 1, 1, tzinfo=UTC)
    )
    with pytest.raises(UnreadableEvent, match="ce_time"):
        read(a_record(envelope))


@pytest.mark.parametrize(
    ("type_", "body"),
    [
        ("debt.unheard_of.v1", b"{}"),
        ("debt.payment_received.v1", b"{"),
        ("debt.payment_received.v1", b"\xff\xfe"),
        ("debt.payment_received.v1", b'{"debtor_id": "' + SECRET.encode() + b'"}'),
    ],
)
def test_garbage_is_refused_without_quoting_it(type_: str, body: bytes) -> None:
    envelope = msgspec.structs.replace(an_envelope(type_, a_payment()), data=body)
    with pytest.raises(UnreadableEvent) as refusal:
        read(a_record(envelope))
    assert SECRET not in str(refusal.value)
