"""What must happen between a debt and its payment, and what must not.

One tenant per story. Told by what intake answered, what the provider
saw and what the ledger says.
"""

from datetime import timedelta

import pytest

from tests.support.debtors import payment
from tests.support.journey import Journey, Site, instant, until

STOP_SECONDS_MAX = 5  # the promise: no provider call starts later than this after a stop
BEFORE_THE_WINDOW = timedelta(hours=10)  # 07:00 in São Paulo


def test_a_debt_is_announced_delivered_paid_and_then_left_in_peace(journey: Journey) -> None:
    [payer, silent] = journey.people(2)
    answers = journey.register([payer, silent])
    assert [answer["status"] for answer in answers] == ["accepted"] * 2
    journey.driver.drain()
    assert journey.accepted() == {journey.digest(payer): 1, journey.digest(silent): 1}

    journey.pay([payer])
    journey.run_until(journey.start + timedelta(days=12))

    assert len(journey.truth("accepted", payer)) == 1
    assert len(journey.truth("accepted", silent)) > 1, "who owes hears from us again"
    journey.check()

    history = journey.history(payer)
    types = [line["type"] for line in history]
    expected = ["debt.registered.v1", "contact.dispatched.v1"]
    expected += ["contact.accepted.v1", "contact.delivered.v1", "debt.payment_received.v1"]
    assert [type_ for type_ in types if type_ in expected] == expected
    [text] = [line["text"] for line in history if line.get("text")]
    assert "Maria" in text
    assert "1.120,00" in text
    assert "Casa Aurora" in text
    handed = next(line for line in history if line["type"] == "contact.dispatched.v1")
    assert all(reason["rule"] for reason in handed["reasons"])
    assert handed["reasons"], "a decision without a reason"


def test_the_figures_add_up(journey: Journey) -> None:
    paying, others = journey.people(3), journey.people(5)
    journey.register([*paying, *others])
    journey.driver.drain()
    journey.pay(paying)
    journey.settle()

    totals = journey.platform.ledger("/v1/balance")["totals"]
    assert (totals["planned"], totals["sent"], totals["open"]) == (8, 8, 0)
    assert totals["balanced"]
    figures = journey.platform.ledger(
        "/v1/kpis",
        **{"from": journey.start.isoformat(), "to": journey.driver.now.isoformat()},
    )
    assert figures["channels"] == {"sms": {"delivered": 8}}
    assert figures["payments"] == {"BRL": {"count": 3, "amount": 3 * 112_000}}
    assert len(figures["kpis"]) >= 5
    journey.check()


def test_a_payment_between_plan_and_send_is_the_end_of_it(
    site: Site, journeys: list[Journey]
) -> None:
    journey = site.journey(at=BEFORE_THE_WINDOW)
    journeys.append(journey)
    [payer, other] = journey.people(2)
    journey.register([payer, other])
    journey.driver.drain()
    [planned] = journey.contacts_of(payer)
    assert planned["state"] == "planned"
    assert instant(planned["due_at"]) > journey.driver.now
    assert journey.truth("request") == []

    journey.pay([payer])
    journey.settle()

    assert journey.truth("request", payer) == []
    assert len(journey.truth("accepted", other)) == 1
    [contact] = journey.contacts_of(payer)
    assert contact["balance_class"] in ("cancelled", "withheld")
    journey.check()


def test_a_payment_overtakes_tasks_that_are_already_with_the_sender(
    site: Site, journeys: list[Journey]
) -> None:
    journey = site.journey(rate=8.0)
    journeys.append(journey)
    people = journey.people(120)
    journey.register(people)
    until(lambda: len(journey.truth("request")) >= 8, "calls under way")

    paid_at = journey.pay(people)
    journey.driver.drain()
    journey.settle()

    called = [instant(line["machine_at"]) for line in journey.truth("request")]
    assert max(called) <= paid_at + timedelta(seconds=STOP_SECONDS_MAX)
    assert len(called) < len(people) - 30, "most were still on their way when they paid"
    outcomes = {contact["balance_class"] for contact in journey.contacts()}
    assert outcomes <= {"sent", "cancelled", "withheld"}
    journey.check()


@pytest.mark.parametrize("word", ["SAIR", "STOP"])
def test_whoever_says_stop_is_left_alone(journey: Journey, word: str) -> None:
    [asks, other] = journey.people(2)
    journey.register([asks, other])
    journey.driver.drain()
    calls = len(journey.truth("request", asks))
    assert calls == 1

    journey.reply(asks, word, "opt_out_keyword" if word == "STOP" else "opt_out_words")
    until(lambda: journey.truth("inbound", asks), "the reply at our door")
    [inbound] = journey.truth("inbound", asks)
    assert inbound["answered"] == 200
    journey.stop_of([asks], "said stop", instant(inbound["machine_at"]))
    journey.run_until(journey.start + timedelta(days=12))

    assert len(journey.truth("request", asks)) == calls
    assert len(journey.truth("request", other)) > 1
    assert "contact.opted_out.v1" in [line["type"] for line in journey.history(asks)]
    holds = journey.platform.call("GET", "scheduler", "/v1/holds", headers=journey.platform.tenant)[
        "holds"
    ]
    assert [(hold["scope"], hold["reason"]) for hold in holds] == [("address", "opted_out")]
    [first, *later] = journey.contacts_of(asks)
    assert first["opted_out_at"] is not None
    assert {contact["balance_class"] for contact in later} == {"withheld"}
    assert "consent_revoked" in {rule for contact in later for rule in contact["state_rules"]}
    journey.check()


def test_money_that_comes_twice_and_back_again_is_understood(journey: Journey) -> None:
    """The same payment posted twice counts once; half of what is owed does not end the story."""
    [person] = journey.people(1)
    journey.register([person])
    journey.driver.drain()
    half = payment(person, "560.00", journey.driver.now)
    again = journey.post([half]) + journey.post([half])
    assert [answer["status"] for answer in again] == ["accepted", "duplicate"]
    journey.run_until(journey.start + timedelta(days=12))
    assert len(journey.truth("accepted", person)) > 1, "half is still owed"
    paid = [line for line in journey.history(person) if line["type"].startswith("debt.payment")]
    assert len(paid) == 1
    journey.check()
