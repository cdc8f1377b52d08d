"""Messages of Amazon SNS for tests: recorded ones, whom they are for, and a place that serves keys.

In: `sns_vectors.json`: messages that Amazon's own validator (JavaScript) accepted. Out: those, and
`Amazon`. Signatures of this kind are the same whenever they are made, so making them again is as
good as asking it again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from services.email_sender.providers.ses import Ses
from shared.events.configuration import SenderAccount
from shared.sender.provider import Account, WebhookRequest

VECTORS = msgspec.json.decode(Path(__file__).with_name("sns_vectors.json").read_bytes())
MESSAGES: list[dict[str, str]] = VECTORS["messages"]
TOPIC = MESSAGES[0]["TopicArn"]
SENT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CERTIFICATE = "/SimpleNotificationService-a1.pem"


class Amazon:
    """Serves what the tests tell it to, in the place of SNS."""

    def __init__(self) -> None:
        self.served: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.origin = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(str(request.rel_url))
        status, body = self.served.get(request.path, (404, b""))
        return web.Response(status=status, body=body)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator["Amazon"]:
        """Listen on 127.0.0.1, with the certificate of the recorded messages at hand."""
        made = cls()
        application = web.Application()
        application.router.add_get("/{path:.*}", made.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        made.served[CERTIFICATE] = (200, VECTORS["certificate"].encode())
        yield made
        await runner.cleanup()


def account(base_url: str | None, topic_arn: str = TOPIC) -> Account:
    settings = SenderAccount(
        channel="email",
        provider="ses",
        sender="a@example.com",
        rate_per_second=1.0,
        credentials={},
        base_url=base_url,
        options={"topic_arn": topic_arn},
    )
    return Account(tenant_id="acme", account_id="main", settings=settings, credentials={})


def request(message: dict[str, str], received_at: datetime | None = SENT) -> WebhookRequest:
    return WebhookRequest(
        url="https://mail.example.org/webhooks/ses/acme/main",
        headers={"x-amz-sns-topic-arn": message["TopicArn"]},
        body=msgspec.json.encode(message),
        received_at=received_at,
    )


def served_by(amazon: Amazon, message: dict[str, str]) -> dict[str, str]:
    """The message with the address of its certificate (never signed) at our own Amazon."""
    return message | {"SigningCertURL": f"{amazon.origin}/SimpleNotificationService-a1.pem"}


async def is_genuine(
    client: aiohttp.ClientSession, amazon: Amazon, webhook: WebhookRequest, **options: str
) -> bool:
    ses, mine = Ses(), account(amazon.origin, **options)
    await ses.prepare(client, webhook, mine)
    return ses.authenticate(webhook, mine)
