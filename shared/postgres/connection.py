"""asyncpg behind types: a connection, a row, a pool with bounded waiting.

In: asyncpg's untyped objects. Out: the protocols and the `Pool` that every store module is written
against, and `TRANSIENT_ERRORS`: what means "the database is away or busy, try again".
"""

# Protocols name what asyncpg documents: its method names, its `timeout` parameters.
# ruff: noqa: ASYNC109

from asyncio import wait_for
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import asyncpg

ACQUIRE_SECONDS_MAX = 5.0  # waiting longer for a connection means overload: fail, do not pile up
COMMAND_SECONDS_MAX = 35.0  # above the server's own limit (30 s): a server that went away
CLOSE_SECONDS_MAX = 10.0  # statements end within their own timeout; then connections are cut

UniqueViolation: type[Exception] = asyncpg.UniqueViolationError
CheckViolation: type[Exception] = asyncpg.CheckViolationError
LockNotAvailable: type[Exception] = asyncpg.LockNotAvailableError
UndefinedTable: type[Exception] = asyncpg.UndefinedTableError

TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection that the server is ending while a statement is sent.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)


def is_away(error: Exception) -> bool:
    """Say whether an error means that the database is away or busy, not that we asked it wrongly.

    asyncpg says of an argument that fits no column that its interface was misused.
    """
    return isinstance(error, TRANSIENT_ERRORS) and not isinstance(error, asyncpg.DataError)


class Row(Protocol):
    """asyncpg's Record: by name or by position. Iterating gives values, not keys."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def keys(self) -> Iterable[str]: ...
    def values(self) -> Iterable[Any]: ...
    def items(self) -> Iterable[tuple[str, Any]]: ...


class Connection(Protocol):
    """asyncpg's Connection, as far as we use it. `timeout` is in seconds."""

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> list[Row]: ...
    async def fetchrow(
        self, query: str, *args: Any, timeout: float | None = None
    ) -> Row | None: ...
    async def fetchval(
        self, query: str, *args: Any, column: int = 0, timeout: float | None = None
    ) -> Any: ...
    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str: ...
    async def executemany(
        self, command: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None: ...
    async def copy_records_to_table(
        self,
        table_name: str,
        *,
        records: Iterable[Sequence[Any]],
        columns: Sequence[str] | None = None,
        schema_name: str | None = None,
        timeout: float | None = None,
    ) -> str: ...
    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False
    ) -> AbstractAsyncContextManager[object]: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    async def close(self, *, timeout: float | None = None) -> None: ...
    def terminate(self) -> None: ...
    def add_termination_listener(self, callback: Callable[[Any], None]) -> None: ...


class RawPool(Protocol):
    """asyncpg's Pool, as far as `Pool` uses it."""

    def acquire(
        self, *, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Connection]: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...
    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...


class Pool:
    """Connections of one service. Waiting for one is bounded (5 s), then `TimeoutError`."""

    def __init__(
        self,
        raw: RawPool,
        *,
        url: str,
        options: Mapping[str, str],
        acquire_seconds_max: float = ACQUIRE_SECONDS_MAX,
    ) -> None:
        """Wrap asyncpg's pool; `url` and `options` serve `dedicated` connections."""
        self._raw = raw
        self._url = url
        self._options = dict(options)
        self._acquire_seconds_max = acquire_seconds_max

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncIterator[Connection]:
        """Lend a connection; `timeout` in seconds overrides the bound."""
        limit = self._acquire_seconds_max if timeout is None else timeout
        async with self._raw.acquire(timeout=limit) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction (read committed)."""
        async with self.acquire() as connection, connection.transaction():
            yield connection

    async def dedicated(self, purpose: str, options: Mapping[str, str] | None = None) -> Connection:
        """Open a connection outside the pool, for session locks; the caller closes it."""
        settings = self._options | dict(options or {})
        settings["application_name"] = f"{settings.get('application_name', 'regua')}/{purpose}"
        opened: Connection = await asyncpg.connect(
            self._url,
            timeout=self._acquire_seconds_max,
            command_timeout=COMMAND_SECONDS_MAX,
            server_settings=settings,
        )
        return opened

    async def fetch(self, query: str, *args: Any) -> list[Row]:
        """Run one query on any connection and return its rows."""
        async with self.acquire() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Row | None:
        """Run one query on any connection and return its first row."""
        async with self.acquire() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Run one query on any connection and return the first value of its first row."""
        async with self.acquire() as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run one statement on any connection and return its command tag."""
        async with self.acquire() as connection:
            return await connection.execute(query, *args)

    @property
    def in_use(self) -> int:
        """Connections lent out now."""
        return self._raw.get_size() - self._raw.get_idle_size()

    @property
    def size_max(self) -> int:
        """The most connections this pool opens."""
        return self._raw.get_max_size()

    async def close(self) -> None:
        """Wait for lent connections (bounded), then cut them."""
        try:
            await wait_for(self._raw.close(), CLOSE_SECONDS_MAX)
        except TimeoutError:
            self._raw.terminate()
