"""The page's server: takes spans, answers the page and what it asks for; changes nothing.

In: OTLP over HTTP from the services of this machine. Out: HTML, and JSON for it. It listens on
127.0.0.1 alone, answers to no other name (a page of a stranger cannot read it by its own domain),
and the page may load nothing from elsewhere.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deploy.view.scrapes import Scrapes
from deploy.view.traces import Traces, UnreadableExport

BODY_BYTES_MAX = 4_194_304  # 512 spans, the exporter's largest batch, have some 300 kB
QUERY_CHARS_MAX = 64  # a trace's id has 32, a contact's 36
HOSTS = ["127.0.0.1", "localhost"]
FILES = {
    "page.html": "text/html",
    "page.js": "text/javascript",
    "page.css": "text/css",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
FOLDER = Path(__file__).parent

_encode = msgspec.json.Encoder().encode


class TooLarge(ValueError):
    """More than `BODY_BYTES_MAX`, packed or unpacked."""


def create_app(targets: Mapping[str, str]) -> Starlette:
    """Return the application; `targets` are base URLs of the services, by name."""
    traces, scrapes = Traces(), Scrapes(targets)

    async def take(request: Request) -> Response:
        try:
            traces.take(await _body(request))
        except TooLarge:
            return PlainTextResponse("too large", 413)
        except (UnreadableExport, zlib.error) as error:
            return PlainTextResponse(str(error), 400)
        return Response(b"", media_type="application/x-protobuf")

    async def metrics(_: Request) -> Response:
        return _json(scrapes.as_json())

    async def listed(request: Request) -> Response:
        asked = request.query_params
        found = traces.newest(
            asked.get("id", "")[:QUERY_CHARS_MAX],
            errors="errors" in asked,
            asides="asides" in asked,
        )
        return _json({"traces": found, "spans": traces.spans, "dropped": traces.dropped})

    async def one(request: Request) -> Response:
        return _json({"spans": traces.spans_of(request.path_params["trace_id"])})

    @asynccontextmanager
    async def looking(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(scrapes.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return Starlette(
        routes=[
            Route("/", _file("page.html")),
            *(Route(f"/{name}", _file(name)) for name in FILES),
            Route("/health/ready", _ready),
            Route("/v1/traces", take, methods=["POST"]),
            Route("/api/metrics", metrics),
            Route("/api/traces", listed),
            Route("/api/traces/{trace_id}", one),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)],
        lifespan=looking,
    )


async def _ready(_: Request) -> Response:
    return PlainTextResponse("ready")


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        text = (FOLDER / name).read_text()
        return Response(text, media_type=FILES[name], headers=HEADERS)

    return answer


def _json(value: object) -> Response:
    return Response(_encode(value), media_type="application/json", headers=HEADERS)


async def _body(request: Request) -> bytes:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > BODY_BYTES_MAX:
            raise TooLarge
    if request.headers.get("content-encoding") != "gzip":
        return bytes(raw)
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    body = unpacking.decompress(bytes(raw), BODY_BYTES_MAX)
    if unpacking.unconsumed_tail:
        raise TooLarge
    return body
