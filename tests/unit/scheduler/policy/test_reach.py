"""How far an opt-out, a complaint or a wrong address reaches, and which address is the best."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.scheduler.policy.consent import pick_point
from services.scheduler.policy.reach import holds_after
from services.scheduler.policy.state import Point
from shared.events import debt as events
from shared.events.identities import hold_id
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    SAO_PAULO_PHONE,
    Desk,
    address_subject,
    at,
    point,
    registered,
    rulebook,
    shipped_ladder,
    shipped_pack,
    uid,
)

EMAIL = "maria@example.com"
OTHER = "+5511912345678"
POINTS = (
    point(consent="granted"),
    point(channel="whatsapp", consent="granted"),
    point(EMAIL, channel="email", consent="granted"),
)


def desk(scope: str = "address") -> tuple[Desk, UUID]:
    """Somebody who was sent an SMS, where opt-outs reach so far."""
    packs = [msgspec.structs.replace(shipped_pack("br-default"), opt_out_scope=scope)]
    packs.append(shipped_pack("br-sp"))
    book = rulebook(packs=packs, ladders=[shipped_ladder("br-consumer-standard")])
    made = Desk(book, "2026-10-06 15:00")
    made.tell("debt.registered", registered(contact_points=POINTS))
    [plan] = made.decide().contacts
    made.send(plan.contact_id)
    return made, plan.contact_id


def told(made: Desk, contact_id: UUID, fact: str, **changes: Any) -> list[str]:
    """Fold the fact; return the subjects of the holds that follow."""
    kept: dict[str, Any] = {}
    real = made.tell

    def tell(event_type: str, event: Any, event_id: UUID | None = None) -> Any:
        kept.update(type=f"{event_type}.v1", event=event)
        return real(event_type, event, event_id)

    made.tell = tell  # type: ignore[method-assign] # to see the very fact that is folded
    made.report(contact_id, fact, **changes)
    drafts = holds_after(
        made.known, kept["type"], uid("fact"), kept["event"], made.book, made.now, address_subject
    )
    assert all(draft.hold_id.version == 5 for draft in drafts)
    assert all(draft.scope == "address" for draft in drafts)
    return [draft.subject for draft in drafts]


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ("address", [("whatsapp", SAO_PAULO_PHONE)]),
        ("channel", [("whatsapp", SAO_PAULO_PHONE)]),
        ("debtor", [("email", EMAIL), ("whatsapp", SAO_PAULO_PHONE)]),
    ],
)
def test_an_opt_out_reaches_as_far_as_the_packs_say(
    scope: str, reached: list[tuple[str, str]]
) -> None:
    made, contact_id = desk(scope)
    found = told(made, contact_id, "opted_out", intent="opt_out")
    assert found == [address_subject(*each) for each in reached]
    usable = {
        channel: not isinstance(
            pick_point(made.known, channel, opt_in=False, opt_out_scope=scope), str
        )
        for channel in ("sms", "whatsapp", "email")
    }
    assert usable == {"sms": False, "whatsapp": False, "email": scope != "debtor"}


def test_a_newer_consent_lifts_what_the_opt_out_held() -> None:
    made, contact_id = desk("debtor")
    reply = uid(f"reply {contact_id}")
    told(made, contact_id, "opted_out", intent="opt_out")
    granted = events.ConsentChanged(
        debtor_id=DEBTOR,
        occurred_at=at("2026-10-07 12:00"),
        recorded_at=at("2026-10-07 12:00"),
        state="granted",
        origin="web_form",
        channel="sms",
        address=SAO_PAULO_PHONE,
    )
    lifted = {c.hold_id for c in made.tell("debtor.consent_changed", granted).hold_changes}
    for channel, address in (("sms", SAO_PAULO_PHONE), ("email", EMAIL)):
        assert hold_id(reply, "address", address_subject(channel, address)) in lifted


def test_a_number_of_somebody_else_is_wrong_everywhere() -> None:
    made, contact_id = desk()
    found = told(made, contact_id, "replied", intent="wrong_person", confident=True)
    assert found == [address_subject(c, SAO_PAULO_PHONE) for c in ("sms", "voice", "whatsapp")]
    suppressed = {p.channel: p.suppressed for p in made.known.points}
    assert suppressed == {"sms": "wrong_person", "whatsapp": "wrong_person", "email": None}


def test_a_complaint_is_as_good_as_an_opt_out_and_its_sender_placed_no_hold() -> None:
    made, contact_id = desk()
    found = told(made, contact_id, "complained")
    assert address_subject("sms", SAO_PAULO_PHONE) in found
    chosen = pick_point(made.known, "whatsapp", opt_in=False, opt_out_scope="address")
    assert chosen == "consent_revoked"


@pytest.mark.parametrize("intent", ["promise", "help", "other"])
def test_other_answers_hold_nothing(intent: str) -> None:
    made, contact_id = desk()
    assert told(made, contact_id, "replied", intent=intent) == []


def test_an_unsure_wrong_person_is_for_a_person_to_judge() -> None:
    made, contact_id = desk()
    assert told(made, contact_id, "replied", intent="wrong_person", confident=False) == []


def test_the_best_address_arrived_last_time_and_answered() -> None:
    made, contact_id = desk()
    other = Point(channel="sms", address=OTHER, stamp=made.known.points[0].stamp)
    made.known.points.append(other)

    def best() -> str:
        chosen = pick_point(made.known, "sms", opt_in=False, opt_out_scope="address")
        assert isinstance(chosen, Point)
        return chosen.address

    assert best() == SAO_PAULO_PHONE, "whose consent is on record"
    made.known.points[0].consent = None
    other.verified = True
    assert best() == OTHER
    made.report(contact_id, "replied", intent="other", right_party=True)
    assert best() == SAO_PAULO_PHONE, "the debtor answered from it"
    made.known.points[0].failed = "~"
    assert best() == OTHER, "it did not arrive there any more"


def test_a_receipt_that_the_number_does_not_exist_ends_it_on_that_channel_alone() -> None:
    made, contact_id = desk()
    made.report(contact_id, "undelivered", code="30005", suppress_address=True)
    chosen = pick_point(made.known, "sms", opt_in=False, opt_out_scope="address")
    assert chosen == "address_suppressed"
    other = pick_point(made.known, "whatsapp", opt_in=False, opt_out_scope="address")
    assert isinstance(other, Point)
