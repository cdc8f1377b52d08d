"""The two clocks, as the database tells them; nothing else in a service asks for the time.

In: readings of `platform.law_now()` and `platform.machine_now()`, from a refresh loop and from any
statement that returned them. Out: `law_now` (windows, caps, due dates) and `machine_now`
(deadlines, rate limits). In production both run on between readings; in sandbox mode a driver
freezes and steps law time, so it stays what was read last. Readings are ordered by the machine
time they carry: answers that overtook each other on the way do no harm.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.settings import CannotStart
from shared.telemetry import logs, metrics

REFRESH_SECONDS = 1.0  # quartz drifts microseconds per second: a second is ample
REFRESH_SECONDS_SANDBOX = 0.05  # a step of law time reaches every process within one refresh
READ_CLOCKS = (
    "SELECT mode, platform.law_now() AS law, platform.machine_now() AS machine"
    " FROM platform.law_clock"
)

_log = logs.get_logger(__name__)


class ClockUnset(RuntimeError):
    """The time was asked for before the database was ever read."""


class NamedValues(Protocol):
    """A row of the database, read by column name."""

    def __getitem__(self, name: str, /) -> Any:
        """Return a column's value."""


class ReadsRow(Protocol):
    """The one method of a database connection that the clock needs."""

    async def fetchrow(self, query: str, /) -> NamedValues | None:
        """Return the first row of `query`."""


class LendsConnections(Protocol):
    """The one method of a connection pool that the clock needs."""

    def acquire(self) -> AbstractAsyncContextManager[ReadsRow]:
        """Lend a connection."""


class Clock:
    """Law time and machine time in memory, both aware."""

    def __init__(self, *, sandbox: bool = False) -> None:
        self._sandbox = sandbox
        self._law: datetime | None = None
        self._machine: datetime | None = None
        self._set_at = 0.0  # time.monotonic() at which `_law` and `_machine` were true
        self._newest: datetime | None = None  # machine time of the newest reading
        self._on_step: list[Callable[[], None]] = []

    def on_step(self, notice: Callable[[], None]) -> None:
        """Call `notice` whenever law time steps (sandbox mode): much may be due at once."""
        self._on_step.append(notice)

    @property
    def sandbox(self) -> bool:
        """Whether this process runs in sandbox mode, where law time is stepped."""
        return self._sandbox

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
        """Take in what a statement returned; it may be late, so it never turns time back."""
        if law.tzinfo is None or machine.tzinfo is None:
            msg = "clock readings must be aware"
            raise ValueError(msg)
        if self._newest is not None and machine < self._newest:
            return
        if self._machine is None or machine >= self.machine_now():
            self._set(law, machine, time.monotonic())
        elif self._sandbox:
            self._step(law)
        self._newest = machine

    async def refresh(self, conn: ReadsRow) -> None:
        """Read both clocks from the database; this reading is believed even if it steps back."""
        await self._read(conn)

    async def start(self, pool: LendsConnections) -> None:
        """Take the first reading; raise `CannotStart` when database and `MODE` disagree."""
        async with pool.acquire() as conn:
            mode = await self._read(conn)
        wanted = "sandbox" if self._sandbox else "production"
        if mode != wanted:
            msg = (
                f"MODE is {wanted} but this database's clock is in {mode} mode; "
                "set MODE to match, or POSTGRES_URL to the right database"
            )
            raise CannotStart(msg)

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

    async def _read(self, conn: ReadsRow) -> str:
        newest_when_asked = self._newest
        asked_at = time.monotonic()
        row = await conn.fetchrow(READ_CLOCKS)
        answered_at = time.monotonic()
        if row is None:
            msg = "platform.law_clock has no row: run deploy/postgres/init.sql"
            raise ClockUnset(msg)
        law, machine = row["law"], row["machine"]
        overtaken = self._newest != newest_when_asked
        if not (overtaken and self._newest is not None and machine < self._newest):
            self._set(law, machine, (asked_at + answered_at) / 2)
            self._newest = machine
        return str(row["mode"])

    def _set(self, law: datetime, machine: datetime, at: float) -> None:
        self._machine = machine
        self._set_at = at
        self._step(law)

    def _step(self, law: datetime) -> None:
        stepped = self._sandbox and law != self._law
        self._law = law
        if stepped:
            for notice in self._on_step:
                notice()

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._set_at)
