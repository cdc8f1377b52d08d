"""Traces: decided once at the first door, carried as W3C `traceparent`, free when not sampled.

In: a `traceparent` text from an HTTP header, a Kafka header or `new_traceparent`. Out: spans below
it, sent over OTLP/HTTP when a collector is configured. The sampled flag is tested in the text
before the OpenTelemetry API is touched (0.1 against 7-30 microseconds). What fails is told even
when its trace was not sampled (`failed`). Attributes are ids, counts and names of ours; exceptions
leave only their type.
"""

import os
import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.privacy import mask_text
from shared.telemetry import export

TRACEPARENT = "traceparent"

_SHAPE = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SAMPLED_DIGITS = frozenset("13579bdf")  # the lowest flag bit says sampled
_ZERO_TRACE = "0" * 32
_ZERO_SPAN = "0" * 16
_random = random.SystemRandom()

Attribute = str | int | float | bool
Attributes = Mapping[str, Attribute]


def new_traceparent(sample_ratio: float) -> str:
    """Start a trace: the head decision, taken with probability `sample_ratio` (0 to 1).

    Its span id repeats the trace id's second half: nobody's span, so what begins below it is a
    root (`_is_new`) and no viewer looks for a parent that was never sent.
    """
    flags = "01" if _random.random() < sample_ratio else "00"
    trace_id = os.urandom(16).hex()
    return f"00-{trace_id}-{trace_id[16:]}-{flags}"


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

    @property
    def recording(self) -> bool:
        """Whether anything is kept of it."""
        return self._span is not None

    def set(self, key: str, value: Attribute) -> None:
        """Record one attribute: an id, a count, a name of ours; never a debtor's data."""
        if self._span is not None:
            self._span.set_attribute(key, _masked(value))

    def rename(self, name: str) -> None:
        """Name the span anew, when its route or topic is known only later."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, error: BaseException | str) -> None:
        """Mark the span as failed by the error's type; its message may hold personal data."""
        if self._span is not None:
            kind = error if isinstance(error, str) else type(error).__qualname__
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR, kind))

    def end(self) -> None:
        """Finish it; `span` and `messaging` do so by themselves."""
        if self._span is not None:
            self._span.end()


def begin(
    name: str,
    parent: str | None,
    *,
    links: Iterable[str | None] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    began_ns: int | None = None,
) -> ActiveSpan:
    """Begin a span below `parent`, to be ended by the caller; nothing on an unsampled trace.

    `began_ns` (since the epoch) tells of a beginning that lies in the past.
    """
    tracer = export.current()
    if tracer is None or not is_sampled(parent):
        return ActiveSpan(None, parent)
    return _start(name, parent, links, kind, attributes, began_ns)


@contextmanager
def span(
    name: str,
    parent: str | None = None,
    *,
    links: Iterable[str | None] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> Iterator[ActiveSpan]:
    """Run a block as a span below `parent` (a traceparent), linked to others.

    Without a sampled parent, or without a collector, nothing is made unless the block fails, and
    `ActiveSpan.traceparent` is the parent's, so that it can be passed on either way.
    """
    active = begin(name, parent, links=links, kind=kind, attributes=attributes)
    began_ns = 0 if active.recording else time.time_ns()
    try:
        yield active
    except Exception as error:
        active.fail(error)
        if not active.recording:
            failed(name, parent, error, kind=kind, attributes=attributes, began_ns=began_ns)
        raise
    finally:
        active.end()


def failed(
    name: str,
    parent: str | None,
    error: BaseException | str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    began_ns: int | None = None,
) -> str | None:
    """Tell of a failure whatever the head decided; return the traceparent to go on with.

    From here on the trace is sampled, so that what follows from the failure is seen, too. Errors of
    unsampled traces are told up to a bound per second.
    """
    parent = awakened(parent)
    if export.current() is None or parent is None or not is_sampled(parent):
        return parent
    active = _start(name, parent, (), kind, attributes, began_ns)
    active.fail(error)
    active.end()
    return active.traceparent


def awakened(traceparent: str | None) -> str | None:
    """Return the traceparent as sampled, because of a failure, while failures may be told of."""
    if export.current() is None or traceparent is None or not is_traceparent(traceparent):
        return traceparent
    if is_sampled(traceparent) or not export.may_tell_of_error():
        return traceparent
    return f"{traceparent[:53]}01"


def instant(name: str, parent: str | None, kind: SpanKind, attributes: Attributes) -> str | None:
    """Note a moment as a span; return the traceparent to go on with."""
    active = begin(name, parent, kind=kind, attributes=attributes)
    active.end()
    return active.traceparent


def context_of(traceparent: str | None) -> SpanContext | None:
    """Return a traceparent as OpenTelemetry has it; None when it is malformed."""
    if traceparent is None or not is_traceparent(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def configure(service: str, exporter: SpanExporter | None) -> None:
    """Send sampled spans to `exporter`; None passes `traceparent` on only."""
    export.configure(service, exporter)


def shut_down() -> None:
    """Send what is left and stop; blocks up to the export timeout, so call it off the loop."""
    export.shut_down()


def start_apart(
    name: str,
    cause: str | None,
    links: Iterable[str | None],
    kind: SpanKind,
    attributes: Attributes,
) -> ActiveSpan:
    """Begin a span that names the traces it worked for (a batch) and belongs to none of them.

    It belongs to the trace of what caused it when that is sampled, else it begins one of its own.
    """
    return _start(name, cause if is_sampled(cause) else None, links, kind, attributes, None)


def _start(
    name: str,
    parent: str | None,
    links: Iterable[str | None],
    kind: SpanKind,
    attributes: Attributes | None,
    began_ns: int | None,
) -> ActiveSpan:
    tracer = export.current()
    if tracer is None:
        return ActiveSpan(None, parent)
    contexts = [context for link in links if (context := context_of(link))]
    started = tracer.start_span(
        name,
        context=_parent_context(parent),
        kind=kind,
        links=[Link(context) for context in contexts[: export.LINKS_MAX]],
        attributes={key: _masked(value) for key, value in (attributes or {}).items()},
        start_time=began_ns,
        record_exception=False,
        set_status_on_exception=False,
    )
    return ActiveSpan(started, _text(started.get_span_context()))


def _is_new(traceparent: str) -> bool:
    return traceparent[36:52] == traceparent[19:35]


def _parent_context(parent: str | None) -> Context:
    context = context_of(parent)
    if context is not None and parent is not None and _is_new(parent):
        export.name_trace(context.trace_id)
        return Context()
    # An empty context, not the current one: spans hang below what the message carries.
    return set_span_in_context(NonRecordingSpan(context), Context()) if context else Context()


def _text(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _masked(value: Attribute) -> Attribute:
    return mask_text(value) if isinstance(value, str) else value
