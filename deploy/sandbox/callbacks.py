"""HTTP/1.1 client side of the sandbox: posts webhooks over kept connections.

In: `Post` jobs (URL, headers, form body). Out: each job's `done` is called exactly once with the
HTTP status, or None when there was no answer. One request at a time per connection, a bounded
number of connections per target, first come first served. The retry policy is the caller's.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import httptools
import msgspec

CONNECTIONS_PER_TARGET_MAX = 32  # what a receiver of ours holds easily; more only adds switching
TARGETS_MAX = 256
ANSWER_SECONDS_MAX = 15.0  # the real provider's read timeout for webhooks
CONNECT_SECONDS_MAX = 5.0
IDLE_SECONDS_MAX = 3.0  # below the 5 s after which common servers close a kept connection
SWEEP_SECONDS = 0.5


class Post(msgspec.Struct, gc=False):
    """One webhook: `head` is everything of the request but Host, up to and without the body."""

    url: str
    head: bytes
    body: bytes
    done: Callable[[int | None], None]


class UrlError(ValueError):
    """A URL that no webhook can be posted to."""


def split_url(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and path with query; raise `UrlError`. Fragments are dropped."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or scheme not in {"http", "https"} or not authority or " " in url:
        msg = "a webhook needs an absolute http(s) URL"
        raise UrlError(msg)
    return scheme, authority, (slash + path or "/").partition("#")[0]


class _Link(asyncio.Protocol):
    """One connection to a target."""

    __slots__ = ("_parser", "_target", "idle_since", "job", "started", "transport")

    def __init__(self, target: "_Target") -> None:
        self._target = target
        self._parser: Any = None
        self.transport: asyncio.Transport | None = None
        self.job: Post | None = None
        self.started = 0.0
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # TCP gives a full transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        job, self.job = self.job, None
        self._target.lost(self)
        if job is not None:
            job.done(None)

    def send(self, job: Post) -> None:
        self.job = job
        self.started = monotonic()
        self._parser = httptools.HttpResponseParser(self)
        path = split_url(job.url)[2].encode("latin-1", "replace")
        if self.transport is not None:
            host = self._target.host
            self.transport.write(
                b"POST " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + job.head + job.body
            )

    def data_received(self, data: bytes) -> None:
        if self.job is None:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def on_message_complete(self) -> None:
        job, self.job = self.job, None
        status = self._parser.get_status_code()
        if self._parser.should_keep_alive():
            self._target.free(self)
        elif self.transport is not None:
            self.transport.close()
        if job is not None:
            job.done(status)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Target:
    """One receiver (scheme and authority): its connections and the jobs that wait for one."""

    def __init__(self, client: "CallbackClient", scheme: str, authority: str) -> None:
        name, _, port = authority.rpartition("@")[2].partition(":")
        self.client = client
        self.host = authority.encode("latin-1", "replace")
        self.address = (name, int(port) if port.isdigit() else (443 if scheme == "https" else 80))
        self.tls = ssl.create_default_context() if scheme == "https" else None
        self.idle: list[_Link] = []
        self.links: set[_Link] = set()
        self.opening = 0
        self.waiting: deque[Post] = deque()

    def submit(self, job: Post) -> None:
        if self.idle:
            self.idle.pop().send(job)
            return
        self.waiting.append(job)
        self._open()

    def free(self, link: _Link) -> None:
        if self.waiting:
            link.send(self.waiting.popleft())
        else:
            link.idle_since = monotonic()
            self.idle.append(link)

    def lost(self, link: _Link) -> None:
        self.links.discard(link)
        if link in self.idle:
            self.idle.remove(link)
        if self.waiting:
            self._open()

    def sweep(self, now: float) -> None:
        for link in list(self.links):
            silent = link.job is not None and now - link.started > ANSWER_SECONDS_MAX
            stale = link.job is None and now - link.idle_since > IDLE_SECONDS_MAX
            if silent or stale:
                link.abort()

    def _open(self) -> None:
        if len(self.links) + self.opening >= min(CONNECTIONS_PER_TARGET_MAX, self._wanted()):
            return
        self.opening += 1
        self.client.spawn(self._connect())

    def _wanted(self) -> int:
        busy = len(self.links) - len(self.idle)
        return busy + len(self.waiting)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                _, link = await loop.create_connection(
                    lambda: _Link(self), *self.address, ssl=self.tls
                )
        except (OSError, TimeoutError):
            self.opening -= 1
            if self.waiting:
                self.waiting.popleft().done(None)
            if self.waiting:
                self._open()
            return
        self.opening -= 1
        self.links.add(link)
        link.idle_since = monotonic()
        self.free(link)


class CallbackClient:
    """Posts webhooks; start it inside a running loop, close it at the end."""

    def __init__(self) -> None:
        """Make a client with no connection yet."""
        self._targets: dict[tuple[str, str], _Target] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def post(self, job: Post) -> None:
        """Post one webhook; `job.done` tells the outcome. Raises `UrlError`."""
        scheme, authority, _ = split_url(job.url)
        target = self._targets.get((scheme, authority))
        if target is None:
            if len(self._targets) >= TARGETS_MAX:
                msg = f"more than {TARGETS_MAX} webhook receivers"
                raise UrlError(msg)
            target = self._targets[scheme, authority] = _Target(self, scheme, authority)
        if self._sweeper is None:
            self._sweep()
        target.submit(job)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a connecting coroutine and keep it alive until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Drop every connection; jobs in flight are told None."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in list(self._tasks):
            task.cancel()
        for target in self._targets.values():
            target.waiting.clear()
            for link in list(target.links):
                link.abort()

    def _sweep(self) -> None:
        now = monotonic()
        for target in self._targets.values():
            target.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
