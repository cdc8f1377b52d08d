"""HTTP around a sender in a test: a provider's endpoint, its signed webhooks, and the sender's own.

In: scripts for the next requests, webhooks to post. Out: what the provider saw, what was answered.
"""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import aiohttp
import msgspec
from aiohttp import web
from twilio.request_validator import RequestValidator


class Script(msgspec.Struct):
    """What the provider does with the next request: answer, after a while, or never."""

    status: int = 201
    body: bytes | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    hang: bool = False
    drop: bool = False
    gate: asyncio.Event | None = None


class Provider:
    """Twilio at the wire: answers by script (one per request, then 201), remembers everything."""

    def __init__(self) -> None:
        self.requests: list[dict[str, str]] = []
        self.scripts: list[Script] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/2010-04-01/Accounts/{sid}/Messages.json", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        fields = dict(parse_qsl(await request.text(), keep_blank_values=True))
        self.requests.append(fields)
        script = self.scripts.pop(0) if self.scripts else Script()
        if script.gate is not None:
            await script.gate.wait()
        if script.hang:
            await asyncio.sleep(3_600)
        if script.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        body = script.body
        if body is None:
            body = msgspec.json.encode({"sid": f"SM{uuid4().hex}", "status": "queued"})
        return web.Response(status=script.status, body=body, headers=script.headers)


async def post_signed(
    url: str, fields: Mapping[str, str], token: str, signature: str | None = None
) -> int:
    """Post a webhook as the provider does, signed by its own SDK; return the status."""
    if signature is None:
        signature = RequestValidator(token).compute_signature(url, dict(fields))
    headers = {
        "X-Twilio-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with (
        aiohttp.ClientSession() as client,
        client.post(url, data=urlencode(fields), headers=headers) as answer,
    ):
        return answer.status


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def is_ready(port: int) -> bool:
    """Whether the service at this port says that it is ready."""
    with suppress(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"http://127.0.0.1:{port}/health/ready") as answer,
        ):
            return answer.status == 200
    return False


async def progress_of(port: int, api_key: str) -> dict[str, Any]:
    """Return the answer of GET /v1/progress."""
    async with (
        aiohttp.ClientSession() as client,
        client.get(
            f"http://127.0.0.1:{port}/v1/progress", headers={"X-API-Key": api_key}
        ) as answer,
    ):
        found: dict[str, Any] = await answer.json()
        return found
