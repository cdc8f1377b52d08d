"""Spans of messages: each in its own trace, batches linked to them, free when none is sampled."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from shared.telemetry import export, tracing
from shared.telemetry.messaging import MESSAGES_TRACED_MAX, created, message_spans
from tests.support.exported import exporting, told

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = SAMPLED.replace("4bf9", "5bf9")
UNSAMPLED = SAMPLED[:-1] + "0"
TOPIC = "debt.events.v1"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with exporting("probe") as made:
        yield made


def test_an_unsampled_batch_is_passed_on_as_it_is(exporter: InMemorySpanExporter) -> None:
    given = [UNSAMPLED, None]
    with message_spans("process", TOPIC, given) as going_on:
        assert going_on is given
    assert created(TOPIC, UNSAMPLED, "debt.registered.v1", None) is UNSAMPLED
    assert told(exporter) == []


def test_without_a_collector_traces_are_passed_on() -> None:
    tracing.configure("probe", None)
    given = [SAMPLED]
    with message_spans("process", TOPIC, given) as going_on:
        assert going_on is given
    assert created(TOPIC, SAMPLED, "debt.registered.v1", None) == SAMPLED


def test_each_sampled_message_has_a_span_in_its_trace_and_the_batch_one_besides(
    exporter: InMemorySpanExporter,
) -> None:
    given = [UNSAMPLED, SAMPLED, None, OTHER]
    with message_spans("process", TOPIC, given, group="planner") as going_on:
        assert [going_on[0], going_on[2]] == [UNSAMPLED, None]
    whole, first, second = sorted(told(exporter), key=lambda span: span.parent is not None)
    assert {span.name for span in (whole, first, second)} == {"process debt.events.v1"}
    assert whole.parent is None
    assert [f"{link.context.trace_id:032x}" for link in whole.links] == [SAMPLED[3:35], OTHER[3:35]]
    assert (whole.attributes or {})["messaging.batch.message_count"] == 4
    for span, place in ((first, 1), (second, 3)):
        trace = going_on[place]
        assert trace is not None
        assert trace[3:35] == (given[place] or "")[3:35]
        assert trace[36:52] == f"{span.context.span_id:016x}"
        assert [link.context.span_id for link in span.links] == [whole.context.span_id]
        assert span.kind is SpanKind.CONSUMER
        assert dict(span.attributes or {}) == {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": TOPIC,
            "messaging.consumer.group.name": "planner",
        }


def test_a_single_message_needs_no_batch(exporter: InMemorySpanExporter) -> None:
    with message_spans("create", TOPIC, [SAMPLED]):
        pass
    (span,) = told(exporter)
    assert span.kind is SpanKind.PRODUCER
    assert span.parent is not None
    assert not span.links


def test_a_batch_hangs_below_the_request_that_brought_it(exporter: InMemorySpanExporter) -> None:
    with message_spans("create", TOPIC, [SAMPLED, UNSAMPLED], cause=OTHER):
        pass
    whole, one = sorted(told(exporter), key=lambda span: span.context.trace_id, reverse=True)
    assert f"{whole.context.trace_id:032x}" == OTHER[3:35]
    assert whole.parent is not None
    assert f"{whole.parent.span_id:016x}" == OTHER[36:52]
    assert [link.context.trace_id for link in one.links] == [whole.context.trace_id]


@pytest.mark.parametrize(
    ("cause", "linked"), [(OTHER, [OTHER[3:35]]), (SAMPLED, []), (None, []), (UNSAMPLED, [])]
)
def test_a_message_alone_is_linked_to_a_request_of_another_trace(
    exporter: InMemorySpanExporter, cause: str | None, linked: list[str]
) -> None:
    with message_spans("create", TOPIC, [SAMPLED], cause=cause):
        pass
    (one,) = told(exporter)
    assert [f"{link.context.trace_id:032x}" for link in one.links] == linked


def test_a_batch_over_two_topics_names_neither(exporter: InMemorySpanExporter) -> None:
    with message_spans("process", [TOPIC, "contact.events.v1"], [SAMPLED, OTHER]):
        pass
    names = [span.name for span in told(exporter)]
    assert sorted(names) == ["process", "process contact.events.v1", f"process {TOPIC}"]


def test_spans_and_links_of_a_batch_are_bounded(exporter: InMemorySpanExporter) -> None:
    given = [tracing.new_traceparent(1.0) for _ in range(MESSAGES_TRACED_MAX + 50)]
    with message_spans("send", TOPIC, given) as going_on:
        assert going_on[MESSAGES_TRACED_MAX:] == given[MESSAGES_TRACED_MAX:]
    spans = told(exporter)
    assert len(spans) == MESSAGES_TRACED_MAX + 1
    assert max(len(span.links) for span in spans) <= export.LINKS_MAX


@pytest.mark.parametrize("given", [[SAMPLED], [UNSAMPLED, None]])
def test_a_batch_that_fails_is_told_sampled_or_not(
    exporter: InMemorySpanExporter, given: list[str | None]
) -> None:
    def fail() -> None:
        with message_spans("process", TOPIC, given):
            msg = "no debtor at +5511987654321"
            raise LookupError(msg)

    with pytest.raises(LookupError):
        fail()
    (span,) = told(exporter)
    assert f"{span.context.trace_id:032x}" == SAMPLED[3:35]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "LookupError"
    assert not span.events


def test_a_created_message_carries_its_own_span(exporter: InMemorySpanExporter) -> None:
    contact = UUID("0192f0c1-0000-7000-8000-000000000001")
    carried = created("contact.tasks.sms.v1", SAMPLED, "contact.task.v1", contact)
    (span,) = told(exporter)
    assert carried is not None
    assert carried[36:52] == f"{span.context.span_id:016x}"
    assert (span.attributes or {})["regua.contact_id"] == str(contact)
    assert (span.attributes or {})["regua.event_type"] == "contact.task.v1"
