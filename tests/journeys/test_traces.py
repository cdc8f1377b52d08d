"""One trace from the post to the delivered receipt, whichever provider carries the message.

Told by a collector that the services export to, and as the local page shows it. What fails is told
although nobody sampled it. One story per provider; each test looks at another side of it.
"""

from typing import Any

import httpx
import pytest

from deploy.view.app import create_app
from deploy.view.traces import Span
from tests.journeys.conftest import Sites
from tests.support.collector import Collector
from tests.support.debtors import AMOUNT, NAME
from tests.support.journey import Journey, until
from tests.support.spans import all_said, chain, of_a_client, of_trace
from tests.support.told import SINGLE, WAYS, WORD, Told, post

BY_MAIL = "smtp"
WEBHOOK, MAIL = "POST /webhooks/{provider}/{tenant_id}/{account_id}", "receive mail"
KINDS = {"create": "producer", "send": "client", "process": "consumer"}
RECORDED = "contact_ledger: process contact.events.v1"


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.provider)
def told(
    request: pytest.FixtureRequest,
    sites: Sites,
    shared_journeys: list[Journey],
    collector: Collector,
) -> Told:
    """The story of one provider."""
    journey = sites.sound().journey(channels=(request.param.account,))
    shared_journeys.append(journey)
    return Told(journey, collector, request.param)


def to_the_task(told: Told) -> list[str]:
    """The way from the post to the sender."""
    return [
        "scheduler: POST /v1/events",
        "scheduler: create debt.events.v1",
        "scheduler: process debt.events.v1",
        f"scheduler: create {told.way.task_topic}",
        f"{told.way.sender}: process {told.way.task_topic}",
    ]


def to_the_ledger(told: Told, *by: str) -> list[str]:
    """The way on from the sender, by these spans of its own, to the ledger."""
    sender = told.way.sender
    return [*(f"{sender}: {name}" for name in by), f"{sender}: create contact.events.v1", RECORDED]


def ways(trace: list[Span]) -> list[list[str]]:
    """Every way that ended in the ledger."""
    return [chain(trace, span) for span in trace if span.service == "contact_ledger"]


def named(trace: list[Span], name: str) -> list[Span]:
    """The spans of this name."""
    return [span for span in trace if span.name == name]


def call_in(trace: list[Span]) -> Span:
    """The one call of the provider."""
    [call] = [span for span in trace if span.attributes.get("regua.attempt") == 1]
    return call


def test_one_trace_tells_the_whole_way_from_the_post_to_the_receipt(told: Told) -> None:
    trace = told.of(told.answers)
    call = call_in(trace)
    assert call.name == ("send smtp" if told.way.provider == BY_MAIL else "POST")
    assert to_the_task(told) + to_the_ledger(told, call.name) in ways(trace)
    assert to_the_task(told) + to_the_ledger(told, "receive receipt") in ways(trace)
    assert "delivered" in {span.attributes.get("regua.receipt") for span in trace}
    assert call.attributes["regua.contact_id"] == told.contact_id(told.answers)
    for topic in ("debt.events.v1", told.way.task_topic, "contact.events.v1"):
        assert named(trace, f"send {topic}"), topic
    assert not [span for span in trace if span.error]


def test_a_reply_is_told_in_the_trace_of_the_contact_that_it_answers(told: Told) -> None:
    trace = told.of(told.answers)
    assert to_the_task(told) + to_the_ledger(told, "receive reply") in ways(trace)
    [reply] = named(trace, "receive reply")
    assert reply.attributes["regua.contact_id"] == told.contact_id(told.answers)
    assert reply.attributes["regua.reply"] == "promise"


def test_what_comes_back_is_linked_to_the_request_or_mail_that_brought_it(told: Told) -> None:
    trace = told.of(told.answers)
    came = named(trace, "receive receipt") + named(trace, "receive reply")
    assert len(came) > 1
    for span in came:
        [brought] = told.linked(span)
        assert brought.name == (MAIL if told.way.provider == BY_MAIL else WEBHOOK)
        assert brought.kind == "server"
        assert brought.began_us <= span.ended_us


def test_a_batch_is_linked_to_its_messages_and_they_to_it(told: Told) -> None:
    trace = told.of(told.silent)
    [created] = named(trace, "create debt.events.v1")
    post, batch = sorted(told.linked(created), key=lambda span: bool(span.links))
    assert (post.trace_id, post.name) == (told.request[3:35], "POST /v1/events")
    assert (batch.parent_id, batch.name) == (post.span_id, created.name)
    assert batch.attributes["messaging.batch.message_count"] == 3
    assert batch.links == [created.trace_id], "the other two were not sampled"
    batches = [
        (span, other)
        for span in trace
        for other in told.linked(span)
        if "messaging.batch.message_count" in other.attributes
    ]
    assert {span.name.partition(" ")[0] for span, _ in batches} >= {"create", "send"}
    for span, other in batches:
        assert span.trace_id in other.links, (span.name, other.name)


def test_a_call_that_fails_is_told_with_all_that_follows_although_nobody_sampled_it(
    told: Told,
) -> None:
    trace = told.of(told.unsure)
    call = call_in(trace)
    assert call is trace[0]
    assert (call.name, call.kind) == (f"send {told.way.provider}", "client")
    assert call.error == "unknown_timeout"
    assert call.ended_us - call.began_us > 1_000_000
    # From the failure on, what follows is traced: how it was recorded, and how it became known.
    assert to_the_ledger(told, call.name) in ways(trace)
    assert to_the_ledger(told, call.name, "receive receipt") in ways(trace)
    assert "delivered" in {span.attributes.get("regua.receipt") for span in trace}


