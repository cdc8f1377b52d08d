"""The first thing every request meets: limits, authentication, raw routes, errors, timing.

In: ASGI calls from the server. Out: the same calls, bounded and with a `Principal` and a
`traceparent` on them, to the application; or a problem+json answer. Raw routes (`raw_route`) are
answered right here, outside the framework's dependency machinery: webhooks and bulk intake cost
a third of a framework route. Nothing is raised back to the server, whose log would quote it.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from re import Pattern
from typing import Any

import msgspec
from opentelemetry.trace import SpanKind
from starlette.convertors import Convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.auth import SCOPES, STATE_KEY, Authenticator, Principal, authenticate, check_scope
from shared.http.failures import IsAway, answer_to
from shared.http.messages import Answer, Body, unsupported
from shared.http.problems import Problem, from_http
from shared.telemetry import metrics, tracing
from shared.telemetry.labels import Observes

REQUESTS_IN_FLIGHT_MAX = 512  # beyond it requests wait for nothing but memory: 503, come back
WEBSOCKET_REFUSED = 1_008  # policy: there are no websockets here
CLIENT_WENT_AWAY = 499  # what proxies log for a caller that hung up; nobody receives it
OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/health/startup", "/metrics"})
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
TRACE_KEY = "regua.traceparent"
SPAN_KEY = "regua.span"
SERVER_ERRORS = 500  # and above: ours to explain, traced whatever the head decided
ROUTE_KEY = "regua.route"  # matched once: who asks whether to answer, and who answers
SERIES_MAX = 1_024  # of the latency histogram: methods by routes by statuses are far fewer
NAMED_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

Handler = Callable[[Request], Awaitable[Response]]


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


def trace_of(request: Request) -> str:
    """Return the traceparent to put on whatever this request causes."""
    return str(request.scope[TRACE_KEY])


def tell(request: Request, key: str, value: tracing.Attribute) -> None:
    """Record an attribute, never a stranger's word, on the request's span, if it has one."""
    active: tracing.ActiveSpan | None = request.scope.get(SPAN_KEY)
    if active is not None:
        active.set(key, value)


def raw_route(
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

    `content_types` empty takes any; `operation` is the OpenAPI operation object to document it
    (`shared.http.operations`), or one for each method.
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
        self,
        *,
        auth: Authenticator,
        raw_routes: Iterable[RawRoute],
        limits: Limits,
        settled: Callable[[], bool],
        machine_now: Callable[[], datetime],
        is_away: IsAway,
    ) -> None:
        self._app: ASGIApp = _nowhere
        self._auth = auth
        self._raw_routes = tuple(raw_routes)
        self._limits = limits
        self._settled = settled
        self._machine_now = machine_now
        self._is_away = is_away
        self._in_flight = 0

    def before(self, app: ASGIApp) -> "Edge":
        """Stand before this application: what no raw route answers goes on to it."""
        self._app = app
        return self

    def answers(self, scope: Scope) -> bool:
        """Say whether a raw route answers this connection, without the application."""
        return scope["type"] == "http" and self._raw_route(scope) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            body = Body(receive, dict(scope["headers"]), self._limits)
            await self._handle(scope, body, Answer(send))
        else:
            await send({"type": "websocket.close", "code": WEBSOCKET_REFUSED})

    async def _handle(self, scope: Scope, body: Body, answer: Answer) -> None:
        started, began_ns = time.perf_counter(), time.time_ns()
        self._in_flight += 1
        try:
            await self._serve(scope, body, answer)
        except ClientDisconnect:
            answer.status = CLIENT_WENT_AWAY
        except HTTPException as error:
            await answer.problem(from_http(error), scope, body)
        except Exception as error:  # noqa: BLE001 - the last wall: answer, log once, never re-raise
            await answer.problem(answer_to(error, _route_of(scope), self._is_away), scope, body)
        finally:
            self._in_flight -= 1
            _record(scope, answer.status, time.perf_counter() - started)
            _end_trace(scope, answer.status, began_ns)

    async def _serve(self, scope: Scope, body: Body, answer: Answer) -> None:
        route = self._raw_route(scope)
        health = scope["path"] in OPEN_PATHS
        if self._in_flight > REQUESTS_IN_FLIGHT_MAX and not health:
            detail = "Too many requests at once; try again in a second."
            raise _refuse("load", Problem(503, detail=detail, type_slug="overloaded"))
        headers: dict[bytes, bytes] = dict(scope["headers"])
        ratio = self._limits.trace_sample_ratio
        if health or (route is not None and route.scope is None):
            scope[TRACE_KEY] = tracing.new_traceparent(ratio)  # strangers do not choose our traces
        else:
            scope[STATE_KEY] = self._authenticated(headers)
            given = headers.get(b"traceparent", b"").decode("latin-1")
            scope[TRACE_KEY] = tracing.accept_traceparent(given, ratio)
        body.check_declared()
        if b"%00" in scope.get("query_string", b"") or "\x00" in scope["path"]:
            detail = "The address holds a NUL character; leave it out."
            raise Problem(400, "Malformed address", detail, "malformed-address")
        if tracing.is_sampled(scope[TRACE_KEY]):
            active = tracing.begin(scope["method"], scope[TRACE_KEY], kind=SpanKind.SERVER)
            scope[TRACE_KEY], scope[SPAN_KEY] = active.traceparent, active
        await self._answer(route, scope, body, answer)

    async def _answer(
        self, route: RawRoute | None, scope: Scope, body: Body, answer: Answer
    ) -> None:
        if route is not None:
            await _answer_raw(route, scope, body, answer)
            return
        strict = scope["method"] in METHODS_WITH_BODY
        receive = await body.checked_json() if strict else body.receive
        await self._app(scope, receive, answer.send)

    def _authenticated(self, headers: dict[bytes, bytes]) -> Principal:
        try:
            return authenticate(headers, self._auth, self._machine_now)
        except Problem as problem:
            if self._settled():
                raise _refuse("key", problem) from None
            # The key may well be good: this process has not read the configuration yet.
            detail = "The service is starting and knows no API keys yet; try again."
            busy = Problem(503, detail=detail, type_slug="starting")
            raise _refuse("starting", busy) from None

    def _raw_route(self, scope: Scope) -> RawRoute | None:
        if ROUTE_KEY not in scope:
            scope[ROUTE_KEY] = self._match(scope)
        route: RawRoute | None = scope[ROUTE_KEY]
        return route

    def _match(self, scope: Scope) -> RawRoute | None:
        for route in self._raw_routes:
            match = route.pattern.match(scope["path"])
            if match is not None:
                scope["path_params"] = {
                    name: route.convertors[name].convert(value)
                    for name, value in match.groupdict().items()
                }
                return route
        return None


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind an edge that was put before nothing."""
    del scope, receive, send
    raise Problem(404)


