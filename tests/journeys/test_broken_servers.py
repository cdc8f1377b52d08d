"""Kafka and PostgreSQL die under load and come back, with their data or without.

One tenant per story. What intake had answered for, what the provider
saw and what the ledger says agree in the end.
"""

from datetime import timedelta

import pytest

from tests.support.debtors import payment
from tests.support.journey import Journey, Site, instant, until

PEOPLE = 400
RATE = 120.0  # some seconds of sending: the server dies in the middle
SLOW = 20.0  # most are still with the sender when the payment comes
STOP_SECONDS_MAX = 5
RECOVERY_SECONDS_MAX = 90.0


@pytest.fixture
def busy(site: Site, journeys: list[Journey]) -> Journey:
    """Many people are being written to."""
    begun = site.journey(rate=RATE)
    journeys.append(begun)
    begun.register(begun.people(PEOPLE))
    until(lambda: len(begun.truth("accepted")) >= PEOPLE // 4, "messages under way")
    return begun


def meanwhile(journey: Journey) -> None:
    """What a client posts while Kafka is away is answered for all the same."""
    late = journey.people(20)
    journey.register(late)
    journey.post([payment(person, "1.00", journey.driver.now) for person in late[:5]])


def everything_arrives(journey: Journey) -> None:
    """Everybody got one message, and everything that was accepted is in the ledger."""
    journey.driver.drain(RECOVERY_SECONDS_MAX)
    journey.settle()
    journey.check()
    contacts = journey.contacts()
    unknown = [contact for contact in contacts if contact["balance_class"] == "unknown"]
    assert len(journey.accepted()) + len(unknown) == len(journey.debtors)
    assert max(journey.accepted().values()) == 1
    assert len({event["id"] for event in journey.events()}) == len(journey.events())


def test_kafka_killed_and_back_with_its_data(busy: Journey) -> None:
    busy.stack.own_kafka.kill()
    meanwhile(busy)
    busy.stack.own_kafka.restart_with_data()
    everything_arrives(busy)
    assert len(busy.accepted()) == len(busy.debtors), "no provider call was cut off"


def test_kafka_back_empty(busy: Journey) -> None:
    before = busy.stack.own_kafka.cluster_id
    busy.stack.own_kafka.kill()
    meanwhile(busy)
    busy.stack.own_kafka.restart_empty()
    assert busy.stack.own_kafka.cluster_id != before
    everything_arrives(busy)
    assert len(busy.accepted()) == len(busy.debtors), "no provider call was cut off"


def test_a_payment_posted_while_kafka_is_away_stops_even_when_it_comes_back_empty(
    site: Site, journeys: list[Journey]
) -> None:
    journey = site.journey(rate=SLOW)
    journeys.append(journey)
    journey.register(journey.people(int(SLOW * 8)))
    until(lambda: len(journey.truth("request")) >= SLOW, "calls under way")
    journey.stack.own_kafka.kill()
    paid_at = journey.pay(journey.debtors)
    journey.stack.own_kafka.restart_empty()
    journey.driver.drain(RECOVERY_SECONDS_MAX)
    journey.settle()
    called = [instant(line["machine_at"]) for line in journey.truth("request")]
    assert max(called) <= paid_at + timedelta(seconds=STOP_SECONDS_MAX)
    assert len(called) < len(journey.debtors), "the payments came too late to prove anything"
    journey.check()


@pytest.mark.parametrize("times", [2])
def test_postgres_killed_and_back(busy: Journey, times: int) -> None:
    for _ in range(times):
        busy.stack.own_postgres.kill()
        busy.stack.own_postgres.start()
        goes_on(busy)
    everything_arrives(busy)


def goes_on(journey: Journey) -> None:
    """Wait for one more message, unless everybody has one already."""
    before = len(journey.truth("accepted"))
    enough = min(before + 1, len(journey.debtors))
    until(lambda: len(journey.truth("accepted")) >= enough, "messages after the recovery")
