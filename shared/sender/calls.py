"""One provider call: never cancelled, never holding a database connection, always classified.

In: a composed message, the account and the circumstances. Out: a `SendResult`. What an exception
proves is decided here, once: not connected means not sent; anything after the request may have
been written means unknown. Adapters classify the answers they read.
"""

import asyncio

import aiohttp

from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import Refused, SendResult, Unknown

# A connection that idles is closed before common servers (5 s and up) would close it: a request
# written to a connection that the server is closing has an unknown outcome.
KEEP_ALIVE_SECONDS = 4.0
ANSWER_BYTES_MAX = 65_536  # a provider's answer has hundreds of bytes; larger ones are garbled
DNS_CACHE_SECONDS = 60


class AnswerTooLargeError(aiohttp.ClientError):
    """An answer beyond `ANSWER_BYTES_MAX`: whatever it says, the outcome is unknown."""


def new_client(
    calls_max: int, connect_seconds: float, read_seconds: float
) -> aiohttp.ClientSession:
    """Return the process's one provider client; close it when the process stops."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=calls_max,  # the deliverer never starts more: nobody waits in the pool
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            ttl_dns_cache=DNS_CACHE_SECONDS,
        ),
        timeout=aiohttp.ClientTimeout(
            total=None,
            connect=connect_seconds,
            sock_connect=connect_seconds,
            sock_read=read_seconds,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        trust_env=False,
    )


async def read_answer(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer; raise `AnswerTooLargeError` beyond the bound."""
    if (response.content_length or 0) > ANSWER_BYTES_MAX:
        raise AnswerTooLargeError
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            raise AnswerTooLargeError
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def proves(error: BaseException) -> SendResult:
    """Return what an exception of the client proves about the message."""
    # No connection, so no request: refused, DNS failure, TLS failure, connect time-out.
    if isinstance(
        error,
        (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL),
    ):
        return Refused(error=SendError(kind=ErrorKind.UNREACHABLE, code=type(error).__name__))
    if isinstance(error, (TimeoutError, asyncio.CancelledError)):
        return Unknown(why="timeout")
    if isinstance(error, AnswerTooLargeError):
        return Unknown(why="answer_too_large")
    return Unknown(
        why="connection_lost" if isinstance(error, (aiohttp.ClientError, OSError)) else "fault"
    )
