"""Asking a provider back: only those that want it, confirming only what is genuine."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import pytest

from shared.events.configuration import SenderAccount
from shared.http.problems import Problem
from shared.sender.asking import Asking
from shared.sender.provider import (
    Account,
    Capabilities,
    KeyUnavailableError,
    Sending,
    SendResult,
    Unknown,
    WebhookAnswer,
    WebhookEvent,
    WebhookRequest,
)

REQUEST = WebhookRequest(url="https://example.org/w", headers={}, body=b"genuine")
ACCOUNT = Account(
    tenant_id="acme",
    account_id="main",
    settings=SenderAccount(
        channel="email", provider="p", sender="a", rate_per_second=1.0, credentials={}
    ),
    credentials={},
)


class Plain:
    """A provider of a house that signs with a shared secret."""

    capabilities = Capabilities()
    webhook_answer = WebhookAnswer(body=b"", content_type="text/plain")
    credential_names: Sequence[str] = ()

    def __init__(self, name: str = "p") -> None:
        self.name = name
        self.done: list[str] = []

    async def send(
        self, client: aiohttp.ClientSession, account: Account, message: Any, sending: Sending
    ) -> SendResult:
        del client, account, message, sending
        return Unknown(why="test")

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        del account
        self.done.append("authenticate")
        return request.body == b"genuine"

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        del body
        return ()


class Asked(Plain):
    """A provider of a house that signs with a certificate."""

    def __init__(self, *, reachable: bool = True) -> None:
        super().__init__()
        self._reachable = reachable

    async def prepare(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        del client, request, account
        if not self._reachable:
            raise KeyUnavailableError
        self.done.append("prepare")

    async def confirm(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        del client, request, account
        self.done.append("confirm")


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_who_signs_with_a_secret_is_not_asked(client: aiohttp.ClientSession) -> None:
    provider = Plain()
    await Asking(client, [provider]).ask(provider, ACCOUNT, REQUEST)
    assert not provider.done


async def test_what_is_genuine_is_confirmed(client: aiohttp.ClientSession) -> None:
    provider = Asked()
    await Asking(client, [provider]).ask(provider, ACCOUNT, REQUEST)
    assert provider.done == ["prepare", "authenticate", "confirm"]


async def test_what_is_forged_is_not(client: aiohttp.ClientSession) -> None:
    provider = Asked()
    forged = WebhookRequest(url=REQUEST.url, headers={}, body=b"forged")
    await Asking(client, [provider]).ask(provider, ACCOUNT, forged)
    assert provider.done == ["prepare", "authenticate"]


async def test_what_cannot_be_checked_now_must_come_again(client: aiohttp.ClientSession) -> None:
    provider = Asked(reachable=False)
    with pytest.raises(Problem) as caught:
        await Asking(client, [provider]).ask(provider, ACCOUNT, REQUEST)
    assert caught.value.status == 503
    assert not provider.done
