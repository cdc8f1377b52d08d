"""Canary: marked personal data goes through everything, and turns up only where it belongs.

Everything that processes wrote, every span they sent, every record's key and headers, every metric
is searched afterwards, over all channels. The ledger and the providers are those who may know.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec

from deploy.local.stack import SANDBOX, SERVICES, finished
from shared.events.topics import CONTACT_EVENTS, DEBT_EVENTS, TOPICS, dead_letters
from shared.kafka import Record
from tests.support.bus import read_all
from tests.support.collector import Collector
from tests.support.debtors import Debtor, payment
from tests.support.journey import Journey, Site, instant, until
from tests.support.spans import all_said

CHANNELS = ("sms", "whatsapp", "email")
PROVIDERS = ("twilio", "meta", "smtp")

# Words and numbers that nothing else in the platform could contain.
NAME = "Quirinália Zwetschgen Ornitorrinco"
DOCUMENT = "529.982.247-25"
EMAIL = "canario.zwetschgen@ornitorrinco.example"
AMOUNT = "9873157.31"
REPLY = "kookaburra pago quinta sem falta"
ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
MARKS = (
    "Quirin",
    "Zwetschgen",
    "zwetschgen",
    "rnitorrinco",
    "529.982.247-25",
    "52998224725",
    # Whole, or with their signs: fewer digits alone turn up in random ids by chance.
    "9873157.31",
    "9.873.157",
    "9,873,157",
    "987315731",
    "kookaburra",
    "ainda não localizamos",  # the rendered message
)

TROUBLES: tuple[dict[str, Any], ...] = (
    {"kind": "error_500_after_acceptance"},
    {"kind": "garbled_answer", "accepted": True, "shape": "truncated"},
    {"kind": "refuse", "code": 21211},
    {"kind": "throttle_429", "times": 1},
    {"kind": "reset_connection", "accepted": False},
)


def marked(journey: Journey) -> list[Debtor]:
    """People of whom everything is marked."""
    return [
        msgspec.structs.replace(
            person,
            name=NAME,
            email=EMAIL.replace("@", f"{person.key}@"),
            document=DOCUMENT if number == 0 else None,
            amount=AMOUNT,
        )
        for number, person in enumerate(journey.people(6, channels=CHANNELS))
    ]


def live_through_everything(journey: Journey) -> list[Debtor]:
    """Errors, receipts, replies, payments, refusals, a payment for a debt nobody knows."""
    people = journey.debtors = marked(journey)
    for person, fault in zip(people, TROUBLES, strict=False):
        journey.faults(fault | {"match": {"recipient": person.phone}})
    journey.register(people)
    journey.driver.drain()
    last = people[-1]
    journey.reply(last, REPLY, "promise")
    journey.reply(people[0], "nao sei quem e kookaburra", "wrong_person")
    until(lambda: len(journey.truth("inbound")) == 2, "the replies at our door")
    wrong = journey.register([msgspec.structs.replace(last, key="bad", phone="not +99 a phone")])
    assert wrong[0]["status"] == "refused"
    unknown = msgspec.structs.replace(last, key="nobody-knows")
    assert journey.post([payment(unknown, AMOUNT, journey.driver.now)])[0]["status"] == "parked"
    journey.post([payment(people[1], AMOUNT, journey.driver.now)])
    journey.run_until(journey.start + timedelta(days=6))
    answer_everywhere(journey, people)
    return people


def answer_everywhere(journey: Journey, people: list[Debtor]) -> None:
    """Let somebody who was written to by WhatsApp, and somebody by mail, answer there."""
    for provider in PROVIDERS[1:]:
        reached = next(
            person
            for person in people
            if provider in {line["provider"] for line in journey.truth("accepted", person)}
        )
        before = len(journey.truth("inbound"))
        journey.reply(reached, REPLY, "promise", provider=provider)
        until(lambda: len(journey.truth("inbound")) > before, f"the reply by {provider}")  # noqa: B023 - called at once
    journey.driver.drain()


def test_personal_data_stays_where_it_belongs(
    site: Site, journeys: list[Journey], collector: Collector
) -> None:
    journey = site.journey(channels=CHANNELS)
    journeys.append(journey)
    people = live_through_everything(journey)
    sought = [*MARKS, *(person.phone[1:] for person in people), *(p.phone[3:] for p in people)]
    found = re.compile("|".join(map(re.escape, sought)))

    # The search finds what is there: the one who may know says so.
    assert found.search(str(journey.history(people[0])))

    everything = list(everything_said(site, journey, collector))
    leaks = [
        f"{where}: {match.group()} in {line[:300]}"
        for where, line in everything
        if (match := found.search(line))
    ]
    assert not leaks, leaks[:5]
    searched = {where for where, _ in everything}
    assert searched >= {f"{service}.log" for service in SERVICES}
    assert searched >= {f"metrics of {service}" for service in SERVICES}
    assert searched >= {f"spans of {service}" for service in SERVICES}
    assert searched >= {f"key of {topic.name}" for topic in (DEBT_EVENTS, CONTACT_EVENTS)}
    assert instant(journey.contacts()[0]["planned_at"]) >= journey.start


def everything_said(
    site: Site, journey: Journey, collector: Collector
) -> Iterator[tuple[str, str]]:
    """Each line of each log, each span, each key and header of each record, each metric."""
    for span in all_said(site, collector, SERVICES):
        yield f"spans of {span.service}", str(span)
    folder = site.stack.folder
    for log in (*folder.glob("*.log"), *folder.glob("kafka/*.log"), *folder.glob("postgres/*.log")):
        yield from ((log.name, line) for line in lines_of(log))
    for topic in TOPICS:
        for name in (topic.name, dead_letters(topic.name)):
            for record in records_of(site, name):
                yield f"key of {name}", record.key or ""
                yield f"headers of {name}", str(record.headers)
    for service in SERVICES:
        for line in httpx.get(site.stack.url(service) + "/metrics").text.splitlines():
            yield f"metrics of {service}", line
    yield from ((SANDBOX, str(line)) for line in journey.truth())


def lines_of(log: Path) -> list[str]:
    """A log's lines, JSON escapes undone."""
    text = log.read_text(errors="replace")
    undone = (ESCAPE.sub(lambda found: chr(int(found[1], 16)), line) for line in text.splitlines())
    return list(undone)


def records_of(site: Site, topic: str) -> list[Record]:
    """Every record of a topic."""
    partitions = finished(read_all(site.stack.kafka.bootstrap, topic))
    return [record for records in partitions.values() for record in records]
