"""Tasks and webhooks in traces: what became of a sampled contact, below the trace of its task.

In: tasks about to be claimed; stored webhooks that were matched with their attempts. Out: spans,
and the traces that their facts go on with. Unsampled ones cost a look at their text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from opentelemetry.trace import SpanKind

from shared.events.topics import TASKS_BY_CHANNEL
from shared.sender.attempts import Attempt, Work
from shared.sender.call_traces import traced
from shared.telemetry import tracing
from shared.telemetry.messaging import message_spans
from shared.telemetry.tracing import Attribute

NANOSECONDS = 1_000_000_000


@contextmanager
def processing(works: Sequence[Work]) -> Iterator[None]:
    """Run one claim as the `process` spans of its tasks, which go on with them."""
    given = [work.traceparent for work in works]
    topic = TASKS_BY_CHANNEL[works[0].task.channel].name
    with message_spans("process", topic, given) as going_on:
        if going_on is not given:
            for work, trace in zip(works, going_on, strict=True):
                work.traceparent = trace
        yield


def received(
    attempt: Attempt, what: str, received_at: datetime, webhook: str | None, *, word: str
) -> Attempt:
    """Note what came back for a sampled contact; its facts go on below.

    The span lasts from the webhook's arrival (machine time) until now, and is linked to the
    request that brought it, when that was sampled, too. `word` is a state or intent of ours.
    """
    if not tracing.is_sampled(attempt.frame.traceparent):
        return attempt
    attributes: dict[str, Attribute] = {
        "regua.provider": attempt.provider,
        "regua.channel": attempt.frame.channel,
        "regua.contact_id": str(attempt.contact_id),
        f"regua.{what}": word,
    }
    active = tracing.begin(
        f"receive {what}",
        attempt.frame.traceparent,
        links=[webhook] if tracing.is_sampled(webhook) else (),
        kind=SpanKind.CONSUMER,
        attributes=attributes,
        began_ns=int(received_at.timestamp() * NANOSECONDS),
    )
    active.end()
    return traced(attempt, active.traceparent)
