"""The e-mail sender's SMTP adapter against the sandbox's relay, and the mails that come back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from typing import Any

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.email_sender.message import Email
from services.email_sender.providers.smtp import Smtp
from services.email_sender.returns import read_own, stored_mail
from shared.events.configuration import SenderAccount
from shared.sender.calls import new_client
from shared.sender.provider import Account, Sending, SendResult, WebhookEvent
from tests.support.bus import until
from tests.support.sandbox import Sandbox

USERNAME, PASSWORD = "acme-mail", "smtp-secret"
SENDER, DOMAIN = "cobranca@acme.example", "bounces.acme.example"
READ_SECONDS = 0.5
REFERENCE = "0123456789abcdef0123456789abcdef-1-20261122-{:016x}"
UNSUBSCRIBE = "http://127.0.0.1:9/unsubscribe/acme/mail"
DEBTOR = "fedcba9876543210fedcba9876543210"

_numbers = count(1)


class Mailbox:
    """The client's MX: keeps what comes as the listener would store it."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, bytes]] = []
        self.answers: list[str] = []

    async def handle_DATA(  # noqa: N802 - the library's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        assert isinstance(envelope.content, bytes)
        if self.answers:
            return self.answers.pop(0)
        for to in envelope.rcpt_tos:
            stored = stored_mail(envelope.mail_from or "", to, envelope.content)
            self.mails.append((to, stored))
        return "250 2.0.0 taken"

    def events(self, reference: str) -> list[WebhookEvent]:
        """Everything that came about one mail."""
        found: list[WebhookEvent] = []
        for _, body in self.mails:
            found += [
                event
                for event in read_own(body) or ()
                if getattr(event, "our_reference", None) == reference
            ]
        return found


class Relay:
    """One account of the sandbox's relay, and an adapter that uses it."""

    def __init__(self, sandbox: Sandbox, client: aiohttp.ClientSession, mailbox: Mailbox) -> None:
        self.sandbox = sandbox
        self.client = client
        self.mailbox = mailbox
        self.provider = Smtp()
        self.url = ""
        self.after = sandbox.newest()

    async def register(self, **changes: Any) -> None:
        body = {
            "provider": "smtp",
            "username": USERNAME,
            "password": PASSWORD,
            "senders": [SENDER],
            "domains": [DOMAIN],
        }
        made = await asyncio.to_thread(
            self.sandbox.control, "POST", "/sandbox/accounts", body | changes
        )
        self.url = made["url"]

    def account(self, *, password: str = PASSWORD, **changes: Any) -> Account:
        fields: dict[str, Any] = {
            "channel": "email",
            "provider": "smtp",
            "sender": SENDER,
            "rate_per_second": 10.0,
            "credentials": {},
            "base_url": self.url,
            "options": {"bounce_domain": DOMAIN, "connections_max": "2"},
        }
        credentials = {"username": USERNAME, "password": password}
        credentials |= changes.pop("credentials", {})
        return Account(
            tenant_id="acme",
            account_id="mail",
            settings=SenderAccount(**(fields | changes)),
            credentials=credentials,
        )

    async def send(
        self,
        to: str,
        *,
        account: Account | None = None,
        sandbox: bool = True,
        reference: str | None = None,
        stopped: Callable[[], bool] = lambda: False,
        **words: Any,
    ) -> SendResult:
        reference = reference or REFERENCE.format(next(_numbers))
        sending = Sending(
            callback_url="http://unused.example/",
            validity_seconds=3_600,
            reference=reference,
            unsubscribe_url=f"{UNSUBSCRIBE}/{reference}-{DEBTOR}-{'0' * 16}",
            sandbox=sandbox,
            stopped=stopped,
        )
        return await self.provider.send(
            self.client, account or self.account(), a_mail(to, **words), sending
        )

    def script(self, to: str, **fault: Any) -> None:
        self.sandbox.control(
            "POST", "/sandbox/faults", {"times": 1, **fault, "match": {"recipient": to}}
        )

    def truth(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.sandbox.truth(self.after) if line["kind"] == kind]

    async def came(self, reference: str, number: int = 1) -> list[WebhookEvent]:
        """Wait for events about one mail."""
        await until(lambda: len(self.mailbox.events(reference)) >= number)
        return self.mailbox.events(reference)


def a_mail(to: str, **words: Any) -> Email:
    fields: dict[str, Any] = {
        "from_name": "Casa Aurora",
        "subject": "Um lembrete da Casa Aurora",
        "body": "Olá Ana, R$ 120,00.\n.\n..linha",
        "markup": None,
        "language": "pt-BR",
    }
    return Email(to=to, **(fields | words))


def an_address(number: int | None = None) -> str:
    return f"ana{next(_numbers) if number is None else number}@example.com"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture(scope="session")
def rsa_key() -> tuple[str, str]:
    """A DKIM key: PEM for the signer, the DNS record for the verifier."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    bare = "".join(public.decode().splitlines()[1:-1])
    return pem.decode(), f"v=DKIM1; k=rsa; p={bare}"


@pytest.fixture
async def relay(sandbox: Sandbox) -> AsyncIterator[Relay]:
    """The relay with one account, silent debtors, no faults, and a mailbox for what comes back."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop), "127.0.0.1", 0)
    sandbox.control("DELETE", "/sandbox/faults")
    sandbox.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
    async with new_client(4, 1.0, READ_SECONDS) as client:
        made = Relay(sandbox, client, mailbox)
        await made.register(inbound=f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield made
        await made.provider.close()
    server.close()
