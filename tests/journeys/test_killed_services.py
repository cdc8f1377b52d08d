"""Services killed, frozen, doubled, in the middle of their work: nothing lost, nobody twice.

One tenant per story. Whatever dies, the provider's log, intake's
answers and the ledger agree in the end.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from deploy.local.stack import SERVICES
from shared.events.states import STATE_AFTER
from tests.support.debtors import payment
from tests.support.journey import SENDER_SETTINGS, Journey, Site, until

PEOPLE = 400
RATE = 120.0  # some seconds of sending: time to die in
KILLS = 3
SECOND = "second"  # a further process of a service is named after it


@pytest.fixture
def busy(site: Site, journeys: list[Journey]) -> Journey:
    """A tenant whose account is slow enough to be interrupted."""
    begun = site.journey(rate=RATE)
    journeys.append(begun)
    return begun


@pytest.fixture
def doubled(site: Site) -> Iterator[None]:
    """Two schedulers and two senders, until the end of the test."""
    names = {f"{service}-{SECOND}": service for service in ("scheduler", "sms_sender")}
    for name, service in names.items():
        site.stack.add(service, name=name)
    for name in names:
        site.stack.wait_ready(name)
    until(lambda: taken(site, f"scheduler-{SECOND}"), "a shard for the second scheduler")
    yield
    for name in names:
        process = site.stack.processes.pop(name)
        process.stop(seconds_max=35)


def reached(journey: Journey, number: int) -> None:
    """Wait until the provider has accepted so many messages of this journey."""
    until(lambda: len(journey.truth("accepted")) >= number, f"{number} messages")


def everybody_once(journey: Journey) -> None:
    """Each person was asked at the provider at most once, and whoever was not is accounted for."""
    assert set(Counter(line["contact_id"] for line in journey.truth("accepted")).values()) == {1}
    sent = set(journey.accepted())
    unknown = [c for c in journey.contacts() if c["balance_class"] == "unknown"]
    assert len(sent) + len(unknown) == len(journey.debtors)
    journey.check()


def test_a_sender_killed_again_and_again_sends_to_everybody_once(busy: Journey) -> None:
    busy.register(busy.people(PEOPLE))
    for kill in range(1, KILLS + 1):
        reached(busy, kill * PEOPLE // (KILLS + 2))
        busy.stack.kill("sms_sender")
        busy.stack.restart("sms_sender")
    busy.settle()
    unknown = [c for c in busy.contacts() if c["state"] == "unknown_final"]
    assert len(unknown) <= KILLS * int(SENDER_SETTINGS["PROVIDER_CALLS_MAX"])
    everybody_once(busy)


def test_a_scheduler_killed_while_it_plans_plans_the_same(busy: Journey) -> None:
    people = busy.people(PEOPLE)
    for part in range(KILLS):
        busy.register(people[part::KILLS])
        busy.stack.kill("scheduler")
        busy.stack.restart("scheduler")
    busy.settle()
    assert len(busy.accepted()) == PEOPLE
    everybody_once(busy)
    contacts = busy.contacts()
    assert len(contacts) == PEOPLE
    stages = busy.events("debt.stage_advanced.v1")
    assert len({event["data"]["debt_id"] for event in stages}) == len(stages)


def test_a_ledger_killed_while_it_records_has_each_event_once(busy: Journey) -> None:
    people = busy.people(PEOPLE)
    busy.register(people)
    for kill in range(1, KILLS):
        reached(busy, kill * PEOPLE // (KILLS + 2))
        busy.post([payment(people[kill], "1.00", busy.driver.now)])
        busy.stack.kill("contact_ledger")
        busy.stack.restart("contact_ledger")
    busy.settle()
    events = Counter(event["id"] for event in busy.events())
    assert set(events.values()) == {1}
    told = Counter((c["contact_id"], c["type"]) for c in facts(busy))
    assert set(told.values()) == {1}, "a state was recorded twice"
    assert len(busy.accepted()) == PEOPLE
    everybody_once(busy)


def facts(journey: Journey) -> list[dict[str, str]]:
    """Contact and type of every state fact in the ledger."""
    return [
        {"contact_id": event["data"]["contact_id"], "type": event["type"]}
        for event in journey.events(*STATE_AFTER)
    ]


def test_everything_killed_at_once_goes_on_where_it_was(busy: Journey) -> None:
    busy.register(busy.people(PEOPLE))
    reached(busy, PEOPLE // 4)
    for service in SERVICES:
        busy.stack.kill(service)
    for service in SERVICES:
        busy.stack.processes[service].start()
    for service in SERVICES:
        busy.stack.wait_ready(service)
    busy.settle()
    everybody_once(busy)


@pytest.mark.usefixtures("doubled")
def test_a_frozen_scheduler_finds_its_work_taken_and_lets_go(
    site: Site, journeys: list[Journey]
) -> None:
    journey = site.journey(rate=RATE)
    journeys.append(journey)
    people = journey.people(PEOPLE)
    second = f"scheduler-{SECOND}"
    journey.register(people[: PEOPLE // 2])
    reached(journey, PEOPLE // 8)
    epochs, lives = taken(site, "scheduler"), taken(site, second)
    site.stack.freeze(second)
    try:
        journey.register(people[PEOPLE // 2 :])
        until(lambda: taken(site, "scheduler") > epochs, "the takeover of the frozen one's shard")
        reached(journey, PEOPLE // 2)
    finally:
        site.stack.thaw(second)
    until(lambda: said(site, second, '"fenced"') or taken(site, second) > lives, "the fence")
    journey.settle()
    assert len(journey.accepted()) == PEOPLE
    assert len(journey.contacts()) == PEOPLE
    everybody_once(journey)


@pytest.mark.usefixtures("doubled")
def test_two_of_each_and_a_rebalance_under_load(site: Site, journeys: list[Journey]) -> None:
    journey = site.journey(rate=RATE)
    journeys.append(journey)
    people = journey.people(PEOPLE)
    journey.register(people[: PEOPLE // 2])
    reached(journey, PEOPLE // 8)
    for service in ("scheduler", "sms_sender"):
        ended = site.stack.processes[f"{service}-{SECOND}"].stop(seconds_max=35)
        assert ended == 0, f"{service} did not end by itself"
    journey.register(people[PEOPLE // 2 :])
    reached(journey, PEOPLE // 2)
    for service in ("scheduler", "sms_sender"):
        site.stack.processes[f"{service}-{SECOND}"].start()
        site.stack.wait_ready(f"{service}-{SECOND}")
    journey.settle()
    assert len(journey.accepted()) == PEOPLE, "nothing unknown: nobody was killed"
    everybody_once(journey)


def said(site: Site, name: str, words: str) -> int:
    """How often a process said so in its log."""
    return site.stack.processes[name].log.read_text().count(words)


def taken(site: Site, name: str) -> int:
    """How often a scheduler has taken over a shard."""
    return said(site, name, '"take_over"')
