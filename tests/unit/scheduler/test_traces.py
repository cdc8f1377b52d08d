"""Traces of planning: events go on with their spans, and time begins traces of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.scheduler.planning import Incoming
from services.scheduler.traces import folding, woken
from shared.events.envelope import Envelope
from shared.telemetry import tracing
from tests.support.exported import exporting

DEBTOR = UUID("0192f0c1-0000-7000-8000-000000000001")
SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + "0"


def incoming(type_: str, traceparent: str | None) -> Incoming:
    envelope = Envelope(
        id=DEBTOR,
        type=type_,
        source="regua/scheduler",
        time=datetime(2027, 3, 1, tzinfo=UTC),
        key=str(DEBTOR),
        tenant_id="t",
        data=b"{}",
        traceparent=traceparent,
    )
    return Incoming(envelope, msgspec.Struct(), DEBTOR)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with exporting("scheduler") as made:
        yield made


def test_unsampled_events_are_folded_as_they_are(exporter: InMemorySpanExporter) -> None:
    batch = [incoming("debt.registered.v1", UNSAMPLED), incoming("contact.sent.v1", None)]
    with folding(batch, "planner") as going_on:
        assert going_on is batch
    tracing.shut_down()
    assert not exporter.get_finished_spans()


def test_a_sampled_event_goes_on_with_its_own_span(exporter: InMemorySpanExporter) -> None:
    batch = [
        incoming("debt.registered.v1", SAMPLED),
        incoming("contact.delivered.v1", SAMPLED),
        incoming("debt.updated.v1", UNSAMPLED),
    ]
    with folding(batch, "planner") as going_on:
        traces = [each.envelope.traceparent for each in going_on]
    tracing.shut_down()
    spans = {f"{span.context.span_id:016x}": span.name for span in exporter.get_finished_spans()}
    assert spans[(traces[0] or "")[36:52]] == "process debt.events.v1"
    assert spans[(traces[1] or "")[36:52]] == "process contact.events.v1"
    assert going_on[2] is batch[2]


def test_time_begins_traces_for_a_share_of_the_debtors(exporter: InMemorySpanExporter) -> None:
    assert not woken([DEBTOR], 0.0)
    begun = woken([DEBTOR], 1.0)
    tracing.shut_down()
    [span] = exporter.get_finished_spans()
    assert (begun[DEBTOR] or "")[36:52] == f"{span.context.span_id:016x}"
    assert span.parent is None
    assert (span.attributes or {})["regua.debtor_id"] == str(DEBTOR)