async def _answer_raw(route: RawRoute, scope: Scope, body: Body, answer: Answer) -> None:
    scope["route"] = route
    if scope["method"] not in route.methods:
        raise Problem(405, headers={"Allow": ", ".join(route.methods)})
    if route.scope is not None:
        check_scope(scope, route.scope)
    if route.content_types and body.content_type not in route.content_types:
        raise _refuse("media", unsupported(route.content_types))
    response = await route.handler(Request(scope, body.receive))
    await response(scope, body.receive, answer.send)


def _record(scope: Scope, status: int, seconds: float) -> None:
    _seconds(_method_of(scope), _route_of(scope), status).observe(seconds)


@lru_cache(maxsize=SERIES_MAX)
def _seconds(method: str, route: str, status: int) -> Observes:
    return metrics.HTTP_SECONDS.labels(method, route, str(status))


def _end_trace(scope: Scope, status: int, began_ns: int) -> None:
    """End the request's span; an answer of ours that failed has one even when not sampled."""
    active: tracing.ActiveSpan | None = scope.get(SPAN_KEY)
    if active is None and status < SERVER_ERRORS:
        return
    method, route = _method_of(scope), _route_of(scope)
    told: dict[str, tracing.Attribute] = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
        "url.scheme": scope.get("scheme", "http"),
    }
    name = f"{method} {route}"
    if active is None:
        parent = scope.get(TRACE_KEY)
        tracing.failed(
            name, parent, str(status), kind=SpanKind.SERVER, attributes=told, began_ns=began_ns
        )
        return
    active.rename(name)
    for key, value in told.items():
        active.set(key, value)
    if status >= SERVER_ERRORS:
        active.fail(str(status))
    active.end()


def _method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in NAMED_METHODS else "other"


def _route_of(scope: Scope) -> str:
    """Return the route's template: bounded, and free of what callers put in paths."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return scope["path"] if scope["path"] in OPEN_PATHS else "unmatched"


def _refuse(reason: str, problem: Problem) -> Problem:
    metrics.HTTP_REFUSED.labels(reason).inc()
    return problem
