"""Provider calls in traces: sampled ones carry the trace, failures are told, others are free."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from shared.sender.attempts import Attempt, Frame
from shared.sender.call_traces import CallTraces, abandoned, reached
from shared.sender.calls import new_client
from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import Accepted, Refused, SendResult, Unknown
from shared.sender.task_traces import received
from shared.telemetry import tracing
from tests.support.exported import exporting, told

CONTACT = UUID("0192f0c1-0000-7000-8000-000000000001")
SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + "0"
ACCEPTED = Accepted(provider_ref="SM1")


def attempt(traceparent: str | None) -> Attempt:
    return Attempt(
        attempt_id=CONTACT,
        contact_id=CONTACT,
        n=1,
        ends_on=date(2027, 3, 1),
        debtor_id=CONTACT,
        tenant_id="t",
        account_id="a",
        provider="twilio",
        frame=Frame(
            portfolio_id="p",
            channel="sms",
            step_key="s",
            stage=1,
            template="t@1",
            items=(),
            traceparent=traceparent,
        ),
        not_after=datetime(2027, 3, 1, 20, tzinfo=UTC),
    )


class Provider:
    """An HTTP server that remembers what trace a call carried."""

    def __init__(self) -> None:
        self.carried: list[str | None] = []
        self.status = 201
        app = web.Application()
        app.router.add_post("/{account}/messages", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.carried.append(request.headers.get("traceparent"))
        return web.Response(status=self.status)

    async def send(self, client: aiohttp.ClientSession, result: SendResult) -> SendResult:
        async with client.post(self.server.make_url("/AC-secret/messages")):
            return result


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest.fixture
async def traces() -> AsyncIterator[CallTraces]:
    client = new_client(4, 1.0, 1.0)
    yield CallTraces(client)
    await client.close()


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with exporting("sms_sender") as made:
        yield made


async def test_a_sampled_call_carries_its_own_span_and_tells_what_was_answered(
    provider: Provider, traces: CallTraces, exporter: InMemorySpanExporter
) -> None:
    result, after = await traces.around(
        attempt(SAMPLED), lambda client: provider.send(client, ACCEPTED)
    )
    assert result is ACCEPTED
    [span] = told(exporter)
    carried = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert provider.carried == [carried]
    assert after.frame.traceparent == carried
    assert (span.name, span.kind) == ("POST", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "regua.provider": "twilio",
        "regua.channel": "sms",
        "regua.contact_id": str(CONTACT),
        "regua.attempt": 1,
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": provider.server.port,
        "http.response.status_code": 201,
    }
    assert "AC-secret" not in str(span.to_json())


async def test_an_unsampled_call_that_went_well_leaves_nothing(
    provider: Provider, traces: CallTraces, exporter: InMemorySpanExporter
) -> None:
    before = attempt(UNSAMPLED)
    _, after = await traces.around(before, lambda client: provider.send(client, ACCEPTED))
    assert after is before
    assert provider.carried == [None]
    assert told(exporter) == []


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (Unknown(why="timeout"), "unknown_timeout"),
        (Refused(error=SendError(kind=ErrorKind.PROVIDER_BUSY, code="500")), "provider_busy"),
    ],
)
@pytest.mark.parametrize("traceparent", [SAMPLED, UNSAMPLED])
async def test_a_failure_is_told_sampled_or_not_and_what_follows_is_sampled(
    provider: Provider,
    traces: CallTraces,
    exporter: InMemorySpanExporter,
    result: SendResult,
    error: str,
    traceparent: str,
) -> None:
    _, after = await traces.around(
        attempt(traceparent), lambda client: provider.send(client, result)
    )
    [span] = told(exporter)
    assert span.status.description == error
    assert tracing.is_sampled(after.frame.traceparent)
    assert (after.frame.traceparent or "")[36:52] == f"{span.context.span_id:016x}"


async def test_a_provider_of_another_protocol_says_whom_it_called(
    traces: CallTraces, exporter: InMemorySpanExporter
) -> None:
    async def send(_: aiohttp.ClientSession) -> SendResult:
        reached("mail.example", 587, "smtp")
        return ACCEPTED

    for traceparent in (SAMPLED, UNSAMPLED):
        await traces.around(attempt(traceparent), send)
    [span] = told(exporter)
    assert span.name == "send twilio"
    spoken = {
        "network.protocol.name": "smtp",
        "server.address": "mail.example",
        "server.port": 587,
    }
    assert spoken.items() <= dict(span.attributes or {}).items()


@pytest.mark.parametrize("traceparent", [SAMPLED, UNSAMPLED])
async def test_a_call_that_nobody_finished_is_told(
    exporter: InMemorySpanExporter, traceparent: str
) -> None:
    after = abandoned(attempt(traceparent))
    [span] = told(exporter)
    assert span.status.description == "unknown_no_outcome"
    assert (after.frame.traceparent or "")[36:52] == f"{span.context.span_id:016x}"
    assert tracing.is_sampled(after.frame.traceparent)


@pytest.mark.parametrize(
    ("error", "is_fault"),
    [
        (None, False),
        (ErrorKind.RECIPIENT_UNREACHABLE, False),
        (ErrorKind.NO_FUNDS, True),
        (ErrorKind.REJECTED, True),
    ],
)
async def test_a_receipt_that_blames_us_or_the_provider_is_told_always(
    exporter: InMemorySpanExporter, error: ErrorKind | None, *, is_fault: bool
) -> None:
    came = datetime(2027, 3, 1, 12, tzinfo=UTC)
    before = attempt(UNSAMPLED)
    after = received(before, "receipt", came, None, word="undelivered", error=error)
    spans = told(exporter)
    assert [span.status.description for span in spans] == ([error] if is_fault else [])
    assert tracing.is_sampled(after.frame.traceparent) == is_fault
    assert (after is before) != is_fault


@pytest.mark.parametrize("kind", [ErrorKind.RECIPIENT_INVALID, ErrorKind.NOT_STARTED])
async def test_what_is_nobodys_fault_is_no_error(
    provider: Provider, traces: CallTraces, exporter: InMemorySpanExporter, kind: ErrorKind
) -> None:
    result = Refused(error=SendError(kind=kind))
    await traces.around(attempt(UNSAMPLED), lambda client: provider.send(client, result))
    assert told(exporter) == []
