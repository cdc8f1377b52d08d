"""A step goes on to its next channel when nobody got, read or answered its message."""

from typing import Any
from uuid import UUID

import pytest

from services.scheduler.policy.decide import decide
from services.scheduler.policy.decision import Decision, Drop, Go
from services.scheduler.policy.explain import explain
from services.scheduler.policy.ladder import load_ladder
from shared.events.states import ContactState
from tests.unit.scheduler.policy.builders import (
    Desk,
    account,
    address_subject,
    hold,
    point,
    portfolio,
    registered,
    rulebook,
    template,
    uid,
)

DEBT = str(uid("d1"))
EMAIL = "maria@example.com"
LADDER = """\
ladder: br-consumer-standard
version: 1
steps:
  - key: notice
    offset_days: 1
    stage: reminder
    channels: [sms, whatsapp, email, handoff]
    templates: {sms: t-sms, whatsapp: t-whatsapp, email: t-email}
    fallback: {undelivered_days: 1, unread_days: 2, unanswered_days: 4}
    misfire: replan
  - key: later
    offset_days: 20
    stage: notice
    channels: [sms]
    templates: {sms: t-sms}
"""
ACCOUNTS = {"sms": "main-sms", "whatsapp": "main-whatsapp", "email": "main-email"}


def on(*channels: str) -> str:
    """The ladder with these channels for its first step."""
    templates = ", ".join(f"{channel}: t-{channel}" for channel in channels)
    return LADDER.replace("[sms, whatsapp, email, handoff]", f"[{', '.join(channels)}]").replace(
        "{sms: t-sms, whatsapp: t-whatsapp, email: t-email}", f"{{{templates}}}"
    )


def desk(ladder: str = LADDER, **changes: Any) -> Desk:
    """Somebody with a number for SMS and WhatsApp, and a mailbox; the first step is due today."""
    book = rulebook(
        portfolios={"br": portfolio(accounts=ACCOUNTS)},
        ladders=[load_ladder(ladder)],
        templates={name: template() for name in ("t-sms", "t-whatsapp", "t-email")},
        accounts={
            "main-sms": account(),
            "main-whatsapp": account(channel="whatsapp", provider="meta"),
            "main-email": account(channel="email", provider="smtp"),
        },
    )
    made = Desk(book, "2026-10-06 15:00")
    points = (
        point(consent="granted"),
        point(channel="whatsapp", consent="granted"),
        point(EMAIL, channel="email", consent="granted"),
    )
    fields = {"contact_points": points} | changes
    made.tell("debt.registered", registered(**fields))
    return made


def sent(made: Desk, now: str | None = None) -> tuple[str, UUID]:
    """Decide, dispatch and have accepted what is planned: its channel and id."""
    [plan] = made.decide(now).contacts
    made.send(plan.contact_id)
    return plan.channel, plan.contact_id


def test_what_certainly_did_not_arrive_goes_on_at_once_on_the_next_channel() -> None:
    made = desk()
    channel, first = sent(made)
    assert channel == "sms"
    made.report(first, "undelivered")
    [wait] = made.decide().per_debt.values()
    assert wait.reasons[-1].rule == "caps.push-day", "one message a day, whatever the channel"
    channel, second = sent(made, "2026-10-07 15:00")
    assert channel == "whatsapp"
    assert made.known.debts[DEBT].steps["notice"].sent_on == {"sms": first, "whatsapp": second}
    assert made.known.debts[DEBT].steps["notice"].state == "sent"


def test_silence_of_the_carrier_is_waited_for() -> None:
    made = desk()
    sent(made)
    [wait] = made.decide().per_debt.values()
    assert [reason.rule for reason in wait.reasons] == ["ladder.next_step", "ladder.fallback"]
    assert wait.until is not None
    assert wait.until.isoformat().startswith("2026-10-07")
    assert sent(made, "2026-10-07 15:00")[0] == "whatsapp"


def test_delivered_but_unanswered_goes_on_after_its_days() -> None:
    made = desk()
    _, first = sent(made)
    made.report(first, "delivered")
    assert made.decide("2026-10-08 15:00").contacts == [], "SMS does not tell who reads"
    assert sent(made, "2026-10-10 15:00")[0] == "whatsapp"


def test_unread_goes_on_after_its_days_and_read_waits_for_an_answer() -> None:
    made = desk(on("whatsapp", "sms"))
    _, first = sent(made)
    made.report(first, "delivered")
    assert made.decide("2026-10-07 15:00").contacts == []
    assert sent(made, "2026-10-08 15:00")[0] == "sms"

    reader = desk(on("whatsapp", "sms"))
    _, first = sent(reader)
    reader.report(first, "read")
    assert reader.decide("2026-10-08 15:00").contacts == []
    assert sent(reader, "2026-10-10 15:00")[0] == "sms"


def test_an_answer_ends_it_even_when_the_follow_up_is_planned() -> None:
    made = desk()
    _, first = sent(made)
    made.report(first, "undelivered")
    [plan] = made.decide("2026-10-07 10:00").contacts
    assert plan.due_at > made.now, "07:00 in São Paulo: planned for the opening"
    made.report(first, "replied")
    made.now = plan.due_at
    answer = made.gate(plan.contact_id)
    assert isinstance(answer, Drop)
    assert answer.reasons[0].rule == "fallback.not_needed"
    assert made.decide("2026-10-10 15:00").contacts == []


