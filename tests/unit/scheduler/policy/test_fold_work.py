"""What people decide about mandatory steps: waived or tried again, once, in its own episode."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import WorkItemDraft
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.state import encode
from shared.events.contact import WorkItemFact
from tests.unit.scheduler.policy.builders import Desk, portfolio, registered, rulebook, uid

DEBT = str(uid("d1"))
LADDER = """\
ladder: br-consumer-standard
version: 1
steps:
  - {key: must, offset_days: 5, stage: 1, channels: [sms], templates: {sms: t}, mandatory: true}
  - {key: next, offset_days: 20, stage: 2, channels: [sms], templates: {sms: t}}
"""
LATER = "2026-10-27 15:00"


def desk() -> Desk:
    made = Desk(
        rulebook(ladders=[load_ladder(LADDER)], portfolios={"br": portfolio()}), "2026-10-13 15:00"
    )
    made.tell("debt.registered", registered())
    return made


def blocked(on: Desk) -> WorkItemDraft:
    """Send the mandatory step into the unknown; return what a person is asked."""
    plan = on.decide().contacts[0]
    on.send_without_answer(plan.contact_id)
    on.report(plan.contact_id, "unknown")
    (item,) = on.report(plan.contact_id, "unknown_final").work_items
    assert on.decide().work_items == []  # asked once
    return item


def tell(on: Desk, item: WorkItemDraft, decision: str, name: str = "a", **changes: Any) -> Folded:
    fact = WorkItemFact(
        work_item_id=item.cause,
        kind=item.kind,
        at=on.now,
        machine_at=on.now,
        debtor_id=item.debtor_id,
        debt_id=item.debt_id,
        contact_id=item.contact_id,
        decision=decision,
        episode=item.episode,
        step_key=item.step_key,
    )
    return on.tell(
        "work_item.closed", msgspec.structs.replace(fact, **changes), uid(f"decision {name}")
    )


def test_a_waived_step_lets_the_ladder_go_on() -> None:
    on = desk()
    item = blocked(on)
    assert (item.episode, item.step_key) == (1, "must")
    tell(on, item, "waive")
    assert [plan.step_key for plan in on.decide(LATER).contacts] == ["next"]


def test_an_approved_step_is_tried_again_and_may_ask_again() -> None:
    on = desk()
    first = blocked(on)
    tell(on, first, "approve", "a")
    on.now = on.now.replace(day=20)
    second = blocked(on)
    assert second.cause != first.cause
    assert [contact.k for contact in on.known.contacts.values()] == [1, 2]

    tell(on, first, "approve", "a")  # the first decision once more: it was taken already
    assert on.decide(LATER).contacts == []
    tell(on, second, "approve", "b")
    assert [(plan.step_key, plan.k) for plan in on.decide(LATER).contacts] == [("must", 3)]


def test_a_decision_of_another_episode_or_an_unknown_debt_changes_nothing() -> None:
    on = desk()
    item = blocked(on)
    before = encode(on.known)
    tell(on, item, "waive", episode=2)
    tell(on, item, "waive", debt_id=uid("nobody's"))
    tell(on, item, "waive", kind="late_evidence")
    assert encode(on.known) == before


def test_evidence_outweighs_a_waiver_and_a_late_end_does_not() -> None:
    on = desk()
    item = blocked(on)
    tell(on, item, "waive")
    contact_id = item.contact_id
    assert isinstance(contact_id, UUID)
    on.report(contact_id, "accepted")
    assert on.known.debts[DEBT].steps["must"].state == "sent"
    tell(on, item, "waive", "again")
    assert on.known.debts[DEBT].steps["must"].state == "sent"


def test_a_waived_step_stays_waived_when_its_planned_contact_is_cancelled() -> None:
    on = desk()
    plan = on.decide().contacts[0]
    draft = WorkItemDraft(
        kind="mandatory_withheld",
        cause=uid("asked"),
        debtor_id=on.known.debtor_id,
        debt_id=uid("d1"),
        episode=1,
        step_key="must",
    )
    tell(on, draft, "waive")
    decision = on.decide()
    assert [contact_id for contact_id, _ in decision.cancel] == [plan.contact_id]
    assert on.known.debts[DEBT].steps["must"].state == "waived"


@pytest.mark.parametrize(("decision", "steps"), [("waive", ["next"]), ("approve", ["must"])])
def test_a_step_that_failed_too_often_is_decided_too(decision: str, steps: list[str]) -> None:
    on = desk()
    for day in (13, 14, 15):
        plan = on.decide(f"2026-10-{day} 15:00").contacts[0]
        on.send_without_answer(plan.contact_id)
        on.report(plan.contact_id, "failed")
    asked = on.decide("2026-10-16 15:00")
    (item,) = asked.work_items
    assert (item.kind, item.step_key, asked.contacts) == ("mandatory_failed", "must", [])
    tell(on, item, decision)
    assert [plan.step_key for plan in on.decide(LATER).contacts] == steps
