"""A served application with one route of each kind, and a client for it.

In: nothing but a free port. Out: `serve()` for the fixture `site`, and what HTTP tests assert of
every error.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import msgspec
from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from shared.directory import Directory
from shared.events.configuration import ApiKey, ConfigEntry
from shared.http import bodies
from shared.http.auth import Principal, require
from shared.http.client import open_client
from shared.http.edge import trace_of
from shared.http.problems import Problem
from shared.http.server import HttpServer, Progress, create_app, json_response, raw_route
from shared.settings import ServiceSettings

BODY_BYTES_MAX = 10_000
NOW = datetime(2030, 3, 2, 12, tzinfo=UTC)  # far from the host's clock, which nobody asks
PHONE = "+5511987654321"
JSON = {"content-type": "application/json"}


class Debtor(BaseModel, extra="forbid"):
    name: str = Field(max_length=20)
    phone: str
    age: int = 0


class Debt(msgspec.Struct, forbid_unknown_fields=True):
    debt_ref: str


def a_key(presented: str, *scopes: str, tenant_id: str = "acme", days: int = 1) -> ConfigEntry:
    digest = hashlib.sha256(presented.encode()).hexdigest()
    body = ApiKey(sha256=digest, scopes=scopes, label="test", expires_at=NOW + timedelta(days=days))
    return ConfigEntry(
        kind="api_key",
        tenant_id=tenant_id,
        id=f"key-{presented}",
        version=1,
        body=msgspec.Raw(msgspec.json.encode(body)),
        changed_at=NOW,
        changed_by="test",
    )


def a_router() -> APIRouter:
    router = APIRouter()

    @router.get("/v1/me")
    async def me(caller: Annotated[Principal, Depends(require("read"))]) -> Response:
        return json_response(caller)

    @router.post("/v1/debtors")
    async def post(
        debtor: Debtor, _: Annotated[Principal, Depends(require("events:write"))]
    ) -> dict[str, Any]:
        return debtor.model_dump()

    @router.get("/v1/broken/{what}")
    async def broken(what: str, _: Annotated[Principal, Depends(require("read"))]) -> None:
        if what == "problem":
            raise Problem(409, "Conflict", "This id was used with another body.", "conflict")
        msg = f"debtor 'Maria' at {PHONE} is broken"
        raise RuntimeError(msg)

    return router


async def echo(request: Request) -> Response:
    raw = await request.body()
    return json_response(
        {"bytes": len(raw), "trace": trace_of(request), **request.path_params}, status=202
    )


async def intake(request: Request) -> Response:
    return json_response(await bodies.read(request, Debt), status=202)


async def fail(_: Request) -> Response:
    msg = f"webhook from {PHONE} is broken"
    raise RuntimeError(msg)


class Site:
    """A served application, and a client for it."""

    def __init__(self, app: FastAPI, directory: Directory, client: httpx.AsyncClient) -> None:  # noqa: TID251
        self.app = app
        self.directory = directory
        self.client = client
        self.ready = True
        self.machine_now = NOW

    async def call(
        self, method: str, path: str, key: str | None = "reader", **request: Any
    ) -> httpx.Response:
        headers = request.pop("headers", {}) | ({"x-api-key": key} if key else {})
        return await self.client.request(method, path, headers=headers, **request)


@asynccontextmanager
async def serve(settings: ServiceSettings) -> AsyncIterator[Site]:
    """Serve the application for a while."""
    directory = Directory()
    directory.apply(
        [
            a_key("reader", "read"),
            a_key("writer", "events:write"),
            a_key("operator", "operator"),
            a_key("expired", "read", days=-1),
        ]
    )
    made: list[Site] = []

    async def progress() -> Progress:
        return Progress(counters={"posted": 3}, pending={"outbox": 0}, next_due=NOW)

    app = create_app(
        service="probe",
        settings=settings,
        auth=directory,
        machine_now=lambda: made[0].machine_now,
        routers=[
            a_router(),
            raw_route("/webhooks/{provider}/{account}", echo, public=True),
            raw_route("/v1/raw", intake, scope="events:write", content_types=("application/json",)),
            raw_route("/v1/raw/fail", fail, public=True),
        ],
        readiness=lambda: {"database": made[0].ready},
        progress=progress,
    )
    server = await HttpServer.start(app, settings)
    async with open_client(f"http://{server.host}:{server.port}") as client:
        made.append(Site(app, directory, client))
        yield made[0]
    await server.stop()


def assert_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:regua:problem:{slug}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("urn:uuid:")
    assert PHONE.removeprefix("+") not in answer.text
    assert "Maria" not in answer.text
    return body