def test_a_delivery_that_comes_late_makes_the_follow_up_pointless() -> None:
    made = desk()
    _, first = sent(made)
    [plan] = made.decide("2026-10-07 10:00").contacts
    made.report(first, "delivered")
    made.now = plan.due_at
    assert isinstance(made.gate(plan.contact_id), Drop)
    assert made.known.contacts[str(first)].state == ContactState.DELIVERED


def test_receipts_of_the_first_message_do_not_touch_its_follow_up() -> None:
    made = desk()
    _, first = sent(made)
    made.decide("2026-10-07 15:00")
    folded = made.report(first, "sent")
    assert folded.close_requests == []
    assert folded.cancelled == []
    assert folded.work_items == []


def test_a_later_step_that_is_due_makes_a_follow_up_pointless() -> None:
    made = desk(LADDER.replace("offset_days: 20", "offset_days: 2"))
    _, first = sent(made)
    made.report(first, "undelivered")
    [plan] = made.decide("2026-10-07 15:00").contacts
    assert plan.step_key == "later"


def test_a_mandatory_step_that_did_not_arrive_is_followed_up_before_later_steps() -> None:
    ladder = LADDER.replace("misfire: replan", "mandatory: true").replace(
        "offset_days: 20", "offset_days: 2"
    )
    made = desk(ladder)
    _, first = sent(made)
    made.report(first, "undelivered")
    [plan] = made.decide("2026-10-07 15:00").contacts
    assert (plan.step_key, plan.channel) == ("notice", "whatsapp")


def test_a_refused_channel_is_left_the_same_day_and_tried_again_tomorrow() -> None:
    made = desk(on("sms", "whatsapp"))
    [plan] = made.decide().contacts
    made.send_without_answer(plan.contact_id)
    made.report(plan.contact_id, "failed")
    [plan] = made.decide().contacts
    assert plan.channel == "whatsapp"
    made.send_without_answer(plan.contact_id)
    made.report(plan.contact_id, "failed")
    [wait] = made.decide().per_debt.values()
    assert wait.reasons[0].rule == "ladder.retry"
    [plan] = made.decide("2026-10-07 15:00").contacts
    assert plan.channel == "sms"


def test_a_cancelled_follow_up_leaves_the_step_sent() -> None:
    made = desk()
    _, first = sent(made)
    made.report(first, "undelivered")
    [plan] = made.decide("2026-10-07 15:00").contacts
    made.send_without_answer(plan.contact_id)
    made.report(plan.contact_id, "failed")
    step = made.known.debts[DEBT].steps["notice"]
    assert (step.state, step.failed_on) == ("sent", ["whatsapp"])
    [plan] = made.decide().contacts
    assert plan.channel == "email"


def test_email_never_speaks_alone_of_an_old_debt() -> None:
    ladder = LADDER.replace("offset_days: 1", "offset_days: 31").replace(
        "offset_days: 20", "offset_days: 60"
    )
    only_mail = (point(EMAIL, channel="email", consent="granted"),)
    made = desk(ladder, contact_points=only_mail)
    decision = made.decide("2026-11-05 15:00")
    assert decision.contacts == []
    assert [item.kind for item in decision.work_items] == ["handoff"]
    both = desk(ladder)
    found, contact_id = sent(both, "2026-11-05 15:00")
    both.report(contact_id, "undelivered")
    found, contact_id = sent(both, "2026-11-06 15:00")
    both.report(contact_id, "undelivered")
    found, _ = sent(both, "2026-11-09 15:00")
    assert found == "email", "it follows other channels"


def test_a_held_address_lets_another_channel_go_and_is_waited_for_when_it_is_the_only_one() -> None:
    made = desk()
    subject = address_subject("sms", point().address)
    made.holds = [hold("address", subject)]
    [plan] = decide_with_addresses(made).contacts
    assert plan.channel == "whatsapp"
    alone = desk(on("sms", "whatsapp"), contact_points=(point(consent="granted"),))
    alone.holds = [hold("address", subject)]
    decision = decide_with_addresses(alone)
    assert decision.contacts == decision.withheld == []
    assert decision.held
    alone.holds = []
    assert len(decide_with_addresses(alone).contacts) == 1


@pytest.mark.parametrize("answered", [False, True])
def test_explain_tells_every_channel_and_what_would_follow(answered: bool) -> None:  # noqa: FBT001
    made = desk(contact_points=(point(consent="granted"),))
    _, first = sent(made)
    if answered:
        made.report(first, "replied")
    told = explain(made.known, made.book, [], made.now, address_subject)
    [debt] = told.debts
    rules = [reason for reason in debt.rules if reason.rule == "ladder.fallback"]
    assert bool(rules) is not answered
    step = next(r for r in debt.rules if r.rule == "ladder.step" and r.inputs["step"] == "notice")
    assert step.inputs["sent_on"] == "sms"
    channels = {r.inputs["channel"]: r for r in debt.rules if r.rule == "channel"}
    assert channels["sms"].verdict == "usable"


def test_a_plan_names_the_channels_it_passed_over() -> None:
    made = desk(contact_points=(point(EMAIL, channel="email", consent="granted"),))
    [plan] = made.decide().contacts
    chosen = next(reason for reason in plan.reasons if reason.rule == "channel")
    assert chosen.inputs == {"channel": "email", "sms": "no_address", "whatsapp": "no_address"}
    assert isinstance(made.gate(plan.contact_id), Go)


def decide_with_addresses(made: Desk) -> Decision:
    """Decide as the planner does: holds on addresses are known."""
    return decide(made.known, made.book, made.holds, made.now, address_subject)
