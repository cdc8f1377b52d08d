"""Opening the database: one bounded pool per service, with limits the server enforces too.

In: the service's own URL (own role, own schema by search_path). Out: a `Pool`, prepared for the
outbox; and the law clock, `now`, read from the one row that every process and statement reads.
"""

from datetime import datetime
from typing import NamedTuple

import asyncpg
from tenacity import AsyncRetrying, retry_if_exception_type, stop_before_delay, wait_fixed

from shared.postgres import outbox
from shared.postgres.connection import (
    COMMAND_SECONDS_MAX,
    TRANSIENT_ERRORS,
    Connection,
    Pool,
    Row,
    UniqueViolation,
)

__all__ = [
    "TRANSIENT_ERRORS",
    "Connection",
    "LawClockReading",
    "Pool",
    "Row",
    "UniqueViolation",
    "now",
    "open_pool",
]

STATEMENT_TIMEOUT_MS = 30_000  # a statement that runs longer is a fault, not work
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000  # an open transaction holds back the relay and vacuum
START_SECONDS_MAX = 60.0  # database and services may start together
RETRY_SECONDS = 0.5  # between tries at start
POOL_MIN = 1  # idle services hold one connection


class LawClockReading(NamedTuple):
    """What the clock row said: law time (windows, caps) and machine time (deadlines, limits)."""

    law: datetime
    machine: datetime


async def open_pool(
    url: str,
    *,
    service: str,
    max_size: int = 8,
    min_size: int = POOL_MIN,
    start_seconds_max: float = START_SECONDS_MAX,
) -> Pool:
    """Open the service's pool, waiting for the server up to `start_seconds_max`.

    Sets statement (30 s) and idle-in-transaction (10 s) timeouts; prepares the outbox (generation,
    partitions) when the schema has one.
    """
    options = {
        "application_name": service,
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
        "timezone": "UTC",
    }

    async def opened() -> Pool:
        raw = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            command_timeout=COMMAND_SECONDS_MAX,
            server_settings=options,
            reset=_as_it_is,
        )
        pool = Pool(raw, url=url, options=options)
        try:
            async with pool.acquire() as connection:
                await outbox.prepare(connection)
        except BaseException:
            raw.terminate()  # the next try makes a pool of its own
            raise
        return pool

    patience = AsyncRetrying(
        retry=retry_if_exception_type(TRANSIENT_ERRORS),
        wait=wait_fixed(RETRY_SECONDS),
        stop=stop_before_delay(start_seconds_max),
        reraise=True,
    )
    return await patience(opened)


async def _as_it_is(connection: object) -> None:
    """Keep a returned connection as it is: nothing of ours outlives its transaction.

    asyncpg's own reset is one more round trip for every borrowed connection; it would undo session
    settings, advisory locks and listeners, and pooled connections have none (`dedicated` ones do).
    """
    del connection


async def now(conn: Connection) -> LawClockReading:
    """Read both clocks from the database, in one statement."""
    row = await conn.fetchrow("SELECT platform.law_now() AS law, platform.machine_now() AS machine")
    if row is None:
        msg = "the clock functions returned nothing"
        raise LookupError(msg)
    return LawClockReading(row["law"], row["machine"])
