"""A collector that listens: sampled spans arrive over OTLP/HTTP, and nothing personal with them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.settings import ServiceSettings
from shared.telemetry import setup, tracing

PHONE = "+5511987654321"


class Collector(HTTPServer):
    """Keeps what was posted to /v1/traces."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[tuple[str, bytes]] = []


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_sampled_spans_reach_the_collector_and_hold_nothing_personal(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "unused:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://unused/regua")
    setup.start_tracing(ServiceSettings(otlp_endpoint=f"http://127.0.0.1:{collector.server_port}/"))
    parent = tracing.new_traceparent(1.0)

    def fail() -> None:
        with tracing.span("plan", parent, links=[parent]) as active:
            active.set("regua.note", f"told {PHONE}")
            msg = f"no debtor at {PHONE}"
            raise LookupError(msg)

    with pytest.raises(LookupError):
        fail()
    setup.stop()
    ((path, body),) = collector.received
    assert path == "/v1/traces"
    assert PHONE.encode() not in body
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    (span,) = resource.scope_spans[0].spans
    assert span.name == "plan"
    assert span.links[0].trace_id.hex() == parent[3:35]
