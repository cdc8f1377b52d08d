"""Traces: decided once, carried as text, free when not sampled, silent about people."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from shared.telemetry import export, tracing

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


def test_what_fails_is_told_although_it_was_not_sampled(collected: Collected) -> None:
    def fail() -> None:
        with tracing.span("plan", UNSAMPLED):
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    going_on = tracing.failed("send twilio", UNSAMPLED, "unknown_timeout", kind=SpanKind.CLIENT)
    assert going_on is not None
    assert tracing.is_sampled(going_on)
    assert going_on[:35] == UNSAMPLED[:35]
    block, call = collected.spans()
    assert (block.name, block.status.description) == ("plan", "LookupError")
    assert block.start_time is not None
    assert block.end_time is not None
    assert call.status.description == "unknown_timeout"
    assert f"{call.context.span_id:016x}" == going_on[36:52]


def test_errors_beyond_the_sample_are_bounded(collected: Collected) -> None:
    told = [
        tracing.failed("send twilio", tracing.new_traceparent(0.0), "unknown_timeout")
        for _ in range(4 * export.ERRORS_PER_SECOND_MAX)
    ]
    # The second may change in between: then a second helping, never four.
    assert sum(tracing.is_sampled(each) for each in told) <= 2 * export.ERRORS_PER_SECOND_MAX
    assert len(collected.spans()) == sum(tracing.is_sampled(each) for each in told)


def test_a_new_trace_begins_with_a_root(collected: Collected) -> None:
    named = tracing.new_traceparent(1.0)
    with tracing.span("POST", named) as root:
        tracing.instant("create", root.traceparent, SpanKind.PRODUCER, {})
    child, parent = collected.spans()
    assert parent.parent is None
    assert child.parent is not None
    assert child.parent.span_id == parent.context.span_id
    assert child.context.trace_id == parent.context.trace_id
    # Whoever meets the trace by its first text (a hop that made no span) finds the same one.
    assert f"{parent.context.trace_id:032x}" == named[3:35]


def test_a_span_may_have_begun_in_the_past(collected: Collected) -> None:
    tracing.begin("receive receipt", SAMPLED, began_ns=1_700_000_000_000_000_000).end()
    (span,) = collected.spans()
    assert span.start_time == 1_700_000_000_000_000_000
