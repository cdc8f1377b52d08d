"""A real server on a free port: who may come in, what may be sent, what an error looks like."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import msgspec
import pytest
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
from shared.telemetry import metrics

BODY_BYTES_MAX = 10_000
NOW = datetime.now(UTC)  # noqa: TID251 - expiry is judged by the host's clock
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

    async def call(
        self, method: str, path: str, key: str | None = "reader", **request: Any
    ) -> httpx.Response:
        headers = request.pop("headers", {}) | ({"x-api-key": key} if key else {})
        return await self.client.request(method, path, headers=headers, **request)


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "unused:9092")
    monkeypatch.setenv("POSTGRES_URL", "postgresql://unused/regua")
    settings = ServiceSettings(http_body_bytes_max=BODY_BYTES_MAX, trace_sample_ratio=0.0)
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


# ---- who may come in -----------------------------------------------------------------------------


async def test_a_key_in_either_header_names_its_caller(site: Site) -> None:
    expected = {"tenant_id": "acme", "key_id": "key-reader", "scopes": ["read"]}
    assert (await site.call("GET", "/v1/me")).json() == expected
    bearer = {"authorization": "Bearer reader"}
    assert (await site.call("GET", "/v1/me", None, headers=bearer)).json() == expected


@pytest.mark.parametrize(
    ("key", "slug"),
    [(None, "missing-key"), ("wrong", "unknown-key"), ("expired", "expired-key"),
     ("r" * 100_000, "unknown-key")],
    ids=["none", "wrong", "expired", "huge"],
)  # fmt: skip
async def test_without_a_good_key_nobody_comes_in(site: Site, key: str | None, slug: str) -> None:
    if key is not None and len(key) > 1_000:
        key = key[:8_000]  # beyond it the server itself refuses the header
    answer = await site.call("GET", "/v1/me", key)
    assert_problem(answer, 401, slug)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_strangers_cannot_tell_which_paths_exist(site: Site) -> None:
    for path in ("/v1/me", "/v1/no-such-path", "/openapi.json", "/docs", "/v1/raw"):
        assert_problem(await site.call("GET", path, None), 401, "missing-key")


async def test_every_route_but_health_metrics_and_public_ones_wants_a_key(site: Site) -> None:
    document = (await site.call("GET", "/openapi.json")).json()
    open_paths = set()
    for path in document["paths"]:
        method = next(iter(document["paths"][path])).upper()
        answer = await site.call(method, path.replace("{", "").replace("}", ""), None)
        if answer.status_code != 401:
            open_paths.add(path)
    assert open_paths == {
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/metrics",
        "/webhooks/{provider}/{account}",
        "/v1/raw/fail",
    }


async def test_a_missing_scope_is_named(site: Site) -> None:
    body = assert_problem(
        await site.call("POST", "/v1/debtors", json={"name": "x", "phone": "y"}),
        403,
        "missing-scope",
    )
    assert "events:write" in body["detail"]
    assert_problem(await site.call("POST", "/v1/raw", json={}), 403, "missing-scope")
    assert_problem(await site.call("GET", "/v1/progress"), 403, "missing-scope")


async def test_a_key_that_was_withdrawn_is_refused_at_once(site: Site) -> None:
    entry = msgspec.structs.replace(a_key("reader", "read"), version=2, deleted=True)
    site.directory.apply([entry])
    assert_problem(await site.call("GET", "/v1/me"), 401, "unknown-key")


async def test_an_unknown_key_while_starting_is_asked_to_come_back(site: Site) -> None:
    site.ready = False
    answer = await site.call("GET", "/v1/me", "not-read-yet")
    assert_problem(answer, 503, "starting")
    assert answer.headers["retry-after"] == "1"
    site.ready = True
    assert_problem(await site.call("GET", "/v1/me", "not-read-yet"), 401, "unknown-key")
    site.ready = False
    assert_problem(await site.call("GET", "/v1/me", "not-read-yet"), 401, "unknown-key")


# ---- what an error looks like --------------------------------------------------------------------


async def test_unknown_paths_and_methods(site: Site) -> None:
    assert_problem(await site.call("GET", "/v1/nothing"), 404, "not-found")
    assert_problem(await site.call("GET", "/v1/me/"), 404, "not-found")
    wrong = await site.call("DELETE", "/v1/me")
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "GET"
    wrong = await site.call("GET", "/v1/raw", "writer")
    assert_problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"name": "x"}, "phone", "is required"),
        ({"name": "x", "phone": PHONE, PHONE: 1}, "***", "is not known"),
        ({"name": "Maria " * 9, "phone": PHONE}, "name",
         "string should have at most 20 characters"),
        ({"name": "x", "phone": PHONE, "age": "Maria"}, "age", "input should be a valid integer"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_with_its_remedy_and_without_its_value(
    site: Site, body: dict[str, Any], field: str, message: str
) -> None:
    answer = await site.call("POST", "/v1/debtors", "writer", json=body)
    problem = assert_problem(answer, 422, "validation")
    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["message"] == message
    assert error["remedy"]


async def test_raw_routes_name_wrong_fields_the_same_way(site: Site) -> None:
    answer = await site.call("POST", "/v1/raw", "writer", json={"debt_ref": 1})
    (error,) = assert_problem(answer, 422, "validation")["errors"]
    assert error["field"] == "debt_ref"


async def test_a_problem_raised_below_a_route_arrives_as_it_is(site: Site) -> None:
    body = assert_problem(await site.call("GET", "/v1/broken/problem"), 409, "conflict")
    assert body["detail"] == "This id was used with another body."


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/broken/all"), ("POST", "/v1/raw/fail")])
async def test_a_crash_is_one_clean_500(site: Site, method: str, path: str) -> None:
    answer = await site.call(method, path)
    assert_problem(answer, 500, "internal-server-error")


# ---- what may be sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/debtors", "/v1/raw"])
@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b'{"name": NaN}', "malformed-json"),
        (b'{"name": Infinity}', "malformed-json"),
        (b'{"name": "a", "name": "b"}', "malformed-json"),
        (b'{"name": ', "malformed-json"),
        (b"\xff\xfe\x00", "malformed-json"),
        (b"[" * 200 + b"]" * 200, "json-too-deep"),
        (b'{"a":' * 1_500 + b"1" + b"}" * 1_500, "json-too-deep"),
    ],
    ids=["nan", "infinity", "repeated", "cut", "bytes", "deep-list", "deep-object"],
)
async def test_json_must_be_strict_and_flat(
    site: Site, path: str, content: bytes, slug: str
) -> None:
    answer = await site.call("POST", path, "writer", content=content, headers=JSON)
    assert_problem(answer, 400, slug)


@pytest.mark.parametrize("path", ["/v1/debtors", "/v1/raw"])
async def test_other_content_types_are_refused(site: Site, path: str) -> None:
    answer = await site.call(
        "POST", path, "writer", content=b"a=1", headers={"content-type": "x/y"}
    )
    body = assert_problem(answer, 415, "unsupported-media-type")
    assert "application/json" in body["detail"]


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 1_000):
        yield b"x" * 1_000


@pytest.mark.parametrize("path", ["/v1/debtors", "/v1/raw", "/webhooks/twilio/a"])
async def test_a_body_is_refused_by_its_declared_length(site: Site, path: str) -> None:
    content = b"x" * (BODY_BYTES_MAX + 1)
    answer = await site.call("POST", path, "writer", content=content, headers=JSON)
    body = assert_problem(answer, 413, "body-too-large")
    assert str(BODY_BYTES_MAX) in body["detail"]


@pytest.mark.parametrize("path", ["/v1/debtors", "/v1/raw", "/webhooks/twilio/a"])
async def test_a_body_is_refused_while_it_streams(site: Site, path: str) -> None:
    content = chunks(BODY_BYTES_MAX + 5_000)
    answer = await site.call("POST", path, "writer", content=content, headers=JSON)
    assert_problem(answer, 413, "body-too-large")


async def test_a_body_at_the_limit_is_taken(site: Site) -> None:
    answer = await site.call("POST", "/webhooks/twilio/a", None, content=b"x" * BODY_BYTES_MAX)
    assert answer.json()["bytes"] == BODY_BYTES_MAX
    answer = await site.call("POST", "/webhooks/twilio/a", None, content=chunks(BODY_BYTES_MAX))
    assert answer.json()["bytes"] == BODY_BYTES_MAX


async def test_a_caller_that_hangs_up_halfway_harms_nobody(site: Site) -> None:
    host, port = site.client.base_url.host, site.client.base_url.port
    before = _count("POST", "/webhooks/{provider}/{account}", "499")
    _, writer = await asyncio.open_connection(host, port)
    writer.write(b"POST /webhooks/a/b HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while _count("POST", "/webhooks/{provider}/{account}", "499") == before:
            await site.call("GET", "/health/live", None)
    assert (await site.call("GET", "/health/live", None)).status_code == 200


def _count(method: str, route: str, status: str) -> float:
    labels = {"method": method, "route": route, "status": status}
    name = "regua_http_request_duration_seconds_count"
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


# ---- raw routes, traces, health, documents -------------------------------------------------------


async def test_a_raw_route_sees_path_body_and_trace(site: Site) -> None:
    answer = await site.call("POST", "/webhooks/twilio/main", None, content=b"abc")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["bytes"], body["provider"], body["account"]) == (3, "twilio", "main")
    assert body["trace"].endswith("-00")


async def test_a_stranger_does_not_choose_our_trace(site: Site) -> None:
    given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = {"traceparent": given}
    answer = await site.call("POST", "/webhooks/twilio/main", None, headers=headers)
    assert answer.json()["trace"] != given


async def test_health_says_live_ready_and_started_apart(site: Site) -> None:
    site.ready = False
    assert (await site.call("GET", "/health/live", None)).status_code == 200
    body = assert_problem(await site.call("GET", "/health/ready", None), 503, "not-ready")
    assert body["checks"] == {"database": False}
    assert_problem(await site.call("GET", "/health/startup", None), 503, "not-ready")
    site.ready = True
    assert (await site.call("GET", "/health/ready", None)).status_code == 200
    site.ready = False
    assert (await site.call("GET", "/health/startup", None)).status_code == 200
    assert (await site.call("GET", "/health/ready", None)).status_code == 503


async def test_progress_is_for_operators(site: Site) -> None:
    answer = await site.call("GET", "/v1/progress", "operator")
    progress = msgspec.json.decode(answer.content, type=Progress)
    assert progress.counters == {"posted": 3}
    assert progress.pending == {"outbox": 0}
    assert progress.next_due == NOW


async def test_metrics_name_route_templates_only(site: Site) -> None:
    await site.call("POST", "/webhooks/twilio/private-account", None)
    await site.call("GET", f"/v1/{PHONE}")
    text = (await site.call("GET", "/metrics", None)).text
    assert 'route="/webhooks/{provider}/{account}"' in text
    assert 'route="unmatched"' in text
    assert "private-account" not in text
    assert PHONE not in text


async def test_the_openapi_document_names_every_route_and_the_key(site: Site) -> None:
    document = (await site.call("GET", "/openapi.json")).json()
    assert document["openapi"].startswith("3.")
    assert document["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"
    assert document["paths"]["/webhooks/{provider}/{account}"]["post"]["security"] == []
    assert "post" in document["paths"]["/v1/raw"]
    assert json.dumps(document)


def test_a_raw_route_must_say_who_may_call_it() -> None:
    with pytest.raises(ValueError, match="public=True or one scope"):
        raw_route("/x", echo)
    with pytest.raises(ValueError, match="public=True or one scope"):
        raw_route("/x", echo, public=True, scope="read")
    with pytest.raises(ValueError, match="one scope of"):
        raw_route("/x", echo, scope="everything")
    with pytest.raises(ValueError, match="unknown scope"):
        require("everything")
