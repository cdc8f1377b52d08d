"""The spans of one process, kept in memory: what unit tests of traces look at.

In: the service's name. Out: an exporter while it is configured, and what it was told by then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.telemetry import tracing


@contextmanager
def exporting(service: str) -> Iterator[InMemorySpanExporter]:
    """Configure tracing as `service`, with an exporter that remembers; shut it down afterwards."""
    made = InMemorySpanExporter()
    tracing.configure(service, made)
    yield made
    tracing.shut_down()


def told(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """Return every span so far; nothing is exported afterwards."""
    tracing.shut_down()
    return list(exporter.get_finished_spans())
