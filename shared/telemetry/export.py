"""Where spans go: the process's one tracer, and how many errors beyond the sample it may tell of.

In: an exporter (OTLP over HTTP), or None. Out: `current()`: a tracer while there is a collector.
Queue, batches and error spans are bounded: tracing never slows the work, and a broken provider
never floods a collector.
"""

import time

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Tracer

LINKS_MAX = 128  # a batch span names at most so many of its messages (132 microseconds for 128)
EXPORT_QUEUE_SPANS_MAX = 2_048  # beyond it spans are dropped
EXPORT_BATCH_SPANS_MAX = 512
EXPORT_PAUSE_MS = 1_000
EXPORT_TIMEOUT_MS = 5_000
ERRORS_PER_SECOND_MAX = 20  # of unsampled traces: the first ones of a second explain the rest


class _Ids(RandomIdGenerator):
    """Ids at random, but for a trace that was named before its first span began."""

    def __init__(self) -> None:
        super().__init__()
        self.named = 0

    def generate_trace_id(self) -> int:
        """Return the named id once, else a new one."""
        named, self.named = self.named, 0
        return named or super().generate_trace_id()


class _Export:
    """The tracer of this process, and the errors told of in the present second."""

    provider: TracerProvider | None = None
    tracer: Tracer | None = None
    ids = _Ids()
    second: int = 0
    errors: int = 0


def current() -> Tracer | None:
    """Return the tracer; None while no collector is configured."""
    return _Export.tracer


def name_trace(trace_id: int) -> None:
    """Let the root span that begins next, at once, belong to this trace."""
    _Export.ids.named = trace_id


def may_tell_of_error() -> bool:
    """Say whether one more error of an unsampled trace may be exported in this second."""
    second = int(time.monotonic())
    if second != _Export.second:
        _Export.second, _Export.errors = second, 0
    _Export.errors += 1
    return _Export.errors <= ERRORS_PER_SECOND_MAX


def configure(service: str, exporter: SpanExporter | None) -> None:
    """Send sampled spans to `exporter`; None leaves tracing to pass `traceparent` on only.

    The provider stays ours, never OpenTelemetry's global one: libraries that instrument themselves
    would record request bodies and exception messages.
    """
    _Export.second = _Export.errors = 0
    if exporter is None:
        _Export.provider = _Export.tracer = None
        return
    provider = TracerProvider(
        id_generator=_Export.ids,
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
