"""One tenant's story per provider, lived once, and every span that was told of it.

In: a journey whose one account is the provider's, a collector. Out: `Told`: who was written to, the
traces that their events came with, the spans. Four people stand for four endings: one answers, one
does not, of one the provider never says whether it took the message, of one it reports a failure.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import httpx

from deploy.view.traces import Span
from tests.support.collector import Collector
from tests.support.debtors import Debtor, registration
from tests.support.journey import Journey, until
from tests.support.spans import all_said, of_a_client, of_trace

WORD = "kookaburra"  # of the answer: nothing else could contain it
ANSWER = f"Vou pagar na sexta, {WORD}"
UNSURE = {"kind": "timeout_after_acceptance", "seconds": 4.0}  # a sender waits for two
UNREPORTED = {"kind": "lose_receipts"}
SINGLE, BATCH = "+json", "-batch+json"  # of application/cloudevents


class Way(NamedTuple):
    """A provider, the account at it, and a failure it may report that is not the recipient's."""

    provider: str
    channel: str
    account: str
    code: int | str
    error: str

    @property
    def sender(self) -> str:
        """The service that speaks to it."""
        return f"{self.channel}_sender"

    @property
    def task_topic(self) -> str:
        """Where that service's tasks come from."""
        return f"contact.tasks.{self.channel}.v1"


WAYS = (
    Way("twilio", "sms", "sms", 30007, "content_refused"),
    Way("infobip", "sms", "infobip", "EC_REJECTED_SPAM_BY_OPERATOR", "content_refused"),
    Way("meta", "whatsapp", "whatsapp", 131042, "no_funds"),
    Way("smtp", "email", "email", "5.7.1", "policy_refused"),
    Way("ses", "email", "ses", "Transient:ContentRejected", "content_refused"),
)


class Told:
    """The story of one provider, and what was told of it. The last two people are not sampled."""

    def __init__(self, journey: Journey, collector: Collector, way: Way) -> None:
        self.journey, self.way = journey, way
        people = journey.people(4, channels=(way.channel,))
        self.answers, self.silent, self.unsure, self.refused = people
        self.request = of_a_client(sampled=True)
        self._traces = {
            person.key: of_a_client(sampled=person in (self.answers, self.silent))
            for person in people
        }
        for person, fault in ((self.unsure, UNSURE), (self.refused, UNREPORTED)):
            journey.faults(fault | {"match": {"recipient": self.address(person)}})
        post(journey, people[1:], BATCH, self.request, self._traces)
        post(journey, people[:1], SINGLE, self._traces[self.answers.key])
        journey.driver.drain()
        self._come_back()
        services = ("scheduler", way.sender, "contact_ledger")
        self.spans = all_said(journey.site, collector, services)

    def address(self, person: Debtor) -> str:
        """Where this provider reaches a person."""
        return person.email or person.phone

    def of(self, person: Debtor) -> list[Span]:
        """The spans of the trace that a person's event came with."""
        return of_trace(self.spans, self._traces[person.key])

    def linked(self, span: Span) -> list[Span]:
        """The spans of the traces that a span is linked to."""
        return [other for other in self.spans if other.trace_id in span.links]

    def contact_id(self, person: Debtor) -> str:
        """The one contact of a person."""
        [contact] = self.journey.contacts_of(person)
        return str(contact["contact_id"])

    def _come_back(self) -> None:
        """Let one person answer, and the provider report that it failed another."""
        journey, way = self.journey, self.way
        journey.reply(self.answers, ANSWER, "promise", provider=way.provider)
        [accepted] = journey.truth("accepted", self.refused)
        told = {"message_sid": accepted["message_sid"], "status": "undelivered", "code": way.code}
        journey.platform.sandbox("POST", "/sandbox/receipts", told)
        until(lambda: journey.truth("inbound", self.answers), "the reply at our door")
        until(lambda: journey.truth("callback", self.refused), "the report at our door")
        journey.driver.drain()


def post(
    journey: Journey,
    people: Sequence[Debtor],
    form: str,
    traceparent: str,
    own: Mapping[str, str] | None = None,
) -> None:
    """Post debts that are due, as a client that traces does; `own` are traces of single events."""
    due = (journey.driver.now - timedelta(days=1)).date()
    events = [registration(person, due, journey.driver.now) for person in people]
    for event, person in zip(events, people, strict=True):
        if own is not None:
            event["traceparent"] = own[person.key]
    answer = httpx.post(
        journey.stack.url("scheduler") + "/v1/events",
        json=events if form == BATCH else events[0],
        headers={
            **journey.platform.tenant,
            "Content-Type": f"application/cloudevents{form}",
            "traceparent": traceparent,
        },
        timeout=30,
    )
    journey.results += answer.json()["results"]
    assert answer.status_code == httpx.codes.ACCEPTED
