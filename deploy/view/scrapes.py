"""Looks at `/metrics` of each service every few seconds.

In: names and addresses of the services. Out: drawings up to date, and who answered. A service that
is away leaves a gap and is asked again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.view.charts import CHARTS, Drawing, Sample
from shared.http.client import open_client

LOOK_SECONDS = 3.0
ANSWER_SECONDS_MAX = 2.0
ANSWER_BYTES_MAX = 2_000_000  # ours have some 60 kB

Get = Callable[[str], Awaitable[httpx.Response]]


class Scrapes:
    """The metrics in memory."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        """`targets` are base URLs by service."""
        self._targets = dict(targets)
        self._up = dict.fromkeys(targets, False)
        self._drawings = [Drawing(chart) for chart in CHARTS]

    async def run(self) -> None:
        """Look for ever."""
        async with open_client() as client:
            while True:
                await self.look(partial(client.get, timeout=ANSWER_SECONDS_MAX))
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self, get: Get) -> None:
        """Ask everybody once."""
        answers = await asyncio.gather(*(self._ask(get, name) for name in self._targets))
        samples = [sample for answer in answers for sample in answer]
        now = time.time()  # noqa: TID251 - the page's axis is the viewer's clock
        for drawing in self._drawings:
            drawing.add(samples, now)

    def as_json(self) -> dict[str, Any]:
        """Return what the page draws."""
        return {
            "services": [
                {"name": name, "url": url, "up": self._up[name]}
                for name, url in self._targets.items()
            ],
            "charts": [drawing.as_json() for drawing in self._drawings],
        }

    async def _ask(self, get: Get, name: str) -> list[Sample]:
        try:
            answer = await get(f"{self._targets[name]}/metrics")
            self._up[name] = answer.status_code == httpx.codes.OK
        except httpx.HTTPError:
            self._up[name] = False
            return []
        if not self._up[name] or len(answer.content) > ANSWER_BYTES_MAX:
            return []
        return [
            Sample(sample.name, sample.labels | {"service": name}, sample.value)
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        ]
