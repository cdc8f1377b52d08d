"""Traces of recording: the ledger's entry is where an event's trace ends.

In: the records of one batch. Out: a `process` span for each sampled one. Unsampled ones cost a look
at their header.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from shared.kafka.records import Record
from shared.telemetry.messaging import message_spans
from shared.telemetry.tracing import TRACEPARENT

GROUP = "contact_ledger"


@contextmanager
def recording(records: Sequence[Record]) -> Iterator[None]:
    """Run the write of one batch as the `process` spans of its records."""
    carried = [record.headers.get(TRACEPARENT) for record in records]
    given = [raw.decode("latin-1") if raw is not None else None for raw in carried]
    topics = [record.topic for record in records]
    with message_spans("process", topics, given, group=GROUP):
        yield
