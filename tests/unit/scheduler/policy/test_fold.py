"""Folding: idempotent, order-tolerant, and exact about the hold of each event."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import HoldChange
from services.scheduler.policy.state import encode
from shared.events import debt as events
from shared.events.hold import subject_of
from shared.events.identities import hold_id
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    SAO_PAULO_PHONE,
    TENANT,
    Desk,
    about,
    address_subject,
    at,
    past,
    point,
    registered,
    uid,
)


def payment(amount: int = 50_000, when: str = "2026-10-07 12:00", **changes: Any) -> Any:
    fields = about(when=when) | {"amount": amount, "currency": "BRL", "paid_at": at(when)}
    return events.PaymentReceived(**(fields | changes))


def person(when: str = "2026-10-07 12:00") -> dict[str, Any]:
    return {"debtor_id": DEBTOR, "occurred_at": at(when), "recorded_at": at(when)}


def debt_hold(cause: UUID) -> UUID:
    return hold_id(cause, "debt", subject_of("debt", TENANT, str(uid("d1"))))


def debtor_hold(cause: UUID) -> UUID:
    return hold_id(cause, "debtor", subject_of("debtor", TENANT, str(DEBTOR)))


def changes_of(folded: Folded) -> list[tuple[UUID, str]]:
    return [(change.hold_id, change.state) for change in folded.hold_changes]


@pytest.mark.parametrize(
    ("event_type", "event", "state"),
    [
        ("debt.payment_received", payment(), "lifted"),
        ("debt.cancelled", events.DebtCancelled(**about()), "lifted"),
        ("debt.disputed", events.DebtDisputed(**about()), "active"),
        (
            "debt.promise_made",
            events.PromiseMade(**about(), amount=1, currency="BRL", due_date=date(2026, 10, 20)),
            "lifted",
        ),
        (
            "debt.agreement_made",
            events.AgreementMade(
                **about(),
                currency="BRL",
                instalments=(events.Instalment(amount=1, due_date=date(2026, 10, 20)),),
            ),
            "lifted",
        ),
    ],
)
def test_the_hold_of_each_debt_event(event_type: str, event: Any, state: str) -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    cause = uid(event_type)
    assert changes_of(desk.tell(event_type, event, cause)) == [(debt_hold(cause), state)]
    assert desk.tell(event_type, event, cause).hold_changes == []  # said once


@pytest.mark.parametrize(
    ("event_type", "event", "state"),
    [
        ("debtor.hold_placed", events.HoldPlaced(**person(), reason="attorney"), "active"),
        ("debtor.erasure_requested", events.ErasureRequested(**person()), "active"),
        (
            "debtor.consent_changed",
            events.ConsentChanged(**person(), state="revoked", origin="portal"),
            "active",
        ),
        (
            "debtor.consent_changed",
            events.ConsentChanged(**person(), state="revoked", origin="portal", channel="sms"),
            "lifted",
        ),
        (
            "debtor.consent_changed",
            events.ConsentChanged(
                **person(), state="revoked", origin="portal", channel="sms", address=SAO_PAULO_PHONE
            ),
            "lifted",
        ),
        (
            "contact.recorded",
            events.ContactRecorded(
                **person(), channel="voice", at=at("2026-10-07"), outcome="wrong_person"
            ),
            "lifted",
        ),
    ],
)
def test_the_hold_of_each_event_about_the_person(event_type: str, event: Any, state: str) -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    cause = uid(event_type)
    assert changes_of(desk.tell(event_type, event, cause)) == [(debtor_hold(cause), state)]


def test_a_hold_keeps_its_end_and_its_lift_names_it() -> None:
    desk = Desk()
    cause, until = uid("breathing"), at("2026-12-01")
    placed = events.HoldPlaced(**person(), reason="breathing_space", until=until)
    folded = desk.tell("debtor.hold_placed", placed, cause)
    assert folded.hold_changes == [
        HoldChange(
            hold_id=debtor_hold(cause), state="active", reason="breathing_space", until=until
        )
    ]
    lift = events.HoldLifted(**person("2026-10-09 12:00"), reason="breathing_space")
    assert changes_of(desk.tell("debtor.hold_lifted", lift)) == [(debtor_hold(cause), "lifted")]
    assert desk.known.person_holds == {}


def test_a_dispute_ends_with_its_resolution_in_either_order() -> None:
    cause = uid("dispute")
    dispute = events.DebtDisputed(**about(when="2026-10-07 12:00"))
    upheld = events.DisputeResolved(**about(when="2026-10-09 12:00"), outcome="upheld")
    desk = Desk()
    desk.tell("debt.disputed", dispute, cause)
    assert changes_of(desk.tell("debt.dispute_resolved", upheld)) == [(debt_hold(cause), "lifted")]
    late = Desk()
    late.tell("debt.dispute_resolved", upheld)
    assert changes_of(late.tell("debt.disputed", dispute, cause)) == [(debt_hold(cause), "lifted")]
    assert not late.known.debts[str(uid("d1"))].disputed()


def test_consent_given_again_lifts_the_holds_of_the_revocation() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    everything, address = uid("all"), uid("address")
    revoke = events.ConsentChanged(**person(), state="revoked", origin="portal")
    desk.tell("debtor.consent_changed", revoke, everything)
    one = events.ConsentChanged(
        **person(), state="revoked", origin="portal", channel="sms", address=SAO_PAULO_PHONE
    )
    desk.tell("debtor.consent_changed", one, address)
    again = events.ConsentChanged(
        **person("2026-10-09 12:00"),
        state="granted",
        origin="portal",
        channel="sms",
        address=SAO_PAULO_PHONE,
    )
    lifted = changes_of(desk.tell("debtor.consent_changed", again))
    subject = address_subject("sms", SAO_PAULO_PHONE)
    assert set(lifted) == {
        (hold_id(address, "address", subject), "lifted"),
        (debtor_hold(everything), "lifted"),
    }


def test_events_before_their_debt_make_a_stub_that_registration_completes() -> None:
    early = Desk()
    early.tell("debt.payment_received", payment(112_000))
    early.tell("debt.updated", events.DebtUpdated(**about(when="2026-10-01 12:00"), interest=0))
    assert not early.known.debts[str(uid("d1"))].registered
    assert early.decide().contacts == []
    early.tell("debt.registered", registered())
    debt = early.known.debts[str(uid("d1"))]
    assert debt.registered
    assert (debt.principal, debt.interest) == (100_000, 0)  # the newer figure stays
    assert debt.balance() == -10_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_last_writer_wins_per_field(order: tuple[int, int]) -> None:
    updates = [
        events.DebtUpdated(**about(when="2026-10-01 12:00"), principal=1, penalty=7),
        events.DebtUpdated(**about(when="2026-10-02 12:00"), principal=2),
    ]
    desk = Desk()
    desk.tell("debt.registered", registered())
    for index in order:
        desk.tell("debt.updated", updates[index], uid(f"update {index}"))
    debt = desk.known.debts[str(uid("d1"))]
    assert (debt.principal, debt.penalty) == (2, 7)


def test_folding_twice_changes_nothing() -> None:
    desk = Desk()
    told = [
        ("debt.registered", registered(past_contacts=(past("sms", "2026-09-20"),))),
        ("debt.payment_received", payment()),
        ("debtor.hold_placed", events.HoldPlaced(**person(), reason="hardship")),
    ]
    for event_type, event in told:
        desk.tell(event_type, event, uid(event_type))
    before = encode(desk.known)
    for event_type, event in told:
        desk.tell(event_type, event, uid(event_type))
    assert encode(desk.known) == before


def test_a_whole_list_of_points_replaces_the_older_ones() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    facts = events.DebtorFacts(contact_points=(point("+5511912345678"),))
    desk.tell("debtor.updated", events.DebtorUpdated(**person("2026-10-01 12:00"), debtor=facts))
    decision = desk.decide("2026-10-06 15:00")
    assert desk.send(decision.contacts[0].contact_id).address == "+5511912345678"


def test_a_wrong_person_silences_the_number_on_every_phone_channel() -> None:
    desk = Desk()
    desk.tell("debt.registered", registered())
    wrong = events.ContactRecorded(
        **person(), channel="voice", at=at("2026-10-05"), outcome="wrong_person"
    )
    desk.tell("contact.recorded", wrong)
    decision = desk.decide("2026-10-12 15:00")
    assert decision.contacts == []
    assert decision.withheld[0].reasons[-1].rule == "wrong_person"
