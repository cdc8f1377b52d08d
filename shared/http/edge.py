"""The first thing every request meets: limits, authentication, raw routes, errors, timing.

In: ASGI calls from the server. Out: the same calls, bounded and with a `Principal` and a
`traceparent` on them, to the application; or a problem+json answer. Raw routes (`raw_route`) are
answered right here, outside the framework's dependency machinery: webhooks and bulk intake cost
a third of a framework route. Nothing is raised back to the server, whose log would quote it.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from re import Pattern
from typing import Any

import msgspec
from starlette.convertors import Convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import bodies
from shared.http.auth import SCOPES, STATE_KEY, Authenticator, authenticate, check_scope
from shared.http.problems import Problem, from_http
from shared.telemetry import logs, metrics, tracing

OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/health/startup", "/metrics"})
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
TRACE_KEY = "regua.traceparent"
CHUNKS_MAX = 100_000  # of one body: a client that drips single bytes is cut off
NAMED_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

Handler = Callable[[Request], Awaitable[Response]]

_log = logs.get_logger(__name__)


class RawRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A route answered at the edge. `scope` None means public: the handler proves the caller."""

    path: str
    handler: Handler
    methods: tuple[str, ...]
    scope: str | None
    content_types: tuple[str, ...]
    operation: Mapping[str, Any]
    pattern: Pattern[str]
    convertors: dict[str, Convertor[Any]]


def raw_route(  # noqa: PLR0913 - each names one property of the route
    path: str,
    handler: Handler,
    *,
    methods: tuple[str, ...] = ("POST",),
    scope: str | None = None,
    public: bool = False,
    content_types: tuple[str, ...] = (),
    operation: Mapping[str, Any] | None = None,
) -> RawRoute:
    """Declare a route outside the framework: give `scope`, or `public=True` to open it to all.

    `content_types` empty takes any; `operation` is the OpenAPI operation object to document it.
    """
    if public == (scope is not None) or (scope is not None and scope not in SCOPES):
        msg = f"route {path} needs either public=True or one scope of {', '.join(SCOPES)}"
        raise ValueError(msg)
    pattern, _, convertors = compile_path(path)
    return RawRoute(
        path=path,
        handler=handler,
        methods=methods,
        scope=scope,
        content_types=content_types,
        operation=operation or {},
        pattern=pattern,
        convertors=convertors,
    )


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may be at most."""

    body_bytes_max: int
    json_depth_max: int
    trace_sample_ratio: float


class Edge:
    """ASGI middleware; see the module's text."""

    def __init__(
        self, app: ASGIApp, *, auth: Authenticator, raw_routes: Iterable[RawRoute], limits: Limits
    ) -> None:
        self._app = app
        self._auth = auth
        self._raw_routes = tuple(raw_routes)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, answer)
        except ClientDisconnect:
            answer.status = 499  # what proxies log for a caller that went away
        except HTTPException as error:
            await answer.problem(from_http(error), scope, receive)
        except Exception as error:  # noqa: BLE001 - the last wall: answer, log once, never re-raise
            _log.error("request_failed", route=_route_of(scope), exc_info=error)
            await answer.problem(Problem(500), scope, receive)
        method = scope["method"] if scope["method"] in NAMED_METHODS else "other"
        metrics.HTTP_SECONDS.labels(method, _route_of(scope), str(answer.status)).observe(
            time.perf_counter() - started
        )

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"traceparent")
        scope[TRACE_KEY] = tracing.accept_traceparent(
            given.decode("latin-1") if given else None, self._limits.trace_sample_ratio
        )
        route = self._raw_route(scope)
        public = scope["path"] in OPEN_PATHS or (route is not None and route.scope is None)
        if not public:
            try:
                scope[STATE_KEY] = authenticate(headers, self._auth)
            except Problem:
                metrics.HTTP_REFUSED.labels("key").inc()
                raise
        body = _BoundedBody(receive, headers, self._limits.body_bytes_max)
        if route is not None:
            await self._serve_raw(route, scope, body, answer)
            return
        receive = body.receive
        if scope["method"] in METHODS_WITH_BODY:
            receive = await self._checked_json(headers, body)
        await self._app(scope, receive, answer.send)

    async def _serve_raw(
        self, route: RawRoute, scope: Scope, body: "_BoundedBody", answer: "_Answer"
    ) -> None:
        scope["route"] = route
        if scope["method"] not in route.methods:
            raise Problem(405, headers={"Allow": ", ".join(route.methods)})
        if route.scope is not None:
            check_scope(scope, route.scope)
        if route.content_types and body.content_type not in route.content_types:
            raise _unsupported(route.content_types)
        request = Request(scope, body.receive)
        response = await route.handler(request)
        await response(scope, body.receive, answer.send)

    async def _checked_json(self, headers: dict[bytes, bytes], body: "_BoundedBody") -> Receive:
        """Read the body, refuse what is not strict JSON, and hand it on."""
        raw = await body.read()
        if raw:
            kind = body.content_type
            if kind != "application/json" and not kind.endswith("+json"):
                metrics.HTTP_REFUSED.labels("media").inc()
                raise _unsupported(("application/json",))
            try:
                bodies.strict_json(raw, self._limits.json_depth_max)
            except Problem:
                metrics.HTTP_REFUSED.labels("json").inc()
                raise
        del headers
        return _replay(raw, body.receive)

    def _raw_route(self, scope: Scope) -> RawRoute | None:
        for route in self._raw_routes:
            match = route.pattern.match(scope["path"])
            if match is not None:
                scope["path_params"] = {
                    name: route.convertors[name].convert(value)
                    for name, value in match.groupdict().items()
                }
                return route
        return None


class _BoundedBody:
    """The request's body: refused by its declared length, or when more than that arrives."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes], bytes_max: int) -> None:
        self._receive = receive
        self._left = bytes_max
        self._chunks = 0
        kind = headers.get(b"content-type", b"").decode("latin-1")
        self.content_type = kind.partition(";")[0].strip().lower()
        declared = headers.get(b"content-length", b"")
        if declared and (not declared.isdigit() or int(declared) > bytes_max):
            raise _too_large(bytes_max)
        self._bytes_max = bytes_max

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._chunks += 1
            if self._left < 0 or self._chunks > CHUNKS_MAX:
                raise _too_large(self._bytes_max)
        return message

    async def read(self) -> bytes:
        """Return the whole body."""
        parts: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)


class _Answer:
    """The response as it goes out: remembers its status and whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def problem(self, problem: Problem, scope: Scope, receive: Receive) -> None:
        """Send a problem, unless an answer has begun already: then the connection is all there is."""
        if self.status == 0:
            await problem.response()(scope, receive, self.send)


def _replay(raw: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return replay


def _route_of(scope: Scope) -> str:
    """Return the route's template: bounded, and free of what callers put in paths."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    if isinstance(path, str):
        return path
    return scope["path"] if scope["path"] in OPEN_PATHS else "unmatched"


def _too_large(bytes_max: int) -> Problem:
    metrics.HTTP_REFUSED.labels("size").inc()
    detail = f"The request body is over {bytes_max} bytes; send smaller batches."
    return Problem(413, detail=detail, type_slug="body-too-large", headers={"Connection": "close"})


def _unsupported(wanted: tuple[str, ...]) -> Problem:
    detail = f"This path takes {', '.join(wanted)}; set the content-type header."
    return Problem(415, detail=detail, type_slug="unsupported-media-type")
