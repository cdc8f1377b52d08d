"""Tasks and webhooks in traces: what became of a sampled contact, below the trace of its task.

In: tasks about to be claimed; stored webhooks that were matched with their attempts. Out: spans,
and the traces that their facts go on with. Unsampled ones cost a look at their text, unless a
receipt tells of a failure that is not the recipient's: that is told always.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from opentelemetry.trace import SpanKind

from shared.events.topics import TASKS_BY_CHANNEL
from shared.sender.attempts import Attempt, Work
from shared.sender.call_traces import traced
from shared.sender.errors import ERRORS, ErrorKind, Fault
from shared.telemetry import tracing
from shared.telemetry.messaging import message_spans
from shared.telemetry.tracing import Attribute

NANOSECONDS = 1_000_000_000


@contextmanager
def processing(works: Sequence[Work]) -> Iterator[None]:
    """Run one claim as the `process` spans of its tasks, which go on with them."""
    given = [work.traceparent for work in works]
    topic = TASKS_BY_CHANNEL[works[0].task.channel]
    (group,) = topic.consumers  # each sender has a task topic of its own
    with message_spans("process", topic.name, given, group=group) as going_on:
        if going_on is not given:
            for work, trace in zip(works, going_on, strict=True):
                work.traceparent = trace
        yield


def received(
    attempt: Attempt,
    what: str,
    received_at: datetime,
    webhook: str | None,
    *,
    word: str,
    error: ErrorKind | None = None,
) -> Attempt:
    """Note what came back for a contact; its facts go on below.

    The span lasts from the webhook's arrival (machine time) until now, and is linked to the
    request (or mail) that brought it, when that was sampled, too. `word` is a state or intent of
    ours, `error` what a negative receipt says.
    """
    fault = error is not None and ERRORS[error].fault is not Fault.RECIPIENT
    if not fault and not tracing.is_sampled(attempt.frame.traceparent):
        return attempt
    attributes: dict[str, Attribute] = {
        "regua.provider": attempt.provider,
        "regua.channel": attempt.frame.channel,
        "regua.contact_id": str(attempt.contact_id),
        f"regua.{what}": word,
    }
    if error is not None:
        attributes["regua.error"] = error.value
    parent = attempt.frame.traceparent
    if fault:
        parent = tracing.awakened(parent)
    active = tracing.begin(
        f"receive {what}",
        parent,
        links=[webhook] if tracing.is_sampled(webhook) else (),
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        began_ns=int(received_at.timestamp() * NANOSECONDS),
    )
    if fault and error is not None:
        active.fail(error.value)
    active.end()
    return traced(attempt, active.traceparent)
