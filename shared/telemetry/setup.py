"""Turns on logs, metrics and traces for one process, once, at its start.

In: the service's settings. Out: JSON logs on stdout, `/metrics` filled from `metrics.REGISTRY`
(served by `shared.http`), and sampled spans sent to `OTLP_ENDPOINT` when one is set.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from shared.settings import ServiceSettings
from shared.telemetry import logs, tracing

OTLP_TRACES_PATH = "/v1/traces"  # fixed by the OTLP/HTTP specification
OTLP_TIMEOUT_SECONDS = 5.0


def start(settings: ServiceSettings) -> None:
    """Configure logs and tracing of this process."""
    logs.configure(settings.service_name, settings.log_level)
    start_tracing(settings)


def start_tracing(settings: ServiceSettings) -> None:
    """Send sampled spans to the collector, if there is one."""
    exporter = None
    if settings.otlp_endpoint:
        exporter = OTLPSpanExporter(
            endpoint=settings.otlp_endpoint.rstrip("/") + OTLP_TRACES_PATH,
            timeout=OTLP_TIMEOUT_SECONDS,
        )
    tracing.configure(settings.service_name, exporter)


def stop() -> None:
    """Send the spans that are left; blocks for a few seconds at most, so call it off the loop."""
    tracing.shut_down()
