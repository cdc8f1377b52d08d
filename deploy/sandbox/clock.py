"""The two clocks of the sandbox: the machine's own, and law time as the platform tells it.

In: the scheduler's `GET /v1/clock` (when a URL is given). Out: readings of law time for stamps, and
a call on every reading so that what is due happens. Law time may jump by hours between two
readings, so a stamp is never guessed: `stamp(work)` runs `work` with the first reading that began
after the call. Without a URL law time is machine time and stamps are immediate.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp
import msgspec

POLL_IDLE_SECONDS = 0.1  # how soon a jump of law time is noticed when nothing waits for a stamp
POLL_BUSY_SECONDS = 0.01  # stamps wait at most this long; 100 small reads a second at the scheduler
READ_SECONDS_MAX = 2.0
RETRY_SECONDS = 0.1

Stamped = Callable[[datetime], None]


def machine_now() -> datetime:
    """Return machine time."""
    return datetime.now(UTC)  # noqa: TID251 - a provider has its own clock


class ClockError(Exception):
    """The platform's clock gave no usable answer."""


class _Reading(msgspec.Struct):
    law_now: datetime


class LawClock:
    """Law time followed from the platform, or machine time."""

    def __init__(self, url: str | None, key: str | None, on_reading: Stamped) -> None:
        """Follow `url` with API key `key`; `on_reading` is called after stamps, every reading."""
        self._url = url
        self._headers = {"X-API-Key": key} if key else {}
        self._on_reading = on_reading
        self._waiting: list[Stamped] = []
        self._wake = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._last: datetime | None = None
        self._reading = asyncio.Lock()

    @property
    def now(self) -> datetime:
        """Law time of the last reading; machine time when nothing is followed or read yet."""
        return machine_now() if self._url is None else self._last or machine_now()

    @property
    def unstamped(self) -> int:
        """How many stamps still wait for a reading."""
        return len(self._waiting)

    def stamp(self, work: Stamped) -> None:
        """Run `work` with law time as it is now (soon, when it has to be read)."""
        if self._url is None:
            work(machine_now())
            return
        self._waiting.append(work)
        if not self._wake.is_set():
            self._wake.set()

    async def refresh(self) -> datetime:
        """Read the clock now, settle every waiting stamp; raises `ClockError`."""
        async with self._reading:
            batch, self._waiting = self._waiting, []
            try:
                law = await self._read()
            except ClockError:
                self._waiting = batch + self._waiting
                raise
            self._last = law
            for work in batch:
                work(law)
            self._on_reading(law)
            return law

    async def run(self) -> None:
        """Follow the clock until cancelled."""
        while True:
            try:
                await self.refresh()
            except ClockError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if self._url is not None and self._waiting:
                await asyncio.sleep(POLL_BUSY_SECONDS)
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout(POLL_IDLE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(POLL_BUSY_SECONDS)

    async def close(self) -> None:
        """Close the connection to the platform."""
        if self._session is not None:
            await self._session.close()

    async def _read(self) -> datetime:
        if self._url is None:
            return machine_now()
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=READ_SECONDS_MAX)
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        try:
            async with self._session.get(self._url) as answer:
                body = await answer.read()
                if answer.status != 200:  # noqa: PLR2004 - HTTP OK
                    msg = f"clock answered {answer.status}"
                    raise ClockError(msg)
            law = msgspec.json.decode(body, type=_Reading).law_now
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            msg = f"clock unreadable: {type(error).__name__}"
            raise ClockError(msg) from error
        if law.tzinfo is None:
            msg = "clock told a naive time"
            raise ClockError(msg)
        return law
