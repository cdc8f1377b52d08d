"""A mail that comes in, in traces: one span from its last line to our answer.

In: how many are sampled. Out: a span whose trace goes on with what the mail is about; receipts and
replies link to it, as they do to a webhook's request. A mail that could not be taken in is told
although nobody sampled it. Strangers do not choose our traces: what a mail's headers say of one is
not looked at.
"""

import time
from collections.abc import Awaitable, Callable

from opentelemetry.trace import SpanKind

from shared.telemetry import tracing
from shared.telemetry.tracing import Attribute

NAME = "receive mail"
PASSING_FIRST, PASSING_LAST = 400, 499  # answers after which a mail comes again: a fault of ours
CODE_CHARS = 3


async def receiving(sample_ratio: float, take: Callable[[str | None], Awaitable[str]]) -> str:
    """Take one mail in by `take`, which is given the trace and answers in SMTP's words."""
    trace = tracing.new_traceparent(sample_ratio)
    attributes: dict[str, Attribute] = {"network.protocol.name": "smtp"}
    began_ns = time.time_ns()
    with tracing.span(NAME, trace, kind=SpanKind.SERVER, attributes=attributes) as active:
        answer = await take(active.traceparent)
        code = answer[:CODE_CHARS]
        active.set("regua.smtp.status_code", int(code))
        if PASSING_FIRST <= int(code) <= PASSING_LAST:
            active.fail(code)
            if not active.recording:
                told = attributes | {"regua.smtp.status_code": int(code)}
                tracing.failed(
                    NAME, trace, code, kind=SpanKind.SERVER, attributes=told, began_ns=began_ns
                )
    return answer
