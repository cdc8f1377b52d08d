"""Webhooks that are genuinely signed and still hostile: a tenant knows its own account's token."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from shared.sender.webhook_bodies import BODY_BYTES_MAX
from tests.support.contacts import ACCOUNT, TENANT, a_task
from tests.support.sending import Stage

HOSTILE = [
    {"MessageSid": "SM\x00", "MessageStatus": "delivered"},
    {"MessageSid": "S" * 5_000, "MessageStatus": "delivered"},
    {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "9" * 5_000},
    {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "\u00b2"},
    {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30\x00"},
    {"MessageSid": "SM1", "MessageStatus": "\x00"},
    {"MessageSid": "SM1", "From": "\x00", "To": "\x00", "Body": "\x00"},
]


async def test_no_webhook_stops_the_sender(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        url = f"http://127.0.0.1:{stage.port}/webhooks/twilio/{TENANT}/{ACCOUNT}"
        assert [await stage.webhook(url, fields) for fields in HOSTILE] == [200] * len(HOSTILE)
        await stage.dispatch(task)
        accepted = await stage.fact(task, "accepted")
        genuine = {**stage.provider.requests[-1], "sid": accepted.provider_ref}
        assert await stage.callback(genuine, "delivered") == 200
        await stage.fact(task, "delivered")
    assert stage.exit_code == 0


async def test_an_endless_webhook_is_refused_before_it_is_in_memory(stage: Stage) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * (BODY_BYTES_MAX + 1)
        await asyncio.Event().wait()

    async with stage.running(), aiohttp.ClientSession() as session, asyncio.timeout(10):
        url = f"http://127.0.0.1:{stage.port}/webhooks/twilio/{TENANT}/{ACCOUNT}"
        async with session.post(url, data=endless()) as answer:
            assert answer.status == 413
