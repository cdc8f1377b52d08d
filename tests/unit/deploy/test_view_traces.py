"""The page's traces: as they were sent, found by id, bounded, the oldest gone first."""

from collections.abc import Mapping

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.view import traces
from deploy.view.traces import Traces, UnreadableExport

TRACE = bytes(range(16))
CONTACT = "0192f0c1-0000-7000-8000-000000000001"


def export(
    trace_id: bytes = TRACE,
    *,
    number: int = 1,
    parent: int = 0,
    failed: bool = False,
    links: int = 0,
    told: Mapping[str, str | int] | None = None,
    began_us: int = 1_000,
    name: str = "",
    kind: int = 5,
    service: str = "scheduler",
) -> bytes:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    named = of_resource.resource.attributes.add(key="service.name")
    named.value.string_value = service
    span = of_resource.scope_spans.add().spans.add(
        trace_id=trace_id,
        span_id=number.to_bytes(8, "big"),
        parent_span_id=parent.to_bytes(8, "big") if parent else b"",
        name=name or f"span {number}",
        kind=kind,
        start_time_unix_nano=began_us * 1_000,
        end_time_unix_nano=(began_us + 500) * 1_000,
    )
    span.attributes.add(key="regua.contact_id").value.string_value = CONTACT
    span.attributes.add(key="regua.attempt").value.int_value = 1
    for key, value in (told or {}).items():
        kept = span.attributes.add(key=key).value
        if isinstance(value, int):
            kept.int_value = value
        else:
            kept.string_value = value
    if failed:
        span.status.code = 2
        span.status.message = "unknown_timeout"
    for _ in range(links):
        span.links.add(trace_id=bytes(16), span_id=bytes(8))
    return bytes(request.SerializeToString())


def test_a_trace_is_told_as_it_was_sent() -> None:
    kept = Traces()
    kept.take(export(number=2, parent=1, failed=True, began_us=1_200))
    kept.take(export(number=1))
    [summary] = kept.newest()
    assert (summary.name, summary.service, summary.spans, summary.errors) == (
        "span 1", "scheduler", 2, 1,
    )  # fmt: skip
    assert summary.duration_us == 700
    first, second = kept.spans_of(TRACE.hex())
    assert (first.parent_id, second.parent_id) == ("", first.span_id)
    assert second.error == "unknown_timeout"
    assert second.kind == "consumer"
    assert second.attributes == {"regua.contact_id": CONTACT, "regua.attempt": 1}


def test_traces_are_found_by_their_id_by_a_contacts_and_by_error() -> None:
    kept = Traces()
    kept.take(export())
    kept.take(export(b"\xff" * 16, failed=True))
    assert [each.trace_id for each in kept.newest("ffff")] == ["ff" * 16]
    assert len(kept.newest(CONTACT)) == 2
    assert not kept.newest("0000ff")
    assert [each.trace_id for each in kept.newest(errors=True)] == ["ff" * 16]


@pytest.mark.parametrize(
    ("aside", "trace_id"),
    [
        (export(links=3), TRACE),
        (export(name="POST /webhooks/{provider}/{tenant_id}/{account_id}", kind=2), TRACE),
        (export(name="receive mail", kind=2), TRACE),
    ],
)
def test_batches_and_webhooks_are_left_out_unless_asked_for(aside: bytes, trace_id: bytes) -> None:
    kept = Traces()
    kept.take(aside)
    assert not kept.newest()
    assert len(kept.newest(asides=True)) == len(kept.newest(trace_id.hex())) == 1


def test_a_webhook_that_failed_or_moved_something_is_listed() -> None:
    kept = Traces()
    kept.take(export(b"\x01" * 16, name="receive mail", kind=2, failed=True))
    kept.take(export(b"\x02" * 16, name="receive mail", kind=2))
    kept.take(export(b"\x02" * 16, number=2, parent=1, name="send contact.holds.v1"))
    assert len(kept.newest()) == 2


def test_a_span_says_in_a_few_words_what_it_is_about() -> None:
    kept = Traces()
    kept.take(export(told={"regua.receipt": "delivered", "regua.provider": "meta"}))
    kept.take(export(number=2, told={"messaging.batch.message_count": 3}, began_us=2_000))
    kept.take(export(number=3, began_us=3_000))
    about = [span.about for span in kept.spans_of(TRACE.hex())]
    assert about == ["delivered, meta", "3 messages", ""]


def test_the_oldest_trace_goes_first_and_no_trace_grows_without_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traces, "TRACES_MAX", 3)
    monkeypatch.setattr(traces, "SPANS_OF_A_TRACE_MAX", 2)
    kept = Traces()
    for number in range(5):
        for span in range(3):
            kept.take(export(bytes([number + 1]) * 16, number=span + 1))
    assert [each.trace_id[:2] for each in kept.newest()] == ["05", "04", "03"]
    assert kept.spans == 6
    assert kept.dropped == 9


def test_a_look_that_went_well_pushes_nothing_out_and_is_shown_when_more_follows() -> None:
    kept = Traces()
    kept.take(export(b"\x01" * 16, name="GET /v1/clock", kind=2))
    assert not kept.newest()
    assert kept.spans == 0
    kept.take(export(b"\x01" * 16, number=2, parent=1, began_us=1_100))
    [summary] = kept.newest()
    assert (summary.name, summary.spans) == ("GET /v1/clock", 2)
    kept.take(export(b"\x02" * 16, name="GET /v1/kpis", kind=2, failed=True))
    assert len(kept.newest()) == 2


def test_services_are_listed_in_the_order_in_which_the_trace_came_to_them() -> None:
    kept = Traces()
    for number, service in enumerate(("contact_ledger", "scheduler", "sms_sender", "scheduler")):
        began_us = 2_000 - 1_000 * (service == "scheduler") + number
        kept.take(export(number=number + 1, service=service, began_us=began_us))
    assert kept.newest()[0].services == ["scheduler", "contact_ledger", "sms_sender"]


def test_what_is_no_export_is_refused() -> None:
    with pytest.raises(UnreadableExport, match="OTLP"):
        Traces().take(b"\xff\xff\xff\xffnot protobuf")
