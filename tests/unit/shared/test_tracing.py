"""Traces: decided once, carried as text, free when not sampled, silent about people."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from shared.telemetry import tracing

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + "0"


class Collected:
    """What the collector would receive."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def spans(self) -> list[ReadableSpan]:
        tracing.shut_down()
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def collected() -> Iterator[Collected]:
    made = Collected()
    tracing.configure("probe", made.exporter)
    yield made
    tracing.shut_down()


def test_the_head_decision_follows_the_ratio() -> None:
    made = [tracing.new_traceparent(0.25) for _ in range(4_000)]
    assert all(tracing.is_traceparent(each) for each in made)
    assert len(set(made)) == len(made)
    assert 800 < sum(tracing.is_sampled(each) for each in made) < 1_200  # 7 sigma
    assert not any(tracing.is_sampled(tracing.new_traceparent(0.0)) for _ in range(100))
    assert all(tracing.is_sampled(tracing.new_traceparent(1.0)) for _ in range(100))


@pytest.mark.parametrize(
    ("text", "sampled"),
    [(SAMPLED, True), (UNSAMPLED, False), (SAMPLED[:-2] + "ff", True), (None, False), ("", False)],
)
def test_the_flag_is_read_from_the_text(text: str | None, *, sampled: bool) -> None:
    assert tracing.is_sampled(text) is sampled


@pytest.mark.parametrize(
    "text",
    ["", "00", SAMPLED.upper(), SAMPLED + "-00", "ff" + SAMPLED[2:],
     f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01"],
)  # fmt: skip
def test_a_malformed_traceparent_is_replaced(text: str) -> None:
    assert not tracing.is_traceparent(text)
    assert tracing.is_traceparent(tracing.accept_traceparent(text, 0.0))


def test_a_good_traceparent_is_kept() -> None:
    assert tracing.accept_traceparent(SAMPLED, 0.0) == SAMPLED


def test_an_unsampled_trace_makes_nothing_and_is_passed_on(collected: Collected) -> None:
    with tracing.span("plan", UNSAMPLED) as active:
        active.set("contacts", 3)
        assert active.traceparent == UNSAMPLED
    with tracing.message_span("process", "debt.events.v1", [UNSAMPLED, None], messages=2):
        pass
    assert collected.spans() == []


def test_without_a_collector_a_sampled_trace_is_passed_on() -> None:
    tracing.configure("probe", None)
    with tracing.span("plan", SAMPLED) as active:
        assert active.traceparent == SAMPLED


def test_a_child_continues_the_trace(collected: Collected) -> None:
    with tracing.span("plan", SAMPLED, kind=SpanKind.SERVER) as active:
        child = active.traceparent
    (span,) = collected.spans()
    assert child is not None
    assert child[:35] == SAMPLED[:35]
    assert child[36:52] == f"{span.context.span_id:016x}"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SAMPLED[36:52]
    assert span.resource.attributes["service.name"] == "probe"


def test_a_batch_is_one_span_linked_to_its_sampled_messages(collected: Collected) -> None:
    parents = [UNSAMPLED, SAMPLED, None, SAMPLED.replace("4bf9", "5bf9")]
    with tracing.message_span("process", "debt.events.v1", parents, messages=4, group="planner"):
        pass
    (span,) = collected.spans()
    assert span.name == "process debt.events.v1"
    assert span.kind is SpanKind.CONSUMER
    assert len(span.links) == 2
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "debt.events.v1",
        "messaging.batch.message_count": 4,
        "messaging.consumer.group.name": "planner",
    }


def test_links_are_bounded(collected: Collected) -> None:
    parents = [tracing.new_traceparent(1.0) for _ in range(tracing.LINKS_MAX + 50)]
    with tracing.message_span("send", "contact.events.v1", parents, messages=len(parents)):
        pass
    (span,) = collected.spans()
    assert len(span.links) == tracing.LINKS_MAX
    assert span.kind is SpanKind.CLIENT


def test_an_error_leaves_its_type_and_no_message(collected: Collected) -> None:
    msg = "no such debtor Maria, +5511987654321"

    def fail() -> None:
        with tracing.span("plan", SAMPLED) as active:
            active.set("note", "reached +5511987654321")
            raise LookupError(msg)

    with pytest.raises(LookupError):
        fail()
    (span,) = collected.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "LookupError"
    assert dict(span.attributes or {}) == {"error.type": "LookupError", "note": "reached ***"}
    assert span.events == ()
