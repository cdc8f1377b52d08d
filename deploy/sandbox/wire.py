"""HTTP/1.1 server side of the sandbox: one small protocol over httptools.

In: bytes of keep-alive connections. Out: calls of one handler with a whole `Request`, and its
`Answer` on the wire. Written on the bare protocol, not on a framework, for two reasons: the
provider must cost a fraction of what it judges (a few µs per request), and faults need the wire
itself: resets, silence, half an answer.
"""

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import httptools
import msgspec

BODY_BYTES_MAX = 1_048_576  # a message form is below 10 kB; control calls carry a few accounts
HEADERS_MAX = 100
URL_BYTES_MAX = 8_192
CONNECTIONS_MAX = 2_048
PIPELINED_MAX = 16  # requests that wait behind an unanswered one of the same connection

_REASONS = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}
_JSON_TYPE = b"application/json; charset=utf-8"


class Request(msgspec.Struct, gc=False):
    """One request; header names are lower-case bytes, `path` is as sent, without the query."""

    method: bytes
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What goes back. `delay_s` waits first; `reset` cuts the connection and sends nothing.

    `truncate_at` sends only that many body bytes of the announced length, then closes.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = _JSON_TYPE
    delay_s: float = 0.0
    reset: bool = False
    truncate_at: int | None = None


Handler = Callable[[Request], "Answer | Awaitable[Answer]"]


class Gate:
    """What all connections of one server share: the handler, the open connections, open waits."""

    def __init__(self, handler: Handler) -> None:
        """Serve with `handler`, called once per whole request on the event loop."""
        self.handler = handler
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Future[Answer]] = set()
        self.unanswered = 0

    def close(self) -> None:
        """Drop every connection and forget what still waits for its answer."""
        for task in list(self.tasks):
            task.cancel()
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client connection; answers its requests one after the other."""

    __slots__ = (
        "_body", "_busy", "_closing", "_gate", "_headers", "_parser", "_size", "_timer",
        "_transport", "_url", "_waiting",
    )  # fmt: skip

    def __init__(self, gate: Gate) -> None:
        """Belong to the server behind `gate`."""
        self._gate = gate
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._busy = False
        self._closing = False
        self._waiting: list[tuple[Request, bool]] = []
        self._timer: asyncio.TimerHandle | None = None

    # Events of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or drop it when there are too many."""
        self._transport = transport  # type: ignore[assignment]  # TCP gives a full transport
        if len(self._gate.connections) >= CONNECTIONS_MAX:
            transport.abort()  # type: ignore[attr-defined]
            return
        self._gate.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a late answer finds no transport."""
        del exc
        self._gate.connections.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._busy:
            self._busy = False
            self._gate.unanswered -= 1
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; refuse what is not HTTP."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)

    # Events of the parser.

    def on_message_begin(self) -> None:
        """Start a new request."""
        self._url = b""
        self._headers = {}
        self._body = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        """Collect the request target."""
        self._url += url
        if len(self._url) > URL_BYTES_MAX:
            self._refuse(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header."""
        if len(self._headers) >= HEADERS_MAX:
            self._refuse(431)
            return
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Let a polite client send its body."""
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Collect the body up to its bound."""
        self._size += len(body)
        if self._size > BODY_BYTES_MAX:
            self._refuse(413)
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the whole request over, or queue it behind the one being answered."""
        if self._closing:
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        request = Request(self._parser.get_method(), path, query, self._headers, body)
        keep = self._parser.should_keep_alive()
        if self._busy:
            if len(self._waiting) >= PIPELINED_MAX:
                self.abort()
                return
            self._waiting.append((request, keep))
            return
        self._serve(request, keep=keep)

    # Answers.

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _serve(self, request: Request, *, keep: bool) -> None:
        self._busy = True
        self._gate.unanswered += 1
        try:
            result = self._gate.handler(request)
        except Exception:  # noqa: BLE001 - one bad request must not take the provider down
            sys.stderr.write(traceback.format_exc())
            result = Answer(500, b'{"error":"sandbox fault"}')
        if isinstance(result, Answer):
            self._send(result, keep=keep)
            return
        task: asyncio.Future[Answer] = asyncio.ensure_future(result)
        self._gate.tasks.add(task)
        task.add_done_callback(lambda done: self._finish(done, keep=keep))

    def _finish(self, task: "asyncio.Future[Answer]", *, keep: bool) -> None:
        self._gate.tasks.discard(task)
        if task.cancelled():
            self.abort()
            return
        error = task.exception()
        if error is not None:
            sys.stderr.write("".join(traceback.format_exception(error)))
            self._send(Answer(500, b'{"error":"sandbox fault"}'), keep=False)
            return
        self._send(task.result(), keep=keep)

    def _send(self, answer: Answer, *, keep: bool) -> None:
        if answer.delay_s > 0:
            later = msgspec.structs.replace(answer, delay_s=0.0)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(answer.delay_s, lambda: self._send(later, keep=keep))
            return
        self._timer = None
        if self._transport is None:
            return
        if answer.reset:
            self._transport.abort()
            return
        body = answer.body if answer.truncate_at is None else answer.body[: answer.truncate_at]
        keep = keep and answer.truncate_at is None and not self._closing
        self._transport.write(_head(answer, keep=keep) + body)
        self._busy = False
        self._gate.unanswered -= 1
        if not keep:
            self._transport.close()
        elif self._waiting:
            request, keep_next = self._waiting.pop(0)
            self._serve(request, keep=keep_next)

    def _refuse(self, status: int) -> None:
        """Answer a request that cannot be read, once, and close."""
        if self._closing or self._transport is None:
            return
        self._closing = True
        self._transport.write(_head(Answer(status, b""), keep=False))
        self._transport.close()


def _head(answer: Answer, *, keep: bool) -> bytes:
    extra = b"".join(name + b": " + value + b"\r\n" for name, value in answer.headers)
    return (
        b"HTTP/1.1 " + _REASONS.get(answer.status, b"%d Status" % answer.status)
        + b"\r\ncontent-type: " + answer.content_type
        + b"\r\ncontent-length: %d\r\n" % len(answer.body)
        + extra
        + (b"\r\n" if keep else b"connection: close\r\n\r\n")
    )  # fmt: skip
