"""Outside a sandbox mails and passwords go over TLS with a certificate that holds, or nowhere."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.email_sender.providers.smtp import Smtp
from shared.events.configuration import SenderAccount
from shared.sender.calls import new_client
from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, Account, Refused, Sending, SendResult
from tests.contract.email_sender.conftest import REFERENCE, SENDER, a_mail
from tests.support.certificates import Authority


class Server:
    """A server that notes who logged in and how many mails came."""

    def __init__(self) -> None:
        self.logins: list[bytes] = []
        self.mails = 0

    async def handle_DATA(  # noqa: N802 - the library's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session, envelope
        self.mails += 1
        return "250 2.0.0 taken"

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        del server, session, envelope, mechanism
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        return AuthResult(success=True)


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_client(1, 2.0, 2.0) as made:
        yield made


async def _send(client: aiohttp.ClientSession, url: str) -> SendResult:
    account = Account(
        tenant_id="acme",
        account_id="mail",
        settings=SenderAccount(
            channel="email",
            provider="smtp",
            sender=SENDER,
            rate_per_second=1.0,
            credentials={},
            base_url=url,
        ),
        credentials={"username": "u", "password": "p"},
    )
    sending = Sending(callback_url="", validity_seconds=60, reference=REFERENCE.format(5))
    provider = Smtp()
    result = await provider.send(client, account, a_mail("ana@example.com"), sending)
    await provider.close()
    return result


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_that_holds(
    client: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.issue("relay"))
    served = Server()
    implicit = scheme == "smtps"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(
            served,
            tls_context=None if implicit else tls,
            auth_require_tls=not implicit,
            authenticator=served.login,
            loop=loop,
        ),
        "127.0.0.1",
        0,
        ssl=tls if implicit else None,
    )
    result = await _send(client, f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    assert isinstance(result, Accepted)
    assert (served.logins, served.mails) == ([b"u"], 1)


async def test_no_tls_no_mail_and_no_password(client: aiohttp.ClientSession) -> None:
    served = Server()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(served, auth_require_tls=False, authenticator=served.login, loop=loop),
        "127.0.0.1",
        0,
    )
    result = await _send(client, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    server.close()
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.UNREACHABLE
    assert result.error.code == "starttls_not_offered"
    assert (served.logins, served.mails) == ([], 0)
