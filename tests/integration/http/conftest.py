"""The site that HTTP tests call."""

from collections.abc import AsyncIterator

import pytest

from shared.settings import ServiceSettings
from tests.support.site import BODY_BYTES_MAX, Site, serve


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A served application and a client for it."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "unused:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://unused/regua")
    settings = ServiceSettings(http_body_bytes_max=BODY_BYTES_MAX, trace_sample_ratio=0.0)
    async with serve(settings) as served:
        yield served
