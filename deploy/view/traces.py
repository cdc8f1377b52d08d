"""Spans as they come in, kept by trace: so many traces, so many spans, the oldest go first.

In: OTLP's protobuf. Out: lists for the page. Nothing is written anywhere.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

TRACES_MAX = 1_000
SPANS_MAX = 50_000  # some 50 MB
SPANS_OF_A_TRACE_MAX = 500
LINKS_SHOWN_MAX = 16
LISTED_MAX = 100
LOOKS_MAX = 200  # traces of one answered GET: clocks and progress are asked many times a second
TEXT_CHARS_MAX = 200
MICROSECOND_NS = 1_000
# What a span is about, beside its name: what a reader of the way asks next.
TELLING = (
    "regua.event_type",
    "regua.receipt",
    "regua.reply",
    "regua.error",
    "regua.provider",
    "http.response.status_code",
    "regua.smtp.status_code",
)
BROUGHT = ("POST /webhooks/", "receive mail")  # what the requests and mails are called
COUNTED = "messaging.batch.message_count"


class UnreadableExport(ValueError):
    """What was posted is no export of spans."""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span; times are microseconds since the epoch, `about` tells it from its likes."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    began_us: int
    ended_us: int
    error: str
    about: str
    attributes: dict[str, str | int | float | bool]
    links: list[str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One trace in the list; `services` in the order in which it came to them."""

    trace_id: str
    name: str
    service: str
    services: list[str]
    began_us: int
    duration_us: int
    spans: int
    errors: int


class Traces:
    """The traces in memory."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, list[Span]] = OrderedDict()
        self._looks: OrderedDict[str, Span] = OrderedDict()
        self.spans = 0
        self.dropped = 0

    def take(self, body: bytes) -> int:
        """Keep the spans of one export; return how many. Raise `UnreadableExport`."""
        taken = 0
        for span in decoded(body):
            self._keep(span)
            taken += 1
        return taken

    def newest(
        self, wanted: str = "", *, errors: bool = False, asides: bool = False
    ) -> list[Summary]:
        """Return the newest traces; `wanted` is (the beginning of) a trace's or contact's id.

        Asides are traces of one span that tell nothing by themselves: batches, and what brought
        receipts. They are left out unless wanted; those that they are about lead to them.
        """
        found: list[Summary] = []
        for trace_id, spans in reversed(self._traces.items()):
            if len(found) == LISTED_MAX:
                break
            if not asides and not wanted and _is_aside(spans):
                continue
            if wanted and not trace_id.startswith(wanted) and not _names(spans, wanted):
                continue
            summary = _summary(trace_id, spans)
            if summary.errors or not errors:
                found.append(summary)
        return found

    def spans_of(self, trace_id: str) -> list[Span]:
        """Return a trace's spans, in the order in which they began."""
        return sorted(self._traces.get(trace_id, []), key=lambda span: span.began_us)

    def _keep(self, span: Span) -> None:
        if span.trace_id not in self._traces:
            first = self._looks.pop(span.trace_id, None)
            if first is None and _is_look(span):
                self._looks[span.trace_id] = span
                if len(self._looks) > LOOKS_MAX:
                    self._looks.popitem(last=False)
                return
            if first is not None:
                self._traces[span.trace_id] = [first]
                self.spans += 1
        spans = self._traces.setdefault(span.trace_id, [])
        self._traces.move_to_end(span.trace_id)
        if len(spans) >= SPANS_OF_A_TRACE_MAX:
            self.dropped += 1
            return
        spans.append(span)
        self.spans += 1
        while len(self._traces) > TRACES_MAX or self.spans > SPANS_MAX:
            _, oldest = self._traces.popitem(last=False)
            self.spans -= len(oldest)
            self.dropped += len(oldest)


def decoded(body: bytes) -> Iterator[Span]:
    """Return the spans of an export; raise `UnreadableExport`."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        msg = "the body is no export of spans (OTLP protobuf)"
        raise UnreadableExport(msg) from error
    for of_resource in request.resource_spans:
        service = str(_attributes(of_resource.resource.attributes).get("service.name", "unknown"))
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _span(span, service)


def _span(raw: trace_pb2.Span, service: str) -> Span:
    failed = raw.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    attributes = _attributes(raw.attributes)
    return Span(
        trace_id=raw.trace_id.hex(),
        span_id=raw.span_id.hex(),
        parent_id=raw.parent_span_id.hex(),
        name=raw.name[:TEXT_CHARS_MAX],
        kind=trace_pb2.Span.SpanKind.Name(raw.kind).removeprefix("SPAN_KIND_").lower(),
        service=service,
        began_us=raw.start_time_unix_nano // MICROSECOND_NS,
        ended_us=raw.end_time_unix_nano // MICROSECOND_NS,
        error=(raw.status.message[:TEXT_CHARS_MAX] or "error") if failed else "",
        about=_about(attributes),
        attributes=attributes,
        links=[link.trace_id.hex() for link in raw.links[:LINKS_SHOWN_MAX]],
    )


def _about(attributes: Mapping[str, str | int | float | bool]) -> str:
    """Return what its attributes say of a span in a few words, e.g. `delivered, meta`."""
    told = [str(attributes[key]) for key in TELLING if key in attributes]
    if COUNTED in attributes:
        told.append(f"{attributes[COUNTED]} messages")
    return ", ".join(told)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> str | int | float | bool:
    kind = value.WhichOneof("value")
    given: Any = getattr(value, kind) if kind else ""
    return given if isinstance(given, int | float | bool) else str(given)[:TEXT_CHARS_MAX]


def _names(spans: Iterable[Span], wanted: str) -> bool:
    return any(
        str(span.attributes.get("regua.contact_id", "")).startswith(wanted) for span in spans
    )


def _is_look(span: Span) -> bool:
    """Say whether it is a GET that went well: nobody looks for it, and it would push out others."""
    return span.name.startswith("GET ") and span.kind == "server" and not span.error


def _is_aside(spans: list[Span]) -> bool:
    """Say whether it is a batch, or what brought a receipt, and went well."""
    first = spans[0]
    if len(spans) > 1 or first.error:
        return False
    return bool(first.links) or first.name.startswith(BROUGHT)


def _summary(trace_id: str, spans: list[Span]) -> Summary:
    first = min(spans, key=lambda span: (bool(span.parent_id), span.began_us))
    in_order = sorted(spans, key=lambda span: span.began_us)
    began = in_order[0].began_us
    return Summary(
        trace_id=trace_id,
        name=first.name,
        service=first.service,
        services=list(dict.fromkeys(span.service for span in in_order)),
        began_us=began,
        duration_us=max(span.ended_us for span in spans) - began,
        spans=len(spans),
        errors=sum(bool(span.error) for span in spans),
    )
