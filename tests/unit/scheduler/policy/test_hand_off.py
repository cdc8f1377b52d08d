"""A step ends with a person when no message can carry it, and waits for that person if it must."""

from shared.events.contact import WorkItemFact
from tests.unit.scheduler.policy.builders import DEBTOR, at, point, uid
from tests.unit.scheduler.policy.test_fallback import DEBT, desk, on, sent


def test_channels_end_with_a_person_once() -> None:
    made = desk()
    for day, channel in ((6, "sms"), (7, "whatsapp"), (8, "email")):
        found, contact_id = sent(made, f"2026-10-{day:02d} 15:00")
        assert found == channel
        made.report(contact_id, "undelivered")
    decision = made.decide("2026-10-09 15:00")
    assert decision.contacts == []
    assert [item.kind for item in decision.work_items] == ["handoff"]
    assert made.decide("2026-10-10 15:00").work_items == []


def test_a_mandatory_step_that_only_a_person_can_take_waits_for_that_person() -> None:
    ladder = on("email", "handoff").replace("misfire: replan", "mandatory: true")
    made = desk(ladder, contact_points=(point(consent="granted"),))
    [item] = made.decide().work_items
    assert (item.kind, item.step_key) == ("handoff", "notice")
    assert made.decide("2026-11-20 15:00").contacts == [], "nothing overtakes it"
    made.tell("work_item.closed", closed(item.step_key, "done"))
    assert made.known.debts[DEBT].steps["notice"].state == "handed_off"
    made.decide("2026-11-20 15:00")
    assert made.known.debts[DEBT].steps["later"].state == "missed", "the ladder went on"


def closed(step_key: str | None, decision: str) -> WorkItemFact:
    return WorkItemFact(
        work_item_id=uid("item"),
        kind="handoff",
        at=at("2026-11-20 12:00"),
        machine_at=at("2026-11-20 12:00"),
        debtor_id=DEBTOR,
        debt_id=uid("d1"),
        decision=decision,
        episode=1,
        step_key=step_key,
    )
