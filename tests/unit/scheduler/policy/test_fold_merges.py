"""Merging: whatever was told about either is known of the survivor, in whatever order it came."""

from itertools import permutations
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.scheduler.policy.consent import pick_point
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import WorkItemEnd
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.state import DebtorState, HandOff, Point, StepRecord, copy, encode
from shared.events import debt as events
from shared.events.identities import hold_id
from tests.unit.scheduler.policy.builders import (
    DEBTOR,
    SAO_PAULO_PHONE,
    Desk,
    about,
    at,
    point,
    registered,
    uid,
)

OLD = uid("old")
CAUSE = uid("merge")
OTHER_PHONE = "+5511987650000"


def person(whose: UUID, when: str = "2026-10-06 12:00") -> dict[str, Any]:
    return {"debtor_id": whose, "occurred_at": at(when), "recorded_at": at(when)}


def old_desk(**changes: Any) -> Desk:
    """The debtor that will be merged, with a debt of its own."""
    desk = Desk(now="2026-10-06 15:00")
    fields = {"debtor_id": OLD, "contact_points": (point(OTHER_PHONE),), "debtor_name": "M. Souza"}
    desk.tell("debt.registered", registered("d2", **fields | changes))
    return desk


def survivor(**changes: Any) -> Desk:
    desk = Desk(now="2026-10-06 15:00")
    desk.tell("debt.registered", registered("d1", **changes))
    return desk


def merge_of() -> events.DebtorMerged:
    return events.DebtorMerged(**person(DEBTOR), merged_debtor_id=OLD)


def taken_over(desk: Desk, *parts: DebtorState) -> Folded:
    """Fold the hand-over; return what the last part led to."""
    folded = None
    for number, part in enumerate(parts, start=1):
        event = events.DebtorAbsorbed(
            **person(DEBTOR),
            merged_debtor_id=OLD,
            cause_event_id=CAUSE,
            part=number,
            parts=len(parts),
            state=msgspec.Raw(encode(part)),
        )
        folded = desk.tell("debtor.absorbed", event, uid(f"part {number}"))
    assert folded is not None
    return folded


def fates(folded: Folded) -> dict[UUID, str]:
    return {change.hold_id: change.state for change in folded.hold_changes}


def test_both_stay_held_until_the_last_part_is_in() -> None:
    desk, old = survivor(), old_desk()
    waiting = desk.tell("debtor.merged", merge_of(), CAUSE)
    first, second = debtor_subjects(desk.known)
    merge_holds = {hold_id(CAUSE, "debtor", subject) for subject in (first, second)}
    assert fates(waiting) == dict.fromkeys(merge_holds, "active")

    empty = DebtorState(debtor_id=OLD, tenant_id="acme")
    half = copy(desk.known)
    event_of_part = taken_over(desk, empty, old.known)
    assert fates(event_of_part) == dict.fromkeys(merge_holds, "lifted")
    assert set(desk.known.debts) == {str(uid("d1")), str(uid("d2"))}
    assert (half.absorbing, desk.known.absorbing) == ({str(OLD): []}, {})
    again = desk.tell("debtor.merged", merge_of(), CAUSE)
    assert set(fates(again).values()) == {"lifted"}


def test_the_merged_one_ends_its_contacts_and_leaves() -> None:
    old = old_desk()
    planned = old.decide().contacts[0].contact_id
    told = old.tell("debtor.merged", merge_of(), uid("copy"))
    assert told.leaving == uid("copy")
    assert [contact_id for contact_id, _ in told.cancelled] == [planned]
    assert old.known.merged_into == DEBTOR


def test_a_contact_at_its_sender_is_asked_back() -> None:
    old = old_desk()
    contact = old.decide().contacts[0].contact_id
    old.send_without_answer(contact)
    told = old.tell("debtor.merged", merge_of(), uid("copy"))
    assert (told.close_requests, told.cancelled) == ([contact], [])


def test_both_lists_of_addresses_count() -> None:
    desk, old = survivor(), old_desk()
    newer = events.DebtorUpdated(
        **person(DEBTOR, "2026-10-06 13:00"),
        debtor=events.DebtorFacts(contact_points=(point(SAO_PAULO_PHONE, verified=True),)),
    )
    desk.tell("debtor.updated", newer)
    taken_over(desk, old.known)
    current = {p.address for p in desk.known.points if p.stamp >= desk.known.points_stamp}
    assert current == {SAO_PAULO_PHONE, OTHER_PHONE}


def test_a_wrong_number_is_not_named_anew_by_a_merge() -> None:
    desk, old = survivor(), old_desk()
    wrong = events.ContactRecorded(
        **person(DEBTOR), channel="sms", at=at("2026-10-06 12:00"), outcome="wrong_person"
    )
    desk.tell("contact.recorded", wrong)
    facts = events.DebtorFacts(contact_points=(point(OTHER_PHONE),))
    later = events.DebtorUpdated(**person(OLD, "2026-10-06 14:00"), debtor=facts)
    old.tell("debtor.updated", later)
    taken_over(desk, old.known)
    chosen = pick_point(desk.known, "sms", opt_in=False, opt_out_scope="address")
    assert isinstance(chosen, Point)
    assert chosen.address == OTHER_PHONE


