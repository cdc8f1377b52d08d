"""Connections to mail relays: opened securely, kept, used again, and never more than agreed.

In: a `Relay`. Out: a `Lent` connection in the state after EHLO, STARTTLS and AUTH. STARTTLS (or
implicit TLS) with a valid certificate is required; a sandbox alone may do without. A connection is
used for a bounded number of mails and dropped after a short rest, before common servers drop it.
"""

import asyncio
import ssl
import time
from collections import deque
from contextlib import suppress

import aiosmtplib
import msgspec

from services.email_sender.providers.smtp.codes import Stage, refusal
from shared.sender.errors import ErrorKind, SendError

IDLE_SECONDS_MAX = 15.0  # servers wait for minutes by the book, for tens of seconds in practice
REST_SECONDS_MAX = 1.0  # after a longer rest a connection is asked whether it is still there
MAILS_PER_CONNECTION_MAX = 100  # what common relays allow
WAIT_SECONDS_MAX = 5.0  # for a free connection; then the call was never begun
RSET_SECONDS_MAX = 2.0  # a server that takes longer is left for another connection
QUIT_SECONDS_MAX = 1.0
POOLS_MAX = 1_000  # relays with settings of their own in one process; idle ones are dropped first


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom: one pool per value. `implicit_tls` is the way of port 465."""

    host: str
    port: int
    implicit_tls: bool
    must_be_secure: bool
    username: str
    password: str
    local_hostname: str
    connections_max: int

    def __repr__(self) -> str:
        """Name the relay, never its secrets."""
        return f"Relay({self.host}:{self.port})"

    __str__ = __repr__


class NotHandedOverError(Exception):
    """The mail certainly did not reach the server; `error` says why."""

    def __init__(self, error: SendError) -> None:
        super().__init__(error.kind.value)
        self.error = error


class Lent(msgspec.Struct):
    """A connection in use; `mails` counts those that it was lent for.

    `clean` says that the server waits for a new mail, and needs no RSET first.
    """

    client: aiosmtplib.SMTP
    mails: int = 0
    idle_since: float = 0.0
    clean: bool = True

    @property
    def fresh(self) -> bool:
        """Whether it was opened for this mail: a dead one is then no accident of waiting."""
        return self.mails == 0


class RelayPool:
    """The connections to one relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._free = asyncio.Semaphore(relay.connections_max)
        self._idle: deque[Lent] = deque()
        self.open = 0
        self.lent = 0

    async def take(self, seconds_max: float) -> Lent:
        """Lend a connection ready for a mail; raise `NotHandedOverError`."""
        try:
            await asyncio.wait_for(self._free.acquire(), WAIT_SECONDS_MAX)
        except TimeoutError:
            raise NotHandedOverError(SendError(kind=ErrorKind.NOT_STARTED, code="pool")) from None
        self.lent += 1
        try:
            return await self._rested() or await self._opened(seconds_max)
        except BaseException:
            self.lent -= 1
            self._free.release()
            raise

    def give_back(self, lent: Lent, *, usable: bool, clean: bool) -> None:
        """Take a connection back; keep it when the next mail may use it."""
        lent.mails += 1
        if usable and lent.client.is_connected and lent.mails < MAILS_PER_CONNECTION_MAX:
            lent.clean = clean
            lent.idle_since = time.monotonic()
            self._idle.append(lent)
        else:
            self._drop(lent)
        self.lent -= 1
        self._free.release()

    async def close(self) -> None:
        """Say good-bye on every connection that rests."""
        while self._idle:
            lent = self._idle.popleft()
            with suppress(aiosmtplib.SMTPException, OSError):
                await lent.client.quit(timeout=QUIT_SECONDS_MAX)
            self._drop(lent)

    async def _rested(self) -> Lent | None:
        """Return the connection used last, if it still answers."""
        while self._idle:
            lent = self._idle.pop()
            rest = time.monotonic() - lent.idle_since
            if lent.client.is_connected and rest < IDLE_SECONDS_MAX:
                if lent.clean and rest < REST_SECONDS_MAX:
                    return lent
                try:
                    await lent.client.rset(timeout=RSET_SECONDS_MAX)
                except (aiosmtplib.SMTPException, OSError):
                    pass
                else:
                    return lent
            self._drop(lent)
        return None

    def _drop(self, lent: Lent) -> None:
        lent.client.close()
        self.open -= 1

    async def _opened(self, seconds_max: float) -> Lent:
        client = aiosmtplib.SMTP(
            hostname=self._relay.host,
            port=self._relay.port,
            local_hostname=self._relay.local_hostname,
            use_tls=self._relay.implicit_tls,
            start_tls=False,  # done below: its absence must not go unnoticed
            validate_certs=self._relay.must_be_secure,
            timeout=seconds_max,
        )
        stage = Stage.CONNECT
        try:
            await client.connect()
            await client.ehlo()
            await self._secure(client)
            stage = Stage.AUTH
            if self._relay.username:
                await client.login(self._relay.username, self._relay.password)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            raise NotHandedOverError(refusal(stage, error.code, error.message)) from None
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:
            client.close()
            bad_login = stage is Stage.AUTH and type(error) is aiosmtplib.SMTPException
            kind = ErrorKind.BAD_CREDENTIALS if bad_login else ErrorKind.UNREACHABLE
            raise NotHandedOverError(SendError(kind=kind, code=type(error).__name__)) from None
        except BaseException:
            client.close()
            raise
        self.open += 1
        return Lent(client)

    async def _secure(self, client: aiosmtplib.SMTP) -> None:
        if self._relay.implicit_tls:
            return
        if client.supports_extension("starttls"):
            await client.starttls()
            await client.ehlo()
        elif self._relay.must_be_secure:
            client.close()
            error = SendError(kind=ErrorKind.UNREACHABLE, code="starttls_not_offered")
            raise NotHandedOverError(error)


class Pools:
    """The pools of one process, by relay."""

    def __init__(self) -> None:
        self._pools: dict[Relay, RelayPool] = {}

    async def of(self, relay: Relay) -> RelayPool:
        """Return the pool of a relay."""
        pool = self._pools.get(relay)
        if pool is None:
            if len(self._pools) >= POOLS_MAX:
                await self._drop_resting()
            pool = self._pools[relay] = RelayPool(relay)
        return pool

    async def close(self) -> None:
        """Close every pool."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _drop_resting(self) -> None:
        for relay in [relay for relay, pool in self._pools.items() if not pool.lent]:
            await self._pools.pop(relay).close()
