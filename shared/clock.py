"""The two clocks, as the database tells them; nothing else in a service asks for the time.

In: readings of `platform.law_now()` and `platform.machine_now()`, from a refresh loop and from any
statement that returned them. Out: `law_now` (windows, caps, due dates) and `machine_now`
(deadlines, rate limits). In production both run on between readings; in sandbox mode law time is
frozen between steps, so it stays what was read last.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.telemetry import logs, metrics

REFRESH_SECONDS = 1.0  # quartz drifts microseconds per second: a second is ample
REFRESH_SECONDS_SANDBOX = 0.05  # a step of law time reaches every process within one refresh
READ_CLOCKS = "SELECT platform.law_now() AS law, platform.machine_now() AS machine"

_log = logs.get_logger(__name__)


class ClockUnset(RuntimeError):
    """The time was asked for before the database was ever read."""


class ReadsRow(Protocol):
    """The one method of a database connection that the clock needs."""

    async def fetchrow(self, query: str, /) -> Mapping[str, Any] | None:
        """Return the first row of `query`."""


class LendsConnections(Protocol):
    """The one method of a connection pool that the clock needs."""

    def acquire(self) -> AbstractAsyncContextManager[ReadsRow]:
        """Lend a connection."""


class Clock:
    """Law time and machine time in memory; both aware UTC, neither runs backwards by `observe`."""

    def __init__(self, *, sandbox: bool = False) -> None:
        self._sandbox = sandbox
        self._law: datetime | None = None
        self._machine: datetime | None = None
        self._read_at = 0.0  # time.monotonic() of the reading

    def law_now(self) -> datetime:
        """Return law time: what windows, caps, due dates and promises are judged by."""
        if self._law is None:
            msg = "law time was asked for before the database clock was read"
            raise ClockUnset(msg)
        return self._law if self._sandbox else self._law + self._elapsed()

    def machine_now(self) -> datetime:
        """Return machine time: what deadlines, sweeps and rate limits are judged by."""
        if self._machine is None:
            msg = "machine time was asked for before the database clock was read"
            raise ClockUnset(msg)
        return self._machine + self._elapsed()

    def observe(self, law: datetime, machine: datetime) -> None:
        """Take in what a statement returned; a reading older than what is known changes nothing."""
        if law.tzinfo is None or machine.tzinfo is None:
            msg = "clock readings must be aware"
            raise ValueError(msg)
        if self._machine is not None and machine < self.machine_now():
            if self._sandbox and self._law is not None and law > self._law:
                self._law = law
            return
        self._set(law, machine)

    async def refresh(self, conn: ReadsRow) -> None:
        """Read both clocks from the database; this reading is believed even if it steps back."""
        asked_at = time.monotonic()
        row = await conn.fetchrow(READ_CLOCKS)
        if row is None:
            msg = "the database answered its clock query with no row"
            raise ClockUnset(msg)
        on_the_way = timedelta(seconds=(time.monotonic() - asked_at) / 2)
        self._set(row["law"], row["machine"] + on_the_way)

    async def run(self, pool: LendsConnections, stop: asyncio.Event | None = None) -> None:
        """Refresh for ever (each second; 50 ms in sandbox mode) until `stop` is set."""
        ended = stop or asyncio.Event()
        pause = REFRESH_SECONDS_SANDBOX if self._sandbox else REFRESH_SECONDS
        failing = False
        while not ended.is_set():
            try:
                async with pool.acquire() as conn:
                    await self.refresh(conn)
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever the driver raises, time goes on
                metrics.CLOCK_REFRESH_FAILURES.inc()
                if not failing:  # one line per outage, not twenty per second
                    _log.warning("clock_refresh_failed", error_type=type(error).__name__)
                failing = True
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), pause)

    def _set(self, law: datetime, machine: datetime) -> None:
        if self._sandbox and self._law is not None:
            law = max(law, self._law)  # law time never goes backwards; replies may overtake
        self._law = law
        self._machine = machine
        self._read_at = time.monotonic()

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._read_at)
