"""Builds a service's HTTP application and runs it inside the service's process.

In: routers and raw routes, an authenticator, readiness and progress. Out: a FastAPI application
whose every route is authenticated (health and metrics aside), whose every error is problem+json,
and whose OpenAPI document is generated; and `HttpServer`, which serves it on an already bound
port, so that "port in use" is one line and exit code 3.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from shared.http import document
from shared.http.auth import Authenticator
from shared.http.edge import Edge, Limits, RawRoute, raw_route
from shared.http.failures import IsAway, never
from shared.http.guarded import Guarded
from shared.http.problems import from_http, from_validation
from shared.http.standard import Health, Progress, json_response, standard_routes
from shared.settings import CannotStart, ServiceSettings
from shared.telemetry import logs

__all__ = ["HttpServer", "Progress", "RawRoute", "create_app", "json_response", "raw_route"]

BACKLOG_CONNECTIONS = 1_024
KEEP_ALIVE_SECONDS = 75  # longer than the idle time of common load balancers (60 s)
START_SECONDS_MAX = 10.0
# The framework's own would record bodies and exception messages: ours does not.
NO_FRAMEWORK_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_log = logs.get_logger(__name__)


def create_app(
    *,
    service: str,
    settings: ServiceSettings,
    auth: Authenticator,
    machine_now: Callable[[], datetime],
    routers: Sequence[APIRouter | RawRoute],
    readiness: Callable[[], Mapping[str, bool]],
    progress: Callable[[], Awaitable[Progress]],
    about: document.About | None = None,
    lifespan: Lifespan | None = None,
    is_away: IsAway = never,
) -> FastAPI:
    """Return the application of one service; `machine_now` judges whether a key has expired.

    `is_away` says which errors mean that a server is away or busy: they are answered 503.
    """
    app = Guarded(
        title=f"Regua {service}",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat a stranger's Host header
        openapi_url="/openapi.json",
        max_body_size=None,  # the edge counts, and answers 413 as problem+json
        telemetry=NO_FRAMEWORK_TELEMETRY,
    )
    raw_routes = [each for each in routers if isinstance(each, RawRoute)]
    app.state.raw_routes = raw_routes
    health = Health(readiness)
    standard = standard_routes(health, progress)
    app.include_router(standard)
    for router in routers:
        if isinstance(router, APIRouter):
            app.include_router(router)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.guard(
        Edge(
            auth=auth,
            raw_routes=raw_routes,
            limits=_limits(settings),
            settled=health.was_ready,
            machine_now=machine_now,
            is_away=is_away,
        )
    )
    _document(app, [standard, *routers], about)
    return app


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(
        body_bytes_max=settings.http_body_bytes_max,
        json_depth_max=settings.http_json_depth_max,
        trace_sample_ratio=settings.trace_sample_ratio,
    )


async def _on_invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return from_validation(error).response()


async def _on_http(_: Request, error: Exception) -> Response:
    return from_http(error).response()


def _document(
    app: FastAPI, routers: Sequence[APIRouter | RawRoute], about: document.About | None
) -> None:
    """Answer /openapi.json with the finished document, made when it is first asked for."""
    generated = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document.finished(generated, routers, about or document.About())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


class HttpServer:
    """Serves an application on its own socket; started first, so that health answers early."""

    def __init__(self, app: ASGIApp, *, host: str, port: int, drain_seconds_max: float) -> None:
        self._socket = _bound(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="httptools",  # h11, the fallback of a plain install, costs 75 % more CPU
            loop="uvloop",
            ws="none",
            lifespan="auto",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody may tell us who they are by a header
            backlog=BACKLOG_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, int(drain_seconds_max)),
        )
        self._server = _Embedded(config)
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, app: ASGIApp, settings: ServiceSettings) -> "HttpServer":
        """Bind and serve; raise `CannotStart` when the port is taken."""
        server = cls(
            app,
            host=settings.http_host,
            port=settings.http_port,
            drain_seconds_max=settings.drain_seconds_max,
        )
        await server.serve()
        _log.info("http_listening", host=server.host, port=server.port)
        return server

    async def serve(self) -> None:
        """Accept connections; return when the first could be answered."""
        self._task = asyncio.create_task(  # noqa: TID251 - awaited by `stop`
            self._server.serve(sockets=[self._socket]), name="http"
        )
        async with asyncio.timeout(START_SECONDS_MAX):
            while not self._server.started:
                if self._task.done():
                    await self._task
                    msg = "the HTTP server ended while starting"
                    raise CannotStart(msg)
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stop accepting, let running requests end, close."""
        self._server.should_exit = True
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task
        self._socket.close()


class _Embedded(uvicorn.Server):
    """Uvicorn without its own signal handlers: the service decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to `shared.runtime`."""
        yield


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            msg = f"port {port} on {host} is in use; set HTTP_PORT to a free one (0 takes any)"
        else:
            msg = (
                f"cannot listen on {host}:{port} ({error.strerror}); check HTTP_HOST and HTTP_PORT"
            )
        raise CannotStart(msg) from None
    return listener
