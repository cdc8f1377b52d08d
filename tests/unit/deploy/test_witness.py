"""People and stops as the client and the provider know them."""

from datetime import UTC, date, datetime

import msgspec

from deploy.demo import witness
from deploy.demo.evidence import Item, LedgerContact, TruthLine
from deploy.portfolio.events import Books
from deploy.portfolio.sample import draw_sample
from deploy.sandbox.truth import recipient_digest

AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
DEBTORS = draw_sample(seed="s", debtors=300, start=date(2026, 3, 2))


def inbound(**changes: object) -> TruthLine:
    line = TruthLine(
        seq=1, kind="inbound", machine_at=AT, law_at=AT, recipient="r", answered=204,
        reply="opt_out_words",
    )  # fmt: skip
    return msgspec.structs.replace(line, **changes)


def test_everybody_is_known_with_a_place() -> None:
    found = witness.people(DEBTORS, "seed")
    assert [p.recipients[0] for p in found] == [recipient_digest("seed", d.phone) for d in DEBTORS]
    mailboxes = [recipient_digest("seed", d.email) for d in DEBTORS if d.email]
    assert [p.recipients[1] for p in found if len(p.recipients) > 1] == mailboxes
    assert len(set(mailboxes)) == len(mailboxes) > 0
    assert all(person.places for person in found)
    placeless = [p for p, d in zip(found, DEBTORS, strict=True) if not d.cities]
    assert placeless
    assert all(person.places[0].subdivision == "" for person in placeless)


def test_only_silencing_replies_that_were_taken_stop() -> None:
    lines = [
        inbound(),
        inbound(reply="promise"),
        inbound(answered=500),
        inbound(answered=None),
        inbound(kind="callback"),
    ]
    assert [stop.reason for stop in witness.stops_of_replies(lines)] == ["opt_out_words"]


def test_revoked_consent_stops_from_the_start() -> None:
    stops = list(witness.stops_of_consent(DEBTORS, "seed", AT))
    revoked = [debtor for debtor in DEBTORS if debtor.consent == "revoked"]
    assert len(stops) == sum(1 + bool(debtor.email) for debtor in revoked) > 0
    assert {stop.machine_at for stop in stops} == {AT}


def test_settlement_stops() -> None:
    books = Books(DEBTORS)
    phone = DEBTORS[0].phone
    assert books.owes(phone) > 0
    books.pay(phone, 1.0, AT)
    assert books.owes(phone) == 0
    assert books.owes("+10000000000") == 0
    stops = list(witness.stops_of_settlement({phone: (AT, AT)}, DEBTORS, "seed"))
    assert [(s.recipient, s.reason) for s in stops] == [
        (recipient, "paid in full") for recipient in witness.recipients(DEBTORS[0], "seed")
    ]


def test_a_dispute_stops_the_debts_of_the_newest_message_before_it() -> None:
    contacts = [
        LedgerContact(f"c{n}", "sms", "sent", 1, (Item(f"debt{n}", 1, "d5"),)) for n in (1, 2)
    ]
    lines = [
        inbound(seq=1, kind="accepted", contact_id="c1", account="a"),
        inbound(seq=2, kind="accepted", contact_id="c2", account="a"),
        inbound(seq=3, reply="dispute", contact_id="c1", account="a"),
        inbound(seq=4, reply="dispute", contact_id="c1", account="a", answered=503),
    ]
    assert [stop.debt_ids for stop in witness.stops_of_disputes(lines, contacts)] == [("debt2",)]
