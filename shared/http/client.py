"""The one httpx client, for quiet paths: look-ups, callbacks to clients, operator tools, tests.

In: a base address. Out: a client with explicit timeouts and limits, no redirects, and the trace
passed on. Provider sends do not use it: httpx costs 40 times aiohttp at 64 connections, and loses
pool slots when a call is cancelled before it connects.
"""

from collections.abc import Mapping

import httpx

CONNECT_SECONDS_MAX = 3.0  # beyond it the other side is down, not slow
READ_SECONDS_MAX = 15.0
WRITE_SECONDS_MAX = 5.0
POOL_SECONDS_MAX = 1.0  # waiting for a slot longer means the limit is wrong
CONNECTIONS_MAX = 16
KEEP_ALIVE_SECONDS = 20.0  # below the idle time after which servers hang up
USER_AGENT = "regua"


def open_client(base_url: str = "", headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:  # noqa: TID251
    """Return a client for `base_url`; close it with `aclose`."""
    return httpx.AsyncClient(  # noqa: TID251 - this is the one place
        base_url=base_url,
        headers={"User-Agent": USER_AGENT, **(headers or {})},
        timeout=httpx.Timeout(
            connect=CONNECT_SECONDS_MAX,
            read=READ_SECONDS_MAX,
            write=WRITE_SECONDS_MAX,
            pool=POOL_SECONDS_MAX,
        ),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_MAX,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        ),
        follow_redirects=False,  # a redirect is an answer we did not expect from a partner
    )
