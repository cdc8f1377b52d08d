"""One process at a time: a session advisory lock on a connection of its own.

In: a pool and a lock key. Out: a connection that holds the lock; losing the connection is losing
the lock. The server ends the session when nothing was asked for some seconds, so that a frozen
process (its socket still open) does not hold the lock for ever; a living one keeps asking.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Pool

log = logging.getLogger(__name__)

T = TypeVar("T")

TRY_SECONDS = 0.5  # how often a process that waits asks for the lock: takeover takes that long
HEARTBEAT_SECONDS = 1.0  # how often a holder that waits for the brokers shows that it lives
IDLE_SECONDS_MAX = 10  # the server takes the lock from a holder that was silent for so long
CLOSE_SECONDS_MAX = 2.0  # a connection that does not close by then is cut


@asynccontextmanager
async def hold(
    pool: Pool,
    purpose: str,
    lock_key: int | str | None,
    stop: asyncio.Event,
    idle_seconds_max: int = IDLE_SECONDS_MAX,
    options: Mapping[str, str] | None = None,
) -> AsyncIterator[Connection | None]:
    """Wait for the lock and yield the connection that holds it; None when `stop` came first.

    `lock_key` None derives the key from schema and purpose; names are hashed by the server.
    """
    settings = {"idle_session_timeout": f"{idle_seconds_max}s", **(options or {})}
    conn = await pool.dedicated(purpose, settings)
    try:
        key = await _key(conn, purpose, lock_key)
        while not await conn.fetchval("SELECT pg_try_advisory_lock($1)", key):
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TRY_SECONDS)
            if stop.is_set():
                yield None
                return
        yield conn
    finally:
        with suppress(*TRANSIENT_ERRORS):
            await conn.close(timeout=CLOSE_SECONDS_MAX)


async def patiently(
    conn: Connection,
    work: Coroutine[Any, Any, T],
    on_heartbeat: Callable[[], Awaitable[None]] | None = None,
    meanwhile: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Do `work` while keeping the lock's connection alive; `meanwhile` runs on it beside the work.

    When the connection is lost, or `on_heartbeat` or `meanwhile` raises, the work is cancelled and
    the error raised: without the lock nothing more may be published.
    """
    # Not a TaskGroup: it would wrap every error in a group, and this runs for every page.
    working = asyncio.get_running_loop().create_task(work)
    try:
        if meanwhile is not None:
            await meanwhile()
        while not working.done():
            await asyncio.wait({working}, timeout=HEARTBEAT_SECONDS)
            if not working.done():
                await conn.execute("SELECT 1")
                if on_heartbeat is not None:
                    await on_heartbeat()
        return working.result()
    finally:
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
        if not working.cancelled():
            working.exception()


async def _key(conn: Connection, purpose: str, lock_key: int | str | None) -> int:
    if isinstance(lock_key, int):
        return lock_key
    name = lock_key if lock_key is not None else purpose
    return int(
        await conn.fetchval("SELECT hashtextextended(current_schema() || '/' || $1, 0)", name)
    )
