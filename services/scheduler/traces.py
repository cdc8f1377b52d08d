"""Traces of planning: each sampled event's own span, and new traces for what only time has brought.

In: the events of one fold, or debtors whose instant has come. Out: the same events with the traces
to go on with. Unsampled ones cost a look at their text.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import msgspec
from opentelemetry.trace import SpanKind

from services.scheduler.planning import Incoming
from shared.events.debt import DEBT_EVENT_TYPES
from shared.events.topics import CONTACT_EVENTS, DEBT_EVENTS
from shared.telemetry import tracing
from shared.telemetry.messaging import message_spans


@contextmanager
def folding(incoming: Sequence[Incoming], group: str) -> Iterator[Sequence[Incoming]]:
    """Run one fold as the `process` spans of its events; yields the events with their traces."""
    given = [each.envelope.traceparent for each in incoming]
    topics = [
        DEBT_EVENTS.name if each.envelope.type in DEBT_EVENT_TYPES else CONTACT_EVENTS.name
        for each in incoming
    ]
    with message_spans("process", topics, given, group=group) as going_on:
        if going_on is given:
            yield incoming
            return
        yield [_with(each, trace) for each, trace in zip(incoming, going_on, strict=True)]


def woken(debtor_ids: Iterable[UUID], sample_ratio: float) -> dict[UUID, str | None]:
    """Begin the traces of what time alone has made due: a share of them, as at the door."""
    return {
        debtor_id: tracing.instant(
            "wake debtor",
            tracing.new_traceparent(1.0),
            SpanKind.INTERNAL,
            {"regua.debtor_id": str(debtor_id)},
        )
        for debtor_id in debtor_ids
        if random.random() < sample_ratio  # noqa: S311 - a sample, not a secret
    }


def _with(item: Incoming, trace: str | None) -> Incoming:
    if item.envelope.traceparent == trace:
        return item
    envelope = msgspec.structs.replace(item.envelope, traceparent=trace)
    return Incoming(envelope, item.event, item.debtor_id)
