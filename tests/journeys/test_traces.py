"""One trace from the post to the delivered receipt, told by a collector that services export to.

The way is asked for as a person would read it: who hangs below whom. What fails is told although
nobody sampled it.
"""

from datetime import timedelta

import httpx

from tests.support.collector import Collector
from tests.support.debtors import Debtor, registration
from tests.support.journey import Journey, Site
from tests.support.spans import all_said, chain, of_a_client, of_trace

ON_THE_WAY = ("scheduler", "sms_sender", "contact_ledger")

TO_THE_PROVIDER = [
    "scheduler: POST /v1/events",
    "scheduler: create debt.events.v1",
    "scheduler: process debt.events.v1",
    "scheduler: create contact.tasks.sms.v1",
    "sms_sender: process contact.tasks.sms.v1",
]
TO_THE_ANSWER = [
    *TO_THE_PROVIDER,
    "sms_sender: POST",
    "sms_sender: create contact.events.v1",
    "contact_ledger: process contact.events.v1",
]
TO_THE_RECEIPT = [
    *TO_THE_PROVIDER,
    "sms_sender: receive receipt",
    "sms_sender: create contact.events.v1",
    "contact_ledger: process contact.events.v1",
]


def post_one(journey: Journey, person: Debtor, traceparent: str) -> None:
    """Post one person's debt, due yesterday, as a client that traces does."""
    due = (journey.driver.now - timedelta(days=1)).date()
    event = registration(person, due, journey.driver.now)
    answer = httpx.post(
        journey.stack.url("scheduler") + "/v1/events",
        json=event,
        headers={
            **journey.platform.tenant,
            "Content-Type": "application/cloudevents+json",
            "traceparent": traceparent,
        },
        timeout=30,
    )
    journey.results += answer.json()["results"]
    assert answer.status_code == httpx.codes.ACCEPTED
    journey.driver.drain()


def test_one_trace_tells_the_whole_way_from_the_post_to_the_receipt(
    site: Site, journey: Journey, collector: Collector
) -> None:
    [person] = journey.people(1)
    traceparent = of_a_client(sampled=True)
    post_one(journey, person, traceparent)
    [contact] = journey.contacts()
    assert contact["state"] == "delivered"
    said = all_said(site, collector, ON_THE_WAY)
    trace = of_trace(said, traceparent)
    ways = [chain(trace, span) for span in trace if span.service == "contact_ledger"]
    assert TO_THE_ANSWER in ways
    assert TO_THE_RECEIPT in ways
    [call] = [span for span in trace if span.name == "POST"]
    assert call.kind == "client"
    assert call.attributes["regua.contact_id"] == contact["contact_id"]
    assert call.attributes["http.response.status_code"] == 201
    assert call.attributes["server.address"] == "127.0.0.1"
    assert {span.attributes.get("regua.receipt") for span in trace} >= {"sent", "delivered"}
    for name in ("debt.events.v1", "contact.tasks.sms.v1", "contact.events.v1"):
        assert any(span.name == f"send {name}" for span in trace), name
    assert not [span for span in trace if span.error]


def test_a_call_that_fails_is_told_although_nobody_sampled_it(
    site: Site, journey: Journey, collector: Collector
) -> None:
    [person] = journey.people(1)
    silent = {"kind": "timeout_after_acceptance", "seconds": 4.0}
    journey.faults(silent | {"match": {"recipient": person.phone}})
    traceparent = of_a_client(sampled=False)
    post_one(journey, person, traceparent)
    said = all_said(site, collector, ON_THE_WAY)
    told = of_trace(said, traceparent)
    failed = next((span for span in told if span.error == "unknown_timeout"), None)
    assert failed is not None, [(each.error, each.name) for each in told]
    assert failed.service == "sms_sender"
    assert failed.kind == "client"
    assert failed.ended_us - failed.began_us > 1_000_000
    # From the failure on, what follows is traced: how it was recorded, and what the planner did.
    below = [chain(told, span) for span in told]
    assert [
        "sms_sender: send twilio",
        "sms_sender: create contact.events.v1",
        "contact_ledger: process contact.events.v1",
    ] in below