def test_a_revocation_said_to_the_merged_one_holds_and_a_newer_grant_lifts_it() -> None:
    for granted, lifted in (("2026-10-06 11:00", False), ("2026-10-06 13:00", True)):
        desk, old = survivor(), old_desk()
        revoked = events.ConsentChanged(**person(OLD), state="revoked", origin="letter")
        old.tell("debtor.consent_changed", revoked, uid("no"))
        grant = events.ConsentChanged(**person(DEBTOR, granted), state="granted", origin="call")
        desk.tell("debtor.consent_changed", grant)
        folded = taken_over(desk, old.known)
        subjects = debtor_subjects(desk.known)
        freed = {hold_id(uid("no"), "debtor", subject) for subject in subjects}
        assert (freed <= set(fates(folded))) is lifted
        assert (desk.known.consents["*"].state == "granted") is lifted


def test_a_persons_hold_goes_with_the_person() -> None:
    desk, old = survivor(), old_desk()
    old.tell("debtor.hold_placed", events.HoldPlaced(**person(OLD), reason="attorney"), uid("a"))
    taken_over(desk, old.known)
    assert desk.decide().contacts == []
    over = events.HoldLifted(**person(DEBTOR, "2026-10-07 12:00"), reason="attorney")
    assert set(fates(desk.tell("debtor.hold_lifted", over)).values()) == {"lifted"}
    assert desk.known.person_holds == {}


def late_events() -> list[tuple[str, Any, UUID]]:
    """Events about the merged one's debt that intake gives to the survivor."""
    d2 = about("d2", "2026-10-06 12:30")
    return [
        (
            "debt.payment_received",
            events.PaymentReceived(
                **d2, amount=500, currency="BRL", paid_at=at("2026-10-06 12:30")
            ),
            uid("paid"),
        ),
        ("debt.updated", events.DebtUpdated(**d2, interest=77), uid("updated")),
        ("debt.disputed", events.DebtDisputed(**d2), uid("disputed")),
        (
            "debt.dispute_resolved",
            events.DisputeResolved(**about("d2", "2026-10-06 14:00"), outcome="upheld"),
            uid("resolved"),
        ),
    ]


@pytest.mark.parametrize("before", range(5))
def test_events_on_either_side_of_the_hand_over_come_to_the_same(before: int) -> None:
    """`before` of the events come before the hand-over, the others after, in every order."""
    found = set()
    for order in permutations(late_events()):
        desk, old = survivor(), old_desk()
        old.tell("debt.disputed", events.DebtDisputed(**about("d2")), uid("first dispute"))
        for kind, event, event_id in order[:before]:
            desk.tell(kind, event, event_id)
        taken_over(desk, old.known)
        for kind, event, event_id in order[before:]:
            desk.tell(kind, event, event_id)
        debt = desk.known.debts[str(uid("d2"))]
        figures = (debt.registered, debt.principal, debt.interest, debt.paid())
        found.add((figures, debt.disputed(), len(debt.disputes), debt.resolved_outcome))
    assert found == {((True, 100_000, 77, 500), False, 2, "upheld")}


def test_a_dispute_that_was_resolved_at_the_survivor_frees_its_hold() -> None:
    desk, old = survivor(), old_desk()
    old.tell("debt.disputed", events.DebtDisputed(**about("d2")), uid("first dispute"))
    kind, event, event_id = late_events()[3]
    desk.tell(kind, event, event_id)
    folded = taken_over(desk, old.known)
    subject = f"debt:acme:{uid('d2')}"
    assert fates(folded)[hold_id(uid("first dispute"), "debt", subject)] == "lifted"


def test_a_part_told_twice_counts_once() -> None:
    desk, old = survivor(), old_desk()
    taken_over(desk, old.known)
    before = encode(desk.known)
    assert taken_over(desk, old.known).hold_changes == []
    assert encode(desk.known) == before


def test_hand_offs_of_the_merged_one_are_taken_back_and_may_be_asked_anew() -> None:
    desk, old = survivor(), old_desk()
    debt = old.known.debts[str(uid("d2"))]
    debt.handed["notice"] = HandOff(work_item_id=uid("item"))
    debt.work_opened = ["handoff:0:notice", "mandatory_failed:0:notice"]
    debt.steps["notice"] = StepRecord(state="handed_off", k={"handoff": 1})
    folded = taken_over(desk, old.known)
    assert folded.endings == [WorkItemEnd(uid("item"), "withdrawn", "debtor.merged")]
    mine = desk.known.debts[str(uid("d2"))]
    assert (mine.handed, mine.work_opened) == ({}, ["mandatory_failed:0:notice"])
    assert (mine.steps["notice"].state, mine.steps["notice"].k) == ("pending", {"handoff": 1})
