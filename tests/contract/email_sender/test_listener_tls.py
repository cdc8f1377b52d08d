"""Mail comes in over TLS: what is offered, what is required, and certificates that are renewed."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosmtplib
import pytest
import uvloop
from cryptography import x509

from tests.contract.email_sender.test_listener import BODY, DOMAIN, WAIT_SECONDS_MAX, Door
from tests.support.certificates import Authority

TOO_OLD = ssl.TLSVersion.TLSv1_1
Issued = tuple[Path, Path]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def listening(issued: Issued, **changes: object) -> AsyncIterator[Door]:
    certificate, key = issued
    door = Door(mail_tls_certificate_file=certificate, mail_tls_key_file=key, **changes)
    door.configure()
    await door.listener.start()
    yield door
    await door.listener.stop()


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.ca))


async def began(door: Door, context: ssl.SSLContext) -> aiosmtplib.SMTP:
    """Connect and begin TLS."""
    client = door.client()
    await client.connect()
    await client.starttls(tls_context=context)
    return client


async def shown(door: Door, context: ssl.SSLContext) -> int:
    """The serial number of the certificate that a new connection is shown."""
    client = await began(door, context)
    certificate = client.get_transport_info("ssl_object").getpeercert(binary_form=True)
    client.close()
    return x509.load_der_x509_certificate(certificate).serial_number


def serial_of(certificate: Path) -> int:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


async def test_a_mail_over_tls(authority: Authority) -> None:
    async with listening(authority.issue("mail"), mail_tls_required=True) as door:
        address = f"r-{door.reference()}@{DOMAIN}"
        client = await began(door, trusting(authority))
        await client.ehlo()
        assert not client.supports_extension("starttls")
        assert not client.supports_extension("auth")  # nobody logs in here
        assert (await client.execute_command(b"STARTTLS")).code == 503
        await client.sendmail("ana@example.com", [address], BODY)
        await client.quit()
        assert [webhook.url for _, webhook in door.taken] == [f"mailto:{address}"]


def test_as_the_process_runs_it(authority: Authority) -> None:
    """The process runs on another event loop than the tests do; TLS is made of its transports."""

    async def once() -> int:
        async with listening(authority.issue("mail"), mail_tls_required=True) as door:
            client = await began(door, trusting(authority))
            await client.sendmail("ana@example.com", [f"r-{door.reference()}@{DOMAIN}"], BODY)
            await client.quit()
            return len(door.taken)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(once()) == 1


@pytest.mark.parametrize(("required", "code"), [(False, 250), (True, 530)])
async def test_mail_without_tls(authority: Authority, *, required: bool, code: int) -> None:
    async with listening(authority.issue("mail"), mail_tls_required=required) as door:
        async with door.client() as client:
            await client.ehlo()
            assert client.supports_extension("starttls")
        assert await door.mail(f"r-{door.reference()}@{DOMAIN}") == code
        assert len(door.taken) == (not required)


async def test_without_a_certificate_none_is_offered() -> None:
    door = Door()
    await door.listener.start()
    async with door.client() as client:
        await client.ehlo()
        assert not client.supports_extension("starttls")
        assert (await client.execute_command(b"STARTTLS")).code == 454
    await door.listener.stop()


async def test_old_versions_and_strangers_authorities_get_no_connection(
    authority: Authority, tmp_path: Path
) -> None:
    old = trusting(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version, old.maximum_version = TOO_OLD, TOO_OLD
    old.set_ciphers("ALL:@SECLEVEL=0")
    (tmp_path / "other").mkdir()
    stranger = trusting(Authority(tmp_path / "other"))
    async with listening(authority.issue("mail")) as door:
        for context in (old, stranger):
            with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError, OSError)):
                await began(door, context)
        client = await began(door, trusting(authority))  # and it still serves the others
        await client.quit()


async def test_what_was_said_before_tls_is_forgotten(authority: Authority) -> None:
    """Commands that stand behind STARTTLS unencrypted are nobody's (RFC 3207, 4.2)."""
    async with listening(authority.issue("mail")) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        await reader.readline()
        writer.write(b"STARTTLS\r\nEHLO injected\r\nMAIL FROM:<eve@example.com>\r\n")
        assert (await reader.readline()).startswith(b"220")
        await writer.start_tls(trusting(authority), server_hostname="127.0.0.1")
        writer.write(b"RCPT TO:<x@example.com>\r\n")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            answer = await reader.readline()
        assert answer.startswith(b"503")  # neither a greeting nor a sender was heard
        writer.close()


async def test_a_renewed_certificate_is_shown_without_a_restart(authority: Authority) -> None:
    first = authority.issue("mail")
    async with listening(first) as door:
        before = await shown(door, trusting(authority))
        newer = authority.issue("newer")
        wanted = serial_of(newer[0])
        newer[0].replace(first[0])  # in two steps, as renewals go
        assert await shown(door, trusting(authority)) == before
        newer[1].replace(first[1])
        assert await shown(door, trusting(authority)) == wanted != before


@pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_text("nonsense")])
async def test_a_spoilt_certificate_leaves_the_old_one_in_use(
    authority: Authority, spoil: Callable[[Path], object]
) -> None:
    issued = authority.issue("mail")
    async with listening(issued) as door:
        before = await shown(door, trusting(authority))
        spoil(issued[0])
        assert await shown(door, trusting(authority)) == before
