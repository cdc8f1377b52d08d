"""Traces as tests ask about them: the spans of one, who hangs below whom, all that was said.

In: a collector, a running stack. Out: spans, once everything said so far has come.
"""

from collections.abc import Iterable
from uuid import uuid4

import httpx

from deploy.view.traces import Span
from tests.support.collector import Collector
from tests.support.journey import Site, until

EXPORTED_SECONDS_MAX = 20.0


def of_a_client(*, sampled: bool) -> str:
    """A traceparent as a client that traces sends it."""
    return f"00-{uuid4().hex}-{uuid4().hex[:16]}-{'01' if sampled else '00'}"


def all_said(site: Site, collector: Collector, services: Iterable[str]) -> list[Span]:
    """Return every span, after a last one of each service has come: a queue keeps its order."""
    mark = of_a_client(sampled=True)
    asked = set(services)
    for service in asked:
        headers = {"X-API-Key": site.stack.admin_key, "traceparent": mark}
        httpx.get(f"{site.stack.url(service)}/v1/progress", headers=headers, timeout=30)

    def heard() -> bool:
        return {span.service for span in of_trace(collector.spans(), mark)} >= asked

    until(heard, "the last span of each service", EXPORTED_SECONDS_MAX)
    return collector.spans()


def of_trace(spans: Iterable[Span], traceparent: str) -> list[Span]:
    """The spans of one trace, in the order in which they began."""
    found = {span.span_id: span for span in spans if span.trace_id == traceparent[3:35]}
    return sorted(found.values(), key=lambda span: (span.began_us, span.ended_us))


def chain(spans: Iterable[Span], last: Span) -> list[str]:
    """Names from the root down to `last`, with services."""
    known = {span.span_id: span for span in spans}
    names = []
    span: Span | None = last
    while span is not None:
        names.append(f"{span.service}: {span.name}")
        span = known.get(span.parent_id)
    return names[::-1]
