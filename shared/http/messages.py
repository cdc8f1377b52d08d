"""Requests' bodies and responses as they pass the edge: bounded, strict, watched.

In: ASGI `receive` and `send`. Out: the same, except that a body is refused by its declared length
or when more than that arrives, that it must arrive in time, and that an answer remembers whether
it has begun.
"""

import asyncio
from contextlib import suppress
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from shared.http import bodies
from shared.http.problems import Problem
from shared.telemetry import metrics

LINGER_SECONDS_MAX = 2.0  # to let a caller finish sending, so that it reads why it was refused
LINGER_BYTES_MAX = 32 * 1024 * 1024  # what is thrown away meanwhile; then the connection is cut
BODY_SECONDS_MAX = 30.0  # 8 MiB at 300 kB/s; a slower sender holds memory for nothing


class BodyLimits(Protocol):
    """The two limits on a body."""

    @property
    def body_bytes_max(self) -> int:
        """Bytes."""

    @property
    def json_depth_max(self) -> int:
        """Levels."""


class Body:
    """The request's body, within its limits."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes], limits: BodyLimits) -> None:
        self._receive = receive
        self._limits = limits
        self._arrived_bytes = 0
        self._complete = False
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
        kind = headers.get(b"content-type", b"").decode("latin-1")
        self.content_type = kind.partition(";")[0].strip().lower()
        self._declared = headers.get(b"content-length", b"")
        self._awaits_go_ahead = headers.get(b"expect", b"").lower() == b"100-continue"

    def check_declared(self) -> None:
        """Raise 413 when the declared length is beyond the limit."""
        length = self._declared
        if length and (not length.isdigit() or int(length) > self._limits.body_bytes_max):
            raise self._too_large()

    async def receive(self) -> Message:
        """Receive one ASGI message; raise 413 or 408 when the body outgrows its limits."""
        if self._complete:
            return await self._receive()  # waits for the caller to hang up
        self._awaits_go_ahead = False
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise _too_slow() from None
        if message["type"] == "http.request":
            self._arrived_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._arrived_bytes > self._limits.body_bytes_max:
                raise self._too_large()
        return message

    async def read(self) -> bytes:
        """Return the whole body."""
        parts: list[bytes] = []
        while not self._complete:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
        return b"".join(parts)

    async def discard(self) -> bool:
        """Take in what is still coming, up to a bound; False when the rest must be cut off.

        Closing while a caller still sends would reset the connection, and the answer with it.
        """
        if self._awaits_go_ahead:
            return False
        discarded_bytes = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS_MAX):
                while not self._complete and discarded_bytes < LINGER_BYTES_MAX:
                    message = await self._receive()
                    discarded_bytes += len(message.get("body", b""))
                    self._complete = not message.get("more_body", False)
        return self._complete

    async def checked_json(self) -> Receive:
        """Read the body, refuse what is not strict JSON, and return it to be received again."""
        raw = await self.read()
        if raw:
            if self.content_type != "application/json" and not self.content_type.endswith("+json"):
                raise _refused("media", unsupported(("application/json",)))
            try:
                bodies.strict_json(raw, self._limits.json_depth_max)
            except Problem as problem:
                raise _refused("json", problem) from None
        return _again(raw, self.receive)

    def _too_large(self) -> Problem:
        detail = f"The request body is over {self._limits.body_bytes_max} bytes; send smaller ones."
        return _refused("size", Problem(413, None, detail, "body-too-large"))


class Answer:
    """The response as it goes out."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        """Send one ASGI message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def problem(self, problem: Problem, scope: Scope, body: Body) -> None:
        """Send a problem, unless an answer has begun: then nothing better can be said."""
        if self.status:
            return
        response = problem.response()
        if not await body.discard():
            response.headers["connection"] = "close"
        await response(scope, body.receive, self.send)


def unsupported(wanted: tuple[str, ...]) -> Problem:
    """Return the 415 problem that names the content types this path takes."""
    detail = f"This path takes {', '.join(wanted)}; set the content-type header."
    return Problem(415, detail=detail, type_slug="unsupported-media-type")


def _again(raw: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return replay


def _refused(reason: str, problem: Problem) -> Problem:
    metrics.HTTP_REFUSED.labels(reason).inc()
    return problem


def _too_slow() -> Problem:
    detail = f"The request body did not arrive within {BODY_SECONDS_MAX:.0f} s; send it faster."
    return _refused("slow", Problem(408, None, detail, "body-too-slow"))
