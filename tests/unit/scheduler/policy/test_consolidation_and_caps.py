"""One message per person, and never more often than the caps allow."""

from datetime import date
from typing import Any

import pytest

from services.scheduler.policy.caps import check, counted
from services.scheduler.policy.decision import Decision, VerdictKind
from services.scheduler.policy.jurisdiction import resolve
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.rulebook import Rulebook
from shared.events import debt as events
from shared.events.debt import Place
from tests.unit.scheduler.policy.builders import (
    NEW_YORK_PHONE,
    Desk,
    about,
    at,
    past,
    point,
    portfolio,
    registered,
    rulebook,
    uid,
)

DEBT = str(uid("d1"))

MANDATORY = """\
ladder: br-consumer-standard
version: 1
steps:
  - {key: before, offset_days: -3, stage: 0, channels: [sms], templates: {sms: t}}
  - {key: first, offset_days: 1, stage: 0, channels: [sms], templates: {sms: t}}
  - {key: must, offset_days: 5, stage: 1, channels: [sms], templates: {sms: t}, mandatory: true}
  - {key: third, offset_days: 10, stage: 1, channels: [sms], templates: {sms: t}}
  - {key: fourth, offset_days: 20, stage: 2, channels: [sms], templates: {sms: t}}
"""


def payment(amount: int, when: str, name: str = "d1") -> Any:
    fields = about(name, when) | {"amount": amount, "currency": "BRL", "paid_at": at(when)}
    return events.PaymentReceived(**fields)


def desk_with(now: str = "2026-10-06 15:00", **changes: Any) -> Desk:
    desk = Desk(now=now)
    desk.tell("debt.registered", registered(**changes))
    return desk


def mandatory_book(**changes: Any) -> Rulebook:
    return rulebook(ladders=[load_ladder(MANDATORY)], portfolios={"br": portfolio()}, **changes)


def steps_of(decision: Decision) -> list[str]:
    return [plan.step_key for plan in decision.contacts]


def rule_of(decision: Decision, debt: str = DEBT) -> str:
    return decision.per_debt[debt].reasons[-1].rule


def test_twelve_invoices_make_one_message() -> None:
    desk = Desk(now="2026-10-06 15:00")
    for number in range(12):
        desk.tell("debt.registered", registered(f"invoice {number}"))
    decision = desk.decide()
    assert len(decision.contacts) == 1
    go = desk.send(decision.contacts[0].contact_id)
    assert (go.values["count"], go.values["amount"]) == ("12", "R$ 13.440,00")
    assert len(go.subjects) == 7 + 12 + 1


def test_an_invoice_that_comes_before_dispatch_joins_the_planned_message() -> None:
    desk = desk_with()
    first = desk.decide().contacts[0].contact_id
    desk.tell("debt.registered", registered("d2"))
    again = desk.decide()
    assert [contact_id for contact_id, _ in again.cancel] == [first]
    assert len(again.contacts[0].items) == 2
    assert again.contacts[0].contact_id != first


def test_the_lead_is_the_gravest_then_oldest_debt() -> None:
    desk = Desk(now="2026-10-06 15:00")
    desk.tell("debt.registered", registered("young", due_date=date(2026, 10, 5)))
    desk.tell("debt.registered", registered("old", due_date=date(2026, 10, 4)))
    plan = desk.decide().contacts[0]
    assert [item.debt_id for item in plan.items] == [uid("old"), uid("young")]


def test_an_item_that_falls_silent_leaves_the_others_in_a_new_contact() -> None:
    desk = desk_with()
    desk.tell("debt.registered", registered("d2"))
    first = desk.decide().contacts[0]
    desk.tell("debt.payment_received", payment(112_000, "2026-10-06 15:00"))
    again = desk.decide()
    assert [contact_id for contact_id, _ in again.cancel] == [first.contact_id]
    assert [item.debt_id for item in again.contacts[0].items] == [uid("d2")]
    assert again.per_debt[DEBT].kind == VerdictKind.STOP


def test_one_contact_a_day_across_debts_and_portfolios() -> None:
    book = rulebook(portfolios={"br": portfolio(), "b2": portfolio(creditor_name="Outra")})
    desk = Desk(book, "2026-10-06 15:00")
    desk.tell("debt.registered", registered("d1"))
    desk.tell("debt.registered", registered("d2", portfolio_id="b2"))
    decision = desk.decide()
    assert len(decision.contacts) == 1
    waiting = next(v for v in decision.per_debt.values() if v.kind == VerdictKind.WAIT)
    assert waiting.reasons[-1].rule == "caps.push-day"
    assert waiting.until == at("2026-10-07 08:00-03:00")


@pytest.mark.parametrize(
    ("when", "planned"),
    [
        (("2026-10-06 10:00",), False),  # today, elsewhere
        (("2026-10-05 23:00-03:00",), True),  # yesterday, late in the evening of São Paulo
        (("2026-09-30", "2026-10-01", "2026-10-02 15:00"), True),  # one is older than seven dates
        (("2026-10-01 15:00", "2026-10-02 15:00", "2026-10-03 15:00"), False),
    ],
)
def test_contacts_made_elsewhere_count_in_caps(when: tuple[str, ...], planned: bool) -> None:  # noqa: FBT001
    desk = desk_with(past_contacts=tuple(past("sms", moment) for moment in when))
    assert bool(desk.decide().contacts) is planned


def test_a_capped_step_stays_pending_and_does_not_advance() -> None:
    desk = desk_with(past_contacts=(past("voice", "2026-10-06 12:00"),))
    assert desk.decide().contacts == []
    assert "d1-notice" not in desk.known.debts[DEBT].steps
    assert steps_of(desk.decide("2026-10-07 15:00")) == ["d1-notice"]


def test_massachusetts_counts_texts_and_whatsapp_together() -> None:
    boston = Place(country="US", subdivision="MA", zone="America/New_York")
    desk = Desk(now="2026-10-06 15:00")
    desk.tell(
        "debt.registered",
        registered(
            portfolio_id="us",
            places=(boston,),
            contact_points=(point(NEW_YORK_PHONE),),
            past_contacts=(past("whatsapp", "2026-10-03 15:00"), past("sms", "2026-10-02 15:00")),
        ),
    )
    state = desk.known
    jurisdiction = resolve(state, "us", desk.book)
    day = date(2026, 10, 6)
    made = counted(state, jurisdiction.zone, reserve_planned=True)
    for channel, full in (("whatsapp", True), ("sms", True), ("email", False)):
        caps = [cap for cap in jurisdiction.on(channel, day).caps if cap[1].startswith("us-ma")]
        assert (check(made, caps, (uid("d1"),), day) is not None) is full, channel