def test_a_failure_that_a_receipt_reports_is_told_although_nobody_sampled_it(told: Told) -> None:
    trace = told.of(told.refused)
    [receipt] = named(trace, "receive receipt")
    assert receipt is trace[0]
    assert receipt.error == told.way.error == receipt.attributes["regua.error"]
    assert receipt.attributes["regua.receipt"] == "undelivered"
    assert to_the_ledger(told, "receive receipt") in ways(trace)


def test_attributes_are_those_of_the_conventions(told: Told) -> None:
    for span in told.of(told.answers):
        operation, _, topic = span.name.partition(" ")
        if topic.endswith(".v1"):
            wanted: dict[str, Any] = {
                "messaging.system": "kafka",
                "messaging.operation.name": operation,
                "messaging.operation.type": operation,
                "messaging.destination.name": topic,
            }
            if operation == "process":
                group = {"scheduler": "scheduler.planner"}.get(span.service, span.service)
                wanted["messaging.consumer.group.name"] = group
            assert span.kind == KINDS[operation]
            assert wanted.items() <= span.attributes.items(), span.name
    call = call_in(told.of(told.answers))
    spoken = (
        {"network.protocol.name": "smtp"}
        if told.way.provider == BY_MAIL
        else {"http.request.method": "POST"}
    )
    spoken |= {"server.address": "127.0.0.1", "regua.provider": told.way.provider}
    assert call.kind == "client"
    assert spoken.items() <= call.attributes.items()
    status = {"http.response.status_code"} if told.way.provider != BY_MAIL else set()
    assert {"server.port", *status} <= call.attributes.keys()


def test_no_span_tells_anything_of_a_person(told: Told) -> None:
    sought = {WORD, NAME, NAME.split()[0], AMOUNT, AMOUNT.replace(".", ",")}
    for person in (told.answers, told.silent, told.unsure, told.refused):
        sought |= {person.phone[1:], person.ref, person.debt_ref, f"{person.key}@"}
    said = str([*told.of(told.answers), *told.of(told.unsure), *told.of(told.refused)])
    said += str([each for span in told.of(told.answers) for each in told.linked(span)])
    assert not [word for word in sought if word in said]


def test_another_attempt_goes_on_in_the_trace_of_the_refusal_before(
    journey: Journey, collector: Collector
) -> None:
    [person] = journey.people(1)
    throttled = {"kind": "throttle_429", "retry_after": 1, "times": 1}
    journey.faults(throttled | {"match": {"recipient": person.phone}})
    traceparent = of_a_client(sampled=False)
    post(journey, [person], SINGLE, traceparent)
    journey.driver.drain()
    said = all_said(journey.site, collector, ("sms_sender", "contact_ledger"))
    trace = of_trace(said, traceparent)
    assert trace[0].error == "throttled"
    again = ["send twilio", "process contact.tasks.sms.v1"]
    for last in ("POST", "receive receipt"):
        by = [f"sms_sender: {name}" for name in (*again, last)]
        assert [*by, "sms_sender: create contact.events.v1", RECORDED] in ways(trace)


def test_a_stop_is_told_in_the_trace_of_the_reply_that_placed_it(
    journey: Journey, collector: Collector
) -> None:
    [person] = journey.people(1)
    traceparent = of_a_client(sampled=True)
    post(journey, [person], SINGLE, traceparent)
    journey.driver.drain()
    journey.reply(person, "SAIR", "opt_out_words")
    until(lambda: journey.truth("inbound", person), "the reply at our door")
    journey.driver.drain()
    said = all_said(journey.site, collector, ("sms_sender",))
    [reply] = named(of_trace(said, traceparent), "receive reply")
    [brought] = [span for span in said if span.trace_id in reply.links and span.kind == "server"]
    [stop] = [
        span
        for span in said
        if span.name == "send contact.holds.v1" and span.trace_id == brought.trace_id
    ]
    assert stop.parent_id == brought.span_id


async def test_the_local_page_shows_a_contact_as_one_story(
    told: Told, collector: Collector
) -> None:
    transport = httpx.ASGITransport(create_app({}))
    contact_id = told.contact_id(told.answers)
    async with httpx.AsyncClient(  # noqa: TID251 - in process: no network, so no limits
        base_url="http://127.0.0.1", transport=transport
    ) as page:
        for export in collector.exports():
            await page.post("/v1/traces", content=export)
        [listed] = (await page.get("/api/traces", params={"id": contact_id})).json()["traces"]
        spans = (await page.get(f"/api/traces/{listed['trace_id']}")).json()["spans"]
    assert listed["errors"] == 0
    assert listed["services"][0] == "scheduler"
    assert set(listed["services"]) == {"scheduler", told.way.sender, "contact_ledger"}
    provider = told.way.provider
    story = [f"{span['name']}: {span['about']}" for span in spans if span["about"]]
    call = "send smtp: smtp" if provider == BY_MAIL else f"POST: {provider}, "
    expected = [
        "POST /v1/events: 202",
        f"create {told.way.task_topic}: contact.task.v1",
        call,
        f"receive receipt: delivered, {provider}",
        "create contact.events.v1: contact.delivered.v1",
        f"receive reply: promise, {provider}",
        "create contact.events.v1: contact.replied.v1",
    ]
    places = [
        next((at for at, line in enumerate(story) if line.startswith(wanted)), None)
        for wanted in expected
    ]
    assert None not in places, (expected, story)
    assert places == sorted(places, key=lambda at: at or 0), story
