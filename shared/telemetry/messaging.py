"""Spans of messages and of their batches, by OpenTelemetry's messaging conventions.

In: the traceparents of a batch, in its order. Out: the traceparents to go on with. Each sampled
message has a span of its own in its own trace (`create`, `send`, `process`), so that one trace
tells one event's whole way; a batch of several has a span besides, linked to them and they to it.
What brought a batch (a request with many events) has the batch's span below it.
An unsampled batch costs one look at each text and nothing else.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from opentelemetry.trace import SpanKind

from shared.telemetry import export, tracing
from shared.telemetry.tracing import ActiveSpan, Attribute, is_sampled

MESSAGES_TRACED_MAX = 128  # of one batch: beyond it traces are passed on without a span here

_KINDS = {
    "create": SpanKind.PRODUCER,
    "send": SpanKind.CLIENT,  # the context was made before, with the outbox row
    "receive": SpanKind.CLIENT,
    "process": SpanKind.CONSUMER,
}

_COUNT = "messaging.batch.message_count"

Traceparents = Sequence[str | None]


def created(
    topic: str, traceparent: str | None, event_type: str, contact_id: UUID | None
) -> str | None:
    """Note that a message for `topic` was made; return the traceparent that it carries."""
    if not is_sampled(traceparent) or export.current() is None:
        return traceparent
    told = _attributes("create", topic) | {"regua.event_type": event_type}
    if contact_id is not None:
        told["regua.contact_id"] = str(contact_id)
    return tracing.instant(f"create {topic}", traceparent, _KINDS["create"], told)


@contextmanager
def message_spans(
    operation: str,
    topics: str | Sequence[str],
    traceparents: Traceparents,
    *,
    group: str = "",
    cause: str | None = None,
) -> Iterator[Traceparents]:
    """Run a block for a batch of messages; yields what to go on with, in the batch's order.

    `topics` is one for all, or one for each; `cause` is the trace of what brought them. A failure
    is told for every sampled message, or for the batch's first when none is sampled.
    """
    sampled = [index for index, each in enumerate(traceparents) if is_sampled(each)]
    if not sampled or export.current() is None:
        with _told_when_failed(operation, topics, traceparents):
            yield traceparents
        return
    spans = _Batch(operation, topics, traceparents, sampled[:MESSAGES_TRACED_MAX], group, cause)
    try:
        yield spans.traceparents
    except Exception as error:
        spans.fail(error)
        raise
    finally:
        spans.end()


class _Batch:
    """The spans of one batch."""

    def __init__(
        self,
        operation: str,
        topics: str | Sequence[str],
        given: Traceparents,
        sampled: Sequence[int],
        group: str,
        cause: str | None,
    ) -> None:
        kind = _KINDS[operation]
        self._spans: list[ActiveSpan] = []
        links: list[str | None] = []
        if len(given) > 1:
            topic = _common(topics)
            told = _attributes(operation, topic, group) | {_COUNT: len(given)}
            name = f"{operation} {topic}".rstrip()
            named = [given[index] for index in sampled]
            whole = tracing.start_apart(name, cause, named, kind, told)
            self._spans.append(whole)
            links.append(whole.traceparent)
        elif _is_elsewhere(cause, given[0]):
            links.append(cause)
        self.traceparents = list(given)
        for index in sampled:
            topic = topics if isinstance(topics, str) else topics[index]
            one = tracing.begin(
                f"{operation} {topic}",
                given[index],
                links=links,
                kind=kind,
                attributes=_attributes(operation, topic, group),
            )
            self.traceparents[index] = one.traceparent
            self._spans.append(one)

    def fail(self, error: Exception) -> None:
        for each in self._spans:
            each.fail(error)

    def end(self) -> None:
        for each in self._spans:
            each.end()


@contextmanager
def _told_when_failed(
    operation: str, topics: str | Sequence[str], traceparents: Traceparents
) -> Iterator[None]:
    began_ns = time.time_ns()
    try:
        yield
    except Exception as error:
        topic = _common(topics)
        tracing.failed(
            f"{operation} {topic}".rstrip(),
            next((each for each in traceparents if each is not None), None),
            error,
            kind=_KINDS[operation],
            attributes=_attributes(operation, topic) | {_COUNT: len(traceparents)},
            began_ns=began_ns,
        )
        raise


def _is_elsewhere(cause: str | None, given: str | None) -> bool:
    """Say whether what brought a message is told in another trace than the message's own."""
    return given is not None and is_sampled(cause) and (cause or "")[3:35] != given[3:35]


def _common(topics: str | Sequence[str]) -> str:
    """Return the one topic of a batch; nothing when it has several."""
    if isinstance(topics, str):
        return topics
    return topics[0] if len(set(topics)) == 1 else ""


def _attributes(operation: str, topic: str, group: str = "") -> dict[str, Attribute]:
    told: dict[str, Attribute] = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    if topic:
        told["messaging.destination.name"] = topic
    if group:
        told["messaging.consumer.group.name"] = group
    return told
