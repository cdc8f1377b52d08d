"""Traces: decided once at the first door, carried as W3C `traceparent`, free when not sampled.

In: a `traceparent` text from an HTTP header, a Kafka header or `new_traceparent`. Out: spans named
by OpenTelemetry's messaging conventions (`send contact.events.v1`, `process debt.events.v1`), sent
over OTLP/HTTP when a collector is configured. The sampled flag is tested in the text before the
OpenTelemetry API is touched (0.1 against 7-30 microseconds a message). Attributes are ids, counts
and names of ours; exceptions leave only their type.
"""

import os
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from shared.privacy import mask_text

TRACEPARENT = "traceparent"
LINKS_MAX = 128  # a batch span names at most so many of its messages (132 microseconds for 128)
EXPORT_QUEUE_SPANS_MAX = 2_048  # beyond it spans are dropped: tracing never slows the work
EXPORT_BATCH_SPANS_MAX = 512
EXPORT_PAUSE_MS = 1_000
EXPORT_TIMEOUT_MS = 5_000

_SHAPE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED_DIGITS = frozenset("13579bdf")  # the lowest flag bit says sampled
_ZERO_TRACE = "0" * 32
_ZERO_SPAN = "0" * 16
_random = random.SystemRandom()

Attribute = str | int | float | bool


class _Export:
    """The process's tracer; None until a collector is configured, then sampled spans are real."""

    provider: TracerProvider | None = None
    tracer: Tracer | None = None


def new_traceparent(sample_ratio: float) -> str:
    """Start a trace: the head decision, taken with probability `sample_ratio` (0 to 1)."""
    flags = "01" if _random.random() < sample_ratio else "00"
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-{flags}"


def accept_traceparent(given: str | None, sample_ratio: float) -> str:
    """Return the caller's traceparent if it is well formed, else start a trace of our own."""
    if given is None or not is_traceparent(given):
        return new_traceparent(sample_ratio)
    return given


def is_traceparent(text: str) -> bool:
    """Say whether `text` is a valid traceparent (version 00 layout, ids not all zero)."""
    if _SHAPE.fullmatch(text) is None or text.startswith("ff"):
        return False
    return text[3:35] != _ZERO_TRACE and text[36:52] != _ZERO_SPAN


def is_sampled(traceparent: str | None) -> bool:
    """Say whether this trace is sampled, by its text alone."""
    return traceparent is not None and traceparent[-1:] in _SAMPLED_DIGITS


class ActiveSpan:
    """A running span; on an unsampled trace every method does nothing."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span | None, traceparent: str | None) -> None:
        self._span = span
        self.traceparent = traceparent

    def set(self, key: str, value: Attribute) -> None:
        """Record one attribute: an id, a count, a name of ours; never a debtor's data."""
        if self._span is not None:
            self._span.set_attribute(key, _masked(value))

    def rename(self, name: str) -> None:
        """Name the span anew, when its route or topic is known only later."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, error: BaseException) -> None:
        """Mark the span as failed by the error's type; its message may hold personal data."""
        if self._span is not None:
            kind = type(error).__qualname__
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR, kind))


@contextmanager
def span(
    name: str,
    parent: str | None = None,
    *,
    links: Iterable[str | None] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Attribute] | None = None,
) -> Iterator[ActiveSpan]:
    """Run a block as a span below `parent` (a traceparent), linked to the messages of a batch.

    Without a sampled parent or link, or without a collector, nothing is made and
    `ActiveSpan.traceparent` is the parent's, so that it can be passed on either way.
    """
    tracer = _Export.tracer
    sampled = [link for link in links if is_sampled(link)] if tracer is not None else []
    if tracer is None or not (is_sampled(parent) or sampled):
        yield ActiveSpan(None, parent)
        return
    started = tracer.start_span(
        name,
        context=_parent_context(parent),
        kind=kind,
        links=[Link(context) for link in sampled[:LINKS_MAX] if (context := _context(link))],
        attributes={key: _masked(value) for key, value in (attributes or {}).items()},
        record_exception=False,
        set_status_on_exception=False,
    )
    active = ActiveSpan(started, _text(started.get_span_context()))
    try:
        yield active
    except BaseException as error:
        active.fail(error)
        raise
    finally:
        started.end()


@contextmanager
def message_span(
    operation: str,
    topic: str,
    traceparents: Iterable[str | None],
    *,
    messages: int,
    group: str = "",
) -> Iterator[ActiveSpan]:
    """Run a batch as one `send|receive|process <topic>` span with a link per sampled message."""
    kinds = {"send": SpanKind.CLIENT, "receive": SpanKind.CLIENT, "process": SpanKind.CONSUMER}
    attributes: dict[str, Attribute] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.batch.message_count": messages,
    }
    if group:
        attributes["messaging.consumer.group.name"] = group
    with span(
        f"{operation} {topic}", links=traceparents, kind=kinds[operation], attributes=attributes
    ) as active:
        yield active


def configure(service: str, exporter: SpanExporter | None) -> None:
    """Send sampled spans to `exporter`; None leaves tracing to pass `traceparent` on only.

    The provider stays ours, never OpenTelemetry's global one: libraries that instrument themselves
    would record request bodies and exception messages.
    """
    if exporter is None:
        _Export.provider = _Export.tracer = None
        return
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # the decision was taken at the door; here only sampled traces arrive
        resource=Resource.create({"service.name": service, "service.namespace": "regua"}),
        span_limits=SpanLimits(max_links=LINKS_MAX),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=EXPORT_QUEUE_SPANS_MAX,
            schedule_delay_millis=EXPORT_PAUSE_MS,
            max_export_batch_size=EXPORT_BATCH_SPANS_MAX,
            export_timeout_millis=EXPORT_TIMEOUT_MS,
        )
    )
    _Export.provider = provider
    _Export.tracer = provider.get_tracer("regua")


def shut_down() -> None:
    """Send what is left and stop; blocks up to the export timeout, so call it off the loop."""
    provider = _Export.provider
    _Export.provider = _Export.tracer = None
    if provider is not None:
        provider.shutdown()


def _parent_context(parent: str | None) -> Context:
    context = _context(parent) if is_sampled(parent) else None
    # An empty context, not the current one: spans hang below what the message carries.
    return set_span_in_context(NonRecordingSpan(context), Context()) if context else Context()


def _context(traceparent: str | None) -> SpanContext | None:
    if traceparent is None or not is_traceparent(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _text(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _masked(value: Attribute) -> Attribute:
    return mask_text(value) if isinstance(value, str) else value
