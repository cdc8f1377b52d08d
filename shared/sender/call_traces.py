"""Provider calls in traces: a span per sampled call, and one for every call that failed.

In: a claimed attempt and the function that calls, which never raises. Out: what it returned; the
attempt's frame goes on with the call's trace, so that facts hang below it. Sampled calls go through
a second client on the same connections, whose requests carry `traceparent` and tell method, host
and status; the others pay one look at a text. URLs are left out: they hold account ids. A provider
that speaks another protocol says itself whom it called (`reached`).
"""

import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import SimpleNamespace

import aiohttp
import msgspec
from opentelemetry.trace import SpanKind

from shared.sender.attempts import Attempt
from shared.sender.errors import ErrorKind, Fault
from shared.sender.provider import Refused, SendResult, Unknown
from shared.telemetry import tracing
from shared.telemetry.tracing import TRACEPARENT, ActiveSpan, Attribute

HTTP_ERRORS = 400  # and above: for a caller, every one of them is an error

_calling: ContextVar[ActiveSpan | None] = ContextVar("calling", default=None)

Send = Callable[[aiohttp.ClientSession], Awaitable[SendResult]]


class CallTraces:
    """Traces the calls of one process."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        """Keep the client of calls that nobody traces."""
        self._client = client
        self._traced: aiohttp.ClientSession | None = None

    async def around(self, attempt: Attempt, send: Send) -> tuple[SendResult, Attempt]:
        """Make a call; return its result and the attempt as its facts go on with it."""
        parent = attempt.frame.traceparent
        if tracing.is_sampled(parent):
            return await self._sampled(attempt, send)
        began_ns = time.time_ns()
        result = await send(self._client)
        why = failure_of(result)
        if why is None:
            return result, attempt
        return result, traced(attempt, _told(attempt, why, began_ns))

    async def _sampled(self, attempt: Attempt, send: Send) -> tuple[SendResult, Attempt]:
        with tracing.span(
            _name(attempt),
            attempt.frame.traceparent,
            kind=SpanKind.CLIENT,
            attributes=_attributes(attempt),
        ) as active:
            token = _calling.set(active)
            try:
                result = await send(self._traced or self._open())
            finally:
                _calling.reset(token)
            why = failure_of(result)
            if why is not None:
                active.fail(why)
        return result, traced(attempt, active.traceparent)

    def _open(self) -> aiohttp.ClientSession:
        """Open the traced client; it ends with the connections that it shares."""
        hooks = aiohttp.TraceConfig()
        hooks.on_request_start.append(_on_start)
        hooks.on_request_end.append(_on_end)
        self._traced = aiohttp.ClientSession(
            connector=self._client.connector,
            connector_owner=False,
            timeout=self._client.timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            trust_env=False,
            trace_configs=[hooks],
        )
        return self._traced


def reached(host: str, port: int, protocol: str) -> None:
    """Tell the span of the running call, if there is one, whom a provider without HTTP calls."""
    active = _calling.get()
    if active is None:
        return
    active.set("network.protocol.name", protocol)
    active.set("server.address", host)
    active.set("server.port", port)


def abandoned(attempt: Attempt) -> Attempt:
    """Tell of a call whose process went away before its outcome was recorded."""
    return traced(attempt, _told(attempt, "unknown_no_outcome", time.time_ns()))


def traced(attempt: Attempt, traceparent: str | None) -> Attempt:
    """Return the attempt with the trace that its next facts carry."""
    if attempt.frame.traceparent == traceparent:
        return attempt
    frame = msgspec.structs.replace(attempt.frame, traceparent=traceparent)
    return msgspec.structs.replace(attempt, frame=frame)


def failure_of(result: SendResult) -> str | None:
    """Return what went wrong with a call, in words of ours; a recipient's "no" is no error."""
    if isinstance(result, Unknown):
        return f"unknown_{result.why}"
    if not isinstance(result, Refused) or result.error.kind is ErrorKind.NOT_STARTED:
        return None
    return None if result.error.row.fault is Fault.RECIPIENT else result.error.kind.value


def _told(attempt: Attempt, error: str, began_ns: int) -> str | None:
    return tracing.failed(
        _name(attempt),
        attempt.frame.traceparent,
        error,
        kind=SpanKind.CLIENT,
        attributes=_attributes(attempt),
        began_ns=began_ns,
    )


def _name(attempt: Attempt) -> str:
    return f"send {attempt.provider}"


def _attributes(attempt: Attempt) -> dict[str, Attribute]:
    return {
        "regua.provider": attempt.provider,
        "regua.channel": attempt.frame.channel,
        "regua.contact_id": str(attempt.contact_id),
        "regua.attempt": attempt.n,
    }


async def _on_start(
    _: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestStartParams
) -> None:
    active = _calling.get()
    if active is None or active.traceparent is None:
        return
    request.headers[TRACEPARENT] = active.traceparent
    active.rename(request.method)
    active.set("http.request.method", request.method)
    active.set("server.address", request.url.host or "")
    active.set("server.port", request.url.port or 0)


async def _on_end(
    _: aiohttp.ClientSession, __: SimpleNamespace, answered: aiohttp.TraceRequestEndParams
) -> None:
    active = _calling.get()
    if active is None:
        return
    active.set("http.response.status_code", answered.response.status)
    if answered.response.status >= HTTP_ERRORS:
        active.fail(str(answered.response.status))
