"""References that a receipt brings back: made by us, for this tenant and account, or nothing."""

import re
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest

from shared.events import identities
from shared.sender.attempts import Attempt, Frame
from shared.sender.callbacks import Callback, Callbacks

CALLBACKS = Callbacks("https://mail.example.org", b"k" * 32)


def an_attempt(**changes: Any) -> Attempt:
    contact_id = uuid4()
    fields: dict[str, Any] = {
        "attempt_id": identities.attempt_id(contact_id, 12),
        "contact_id": contact_id,
        "n": 12,
        "ends_on": date(2026, 11, 22),
        "debtor_id": uuid4(),
        "tenant_id": "acme",
        "account_id": "acme-email",
        "provider": "ses",
        "frame": Frame(
            portfolio_id="loja", channel="email", step_key="d3", stage=1, template="t@1", items=()
        ),
        "not_after": datetime(2026, 11, 22, 20, tzinfo=UTC),
    }
    return Attempt(**(fields | changes))


def test_a_reference_names_its_attempt_and_nobody_else() -> None:
    attempt = an_attempt()
    reference = CALLBACKS.reference(attempt)
    # Fits a message tag, a tracker, and with a letter before it the local part of an address.
    assert re.fullmatch(r"[0-9a-f-]{1,62}", reference)
    assert CALLBACKS.read_reference("acme", "acme-email", reference) == Callback(
        contact_id=attempt.contact_id, n=12, ends_on=date(2026, 11, 22)
    )
    assert CALLBACKS.read_reference("other", "acme-email", reference) is None
    assert CALLBACKS.read_reference("acme", "other", reference) is None
    another = Callbacks("https://mail.example.org", b"l" * 32)
    assert another.read_reference("acme", "acme-email", reference) is None


@pytest.mark.parametrize(
    "given", ["", "-", "---", "a-b-c-d", "x" * 5_000, "é-1-20261122-0", "\x00-1-2-3"]
)
def test_what_we_did_not_make_names_nothing(given: str) -> None:
    assert CALLBACKS.read_reference("acme", "acme-email", given) is None


def test_no_part_of_a_reference_can_be_changed() -> None:
    reference = CALLBACKS.reference(an_attempt())
    contact, n, day, seal = reference.split("-")[:4]
    for parts in (
        (uuid4().hex, n, day, seal),
        (contact, "1", day, seal),
        (contact, n, "20261123", seal),
        (contact, n, day, seal[::-1]),
        (contact, n, day),
    ):
        assert CALLBACKS.read_reference("acme", "acme-email", "-".join(parts)) is None
