"""A mail in traces: its answer, sampled or not; a trace of its own whatever its headers say."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from services.email_sender.mail_traces import receiving
from shared.telemetry import tracing
from tests.support.exported import exporting, told


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    with exporting("email_sender") as made:
        yield made


@pytest.mark.parametrize(
    ("ratio", "answer", "error"),
    [
        (1.0, "250 2.0.0 taken", None),
        (1.0, "550 5.7.1 reply to the message itself", None),
        (1.0, "451 4.3.0 not stored, send it again", "451"),
        (0.0, "451 4.3.0 not stored, send it again", "451"),
    ],
)
async def test_a_mail_is_told_with_its_answer(
    exporter: InMemorySpanExporter, ratio: float, answer: str, error: str | None
) -> None:
    given: list[str | None] = []

    async def take(trace: str | None) -> str:
        given.append(trace)
        return answer

    assert await receiving(ratio, take) == answer
    [span] = told(exporter)
    assert (span.name, span.kind) == ("receive mail", SpanKind.SERVER)
    assert span.status.description == error
    assert dict(span.attributes or {})["regua.smtp.status_code"] == int(answer[:3])
    assert f"{span.context.trace_id:032x}" == (given[0] or "")[3:35]
    assert tracing.is_sampled(given[0]) == bool(ratio)


async def test_an_unsampled_mail_that_was_taken_leaves_nothing(
    exporter: InMemorySpanExporter,
) -> None:
    async def take(_: str | None) -> str:
        return "250 2.0.0 taken"

    await receiving(0.0, take)
    assert told(exporter) == []


async def test_a_fault_of_ours_is_told_and_goes_on(exporter: InMemorySpanExporter) -> None:
    async def take(_: str | None) -> str:
        raise LookupError("maria@example.com")

    with pytest.raises(LookupError):
        await receiving(0.0, take)
    [span] = told(exporter)
    assert span.status.description == "LookupError"
    assert "maria" not in span.to_json()
