"""The sender's own listener at the wire: whom it answers what, and what it hands on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import aiosmtplib
import asyncpg
import msgspec
import pytest

from services.email_sender import listener
from services.email_sender.listener import MailDoor
from services.email_sender.settings import EmailSenderSettings
from shared.directory import Directory
from shared.events import identities
from shared.events.configuration import ConfigEntry, SenderAccount
from shared.runtime import CannotStart
from shared.sender.attempts import Attempt, Frame
from shared.sender.callbacks import Callbacks
from shared.sender.doors import Surroundings
from shared.sender.provider import Account, WebhookRequest
from tests.support.bus import until
from tests.support.contacts import ADDRESS_KEY, now
from tests.support.wire import free_port

DOMAIN, SENDER = "bounces.acme.example", "cobranca@acme.example"
WAIT_SECONDS_MAX = 10.0
BODY = "From: ana@example.com\r\nSubject: Re: x\r\n\r\nok\r\n"


class Door:
    """A listener with one account; `taken` is what it handed on."""

    def __init__(self, **changes: Any) -> None:
        self.port = free_port()
        self.taken: list[tuple[Account, WebhookRequest]] = []
        self.configured = True
        self.failure: Exception | None = None
        self.directory = Directory()
        self.callbacks = Callbacks("https://mail.example", b"k" * 32)
        fields: dict[str, Any] = {
            "kafka_bootstrap": "unused:9092",
            "postgres_url": "postgresql://unused",
            "mode": "sandbox",
            "address_key": ADDRESS_KEY,
            "text_key": ADDRESS_KEY,
            "callback_key": ADDRESS_KEY,
            "mail_port": self.port,
        }
        self.listener = MailDoor(
            Surroundings(
                settings=EmailSenderSettings(**(fields | changes)),
                directory=self.directory,
                callbacks=self.callbacks,
                receive=self.receive,
                configured=lambda: self.configured,
            )
        )

    def configure(self, account_id: str = "mail", **options: str) -> None:
        account = SenderAccount(
            channel="email",
            provider="smtp",
            sender=SENDER,
            rate_per_second=1.0,
            credentials={},
            options={"bounce_domain": DOMAIN} | options,
        )
        entry = ConfigEntry(
            kind="account",
            tenant_id="acme",
            id=account_id,
            version=1,
            body=msgspec.Raw(msgspec.json.encode(account)),
            changed_at=now(),
            changed_by="test",
        )
        self.directory.apply([entry])

    async def receive(self, account: Account, webhook: WebhookRequest) -> bool:
        if self.failure is not None:
            raise self.failure
        self.taken.append((account, webhook))
        return True

    def reference(self, account_id: str = "mail") -> str:
        contact_id = uuid4()
        return self.callbacks.reference(
            Attempt(
                attempt_id=identities.attempt_id(contact_id, 1),
                contact_id=contact_id,
                n=1,
                ends_on=now().date(),
                debtor_id=uuid4(),
                tenant_id="acme",
                account_id=account_id,
                provider="smtp",
                frame=Frame(
                    portfolio_id="p", channel="email", step_key="s", stage=1, template="", items=()
                ),
                not_after=now(),
            )
        )

    def client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.port, start_tls=False, timeout=WAIT_SECONDS_MAX
        )

    async def mail(self, *recipients: str, content: str = BODY) -> int:
        """Bring a mail; return the code of the last word."""
        async with self.client() as client:
            try:
                await client.sendmail("ana@example.com", list(recipients), content)
            except aiosmtplib.SMTPRecipientsRefused as error:
                return error.recipients[0].code
            except aiosmtplib.SMTPResponseException as error:
                return error.code
        return 250


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    made.configure()
    await made.listener.start()
    yield made
    await made.listener.stop()


async def test_a_sealed_address_takes_mail(door: Door) -> None:
    address = f"r-{door.reference()}@{DOMAIN}"
    assert await door.mail(address.upper()) == 250  # mail systems may change the case
    ((account, webhook),) = door.taken
    assert (account.tenant_id, account.account_id) == ("acme", "mail")
    assert webhook.body.startswith(
        f"Return-Path: <ana@example.com>\r\nDelivered-To: {address}\r\nFrom:".encode()
    )


async def test_each_account_of_a_domain_knows_its_own(door: Door) -> None:
    door.configure("other")
    assert await door.mail(f"b-{door.reference('other')}@{DOMAIN}") == 250
    assert door.taken[0][0].account_id == "other"


@pytest.mark.parametrize(
    "address", ["nobody@other.example", f"r-{'0' * 32}-1-20261122-{'0' * 16}@{DOMAIN}"]
)
async def test_strangers_addresses_are_refused_before_the_mail(door: Door, address: str) -> None:
    assert await door.mail(address) == 550
    assert door.taken == []


@pytest.mark.parametrize("address", [SENDER, f"fbl@{DOMAIN}", "answers@acme.example"])
async def test_a_mail_that_quotes_us_is_taken_wherever_it_comes(door: Door, address: str) -> None:
    door.configure(reply_to="answers@acme.example")
    reference = door.reference()
    quoting = f"In-Reply-To: <{reference}@{DOMAIN}>\r\n{BODY}"
    assert await door.mail(address, content=quoting) == 250
    assert f"Delivered-To: r-{reference}@{DOMAIN}\r\n".encode() in door.taken[0][1].body
    assert await door.mail(address) == 550  # it quotes nothing
    assert await door.mail(address, content=BODY.replace("ok", "SAIR")) == 250  # but a stop counts


async def test_what_cannot_be_taken_now_must_come_again(door: Door) -> None:
    door.failure = asyncpg.PostgresConnectionError()
    assert await door.mail(f"r-{door.reference()}@{DOMAIN}") == 451
    door.configured = False
    assert await door.mail("nobody@other.example") == 451
    assert door.taken == []


async def test_long_mails_are_cut_and_huge_ones_refused(door: Door) -> None:
    address = f"r-{door.reference()}@{DOMAIN}"
    attached = BODY + ("x" * 76 + "\r\n") * 20_000
    assert await door.mail(address, content=attached) == 250
    assert len(door.taken[0][1].body) < 300_000
    assert await door.mail(address, content=BODY + ("x" * 998 + "\r\n") * 11_000) == 552


async def test_an_address_with_a_line_end_in_it_is_nobodys(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    hostile = f'RCPT TO:<"x\rDelivered-To: r-{door.reference()}"@{DOMAIN}>'
    writer.write(f"EHLO x\r\nMAIL FROM:<a@b.example>\r\n{hostile}\r\nQUIT\r\n".encode())
    answers = await asyncio.wait_for(reader.read(), WAIT_SECONDS_MAX)
    writer.close()
    assert answers.splitlines()[-2][:1] == b"5"


async def test_a_fault_of_ours_loses_no_mail(door: Door) -> None:
    """It comes again; and the answer tells nothing of what the fault was about."""
    door.failure = RuntimeError("ana@example.com")
    address = f"r-{door.reference()}@{DOMAIN}"
    async with door.client() as client:
        with pytest.raises(aiosmtplib.SMTPDataError) as caught:
            await client.sendmail("ana@example.com", [address], BODY)
    assert caught.value.code == 451
    assert "ana" not in caught.value.message


async def test_a_flood_of_almost_references_costs_little(door: Door) -> None:
    """Anybody may write to an account's address: looking for references must not take seconds."""
    flood = BODY + ("0" * 998 + "\r\n") * 8_000
    began = time.process_time()
    assert await door.mail(SENDER, content=flood) == 550
    assert time.process_time() - began < 2.0


async def test_a_connection_lasts_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CONNECTION_SECONDS_MAX", 0.2)
    door = Door()
    await door.listener.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), WAIT_SECONDS_MAX)
    await until(lambda: not door.listener.connections)
    writer.close()
    await door.listener.stop()


async def test_too_many_connections_are_turned_away() -> None:
    door = Door(mail_connections_max=1)
    door.configure()
    await door.listener.start()
    address = f"r-{door.reference()}@{DOMAIN}"
    async with door.client():
        with pytest.raises((aiosmtplib.SMTPException, OSError)):
            await door.mail(address)
    await until(lambda: not door.listener.connections)
    assert await door.mail(address) == 250
    await door.listener.stop()


async def test_a_port_in_use_is_named(door: Door) -> None:
    other = Door(mail_port=door.port)
    with pytest.raises(CannotStart, match="MAIL_PORT"):
        await other.listener.start()
