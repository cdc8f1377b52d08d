"""What may be sent: strict JSON, in time, of one size at most; and what happens otherwise."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.http import edge, messages
from shared.telemetry import metrics
from tests.support.site import BODY_BYTES_MAX, JSON, Site, assert_problem


@pytest.mark.parametrize("path", ["/v1/debtors", "/v1/raw"])
@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b'{"name": NaN}', "malformed-json"),
        (b'{"name": Infinity}', "malformed-json"),
        (b'{"name": "a", "name": "b"}', "malformed-json"),
        (b'{"name": "a\\u0000"}', "malformed-json"),
        (b'{"name": ["\\ud800"]}', "malformed-json"),
        (b'{"name": ', "malformed-json"),
        (b"\xff\xfe\x00", "malformed-json"),
        (b"[" * 200 + b"]" * 200, "json-too-deep"),
        (b'{"a":' * 1_500 + b"1" + b"}" * 1_500, "json-too-deep"),
    ],
    ids=[
        "nan",
        "infinity",
        "repeated",
        "nul",
        "surrogate",
        "cut",
        "bytes",
        "deep-list",
        "deep-object",
    ],
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


async def test_a_pair_of_surrogates_is_one_character(site: Site) -> None:
    content = b'{"debt_ref": "\\ud83d\\ude00 \\\\u0000"}'
    answer = await site.call("POST", "/v1/raw", "writer", content=content, headers=JSON)
    assert answer.status_code < 300


@pytest.mark.parametrize("address", ["/v1/me?x=%00", "/v1/broken/a%00b"])
async def test_an_address_holds_no_nul(site: Site, address: str) -> None:
    assert_problem(await site.call("GET", address, "reader"), 400, "malformed-address")


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


async def half_a_request(site: Site) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a head that promises a body, and not the body."""
    reader, writer = await asyncio.open_connection(
        site.client.base_url.host, site.client.base_url.port
    )
    writer.write(b"POST /webhooks/a/b HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
    await writer.drain()
    return reader, writer


async def test_a_body_that_does_not_come_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "BODY_SECONDS_MAX", 0.05)
    monkeypatch.setattr(messages, "LINGER_SECONDS_MAX", 0.05)
    reader, writer = await half_a_request(site)
    async with asyncio.timeout(5):
        answer = await reader.read()  # to the end: the connection is closed
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert b"urn:regua:problem:body-too-slow" in answer
    writer.close()


async def test_a_refused_caller_can_read_why_although_it_is_still_sending(site: Site) -> None:
    content = chunks(2_000_000)
    answer = await site.call("POST", "/v1/raw", "wrong", content=content, headers=JSON)
    assert_problem(answer, 401, "unknown-key")


async def test_beyond_so_many_requests_at_once_callers_are_asked_to_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "REQUESTS_IN_FLIGHT_MAX", 20)
    halves = [await half_a_request(site) for _ in range(20)]
    async with asyncio.timeout(5):
        while (answer := await site.call("GET", "/v1/me")).status_code == 200:
            pass
    assert_problem(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert (await site.call("GET", "/health/live", None)).status_code == 200
    for _, writer in halves:
        writer.close()
    async with asyncio.timeout(5):
        while (await site.call("GET", "/v1/me")).status_code == 503:
            pass
