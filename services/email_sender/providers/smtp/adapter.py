"""SMTP submission (RFC 6409) to any relay: the one provider that is no HTTP one.

In: mails and accounts: `base_url` smtp://host[:587] (STARTTLS) or smtps://host[:465]; credentials
`username`, `password`, `dkim_key` (PEM), each if needed; options as in `OPTIONS`. Out: results.
What the server says before it has the whole mail is certain; from the moment the last line is
written until its answer is read, the outcome is unknown: SMTP has no key that would make a second
try safe. Bounces, complaints and replies come back by mail (`services.email_sender.listener`).
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
import aiosmtplib

from services.email_sender.message import Email, is_address
from services.email_sender.mime import Mail, MimeError, build
from services.email_sender.providers.smtp.codes import Stage, refusal
from services.email_sender.providers.smtp.pool import (
    NotHandedOverError,
    Pools,
    Relay,
    RelayPool,
)
from shared.sender.call_traces import reached
from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import (
    Accepted,
    Account,
    Capabilities,
    Refused,
    Sending,
    SendResult,
    Unknown,
    UnreadableWebhookError,
    WebhookAnswer,
    WebhookEvent,
    WebhookRequest,
)

OPTIONS = frozenset(
    {
        "from_name",  # display name of the sender; default: the creditor's
        "reply_to",  # where answers go; default: to us, when there is a bounce_domain
        "bounce_domain",  # whose mail reaches our listener: return paths and replies live in it
        "dkim_domain",  # default: the sender's domain
        "dkim_selector",
        "connections_max",  # connections to the relay at once
        "local_hostname",  # how we greet; default: the sender's domain
    }
)
CONNECTIONS_DEFAULT, CONNECTIONS_MAX = 16, 200
SUBMISSION_PORT, SUBMISSIONS_PORT = 587, 465
START_INPUT, OK_FIRST, OK_LAST = 354, 200, 299
REFUSED_FIRST, REFUSED_LAST = 400, 599
CALL_SECONDS_DEFAULT = 18.0  # where the process names no limits of its own
_DOT = re.compile(rb"(?m)^\.")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")


class Smtp:
    """The adapter."""

    name = "smtp"
    capabilities = Capabilities(echoes_reference=True)
    webhook_answer = WebhookAnswer(body=b"", content_type="text/plain")
    credential_names: Sequence[str] = ("username", "password")

    def __init__(self) -> None:
        self._pools = Pools()

    async def send(
        self, client: aiohttp.ClientSession, account: Account, message: Email, sending: Sending
    ) -> SendResult:
        """Hand one mail over; the HTTP client is asked for the process's time limits only."""
        try:
            relay = relay_of(account, sandbox=sending.sandbox)
            mail = await _built(message, account, sending)
        except MimeError as error:
            return _refused(ErrorKind.ACCOUNT_SETTINGS, f"settings: {error}")
        reached(relay.host, relay.port, "smtp")
        seconds_max = _seconds(client)
        call = Call(await self._pools.of(relay), mail, sending.stopped, seconds_max)
        try:
            async with asyncio.timeout(seconds_max):
                return await call.make()
        except NotHandedOverError as error:
            return Refused(error=error.error)
        except (aiosmtplib.SMTPException, OSError) as error:  # time-outs are among them
            if call.written:
                timed_out = isinstance(error, TimeoutError)
                return Unknown(why="timeout" if timed_out else "connection_lost")
            return _refused(ErrorKind.UNREACHABLE, type(error).__name__)

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Refuse: a mail relay posts nothing; what comes by mail proves itself by its address."""
        del request, account
        return False

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Nothing to read: see `authenticate`."""
        del body
        msg = "SMTP has no webhooks"
        raise UnreadableWebhookError(msg)

    async def close(self) -> None:
        """Close the connections that rest."""
        await self._pools.close()


class Call:
    """One mail on its way; `written` says that the server may have all of it."""

    def __init__(
        self, pool: RelayPool, mail: Mail, stopped: Callable[[], bool], seconds_max: float
    ) -> None:
        self._pool = pool
        self._mail = mail
        self._stopped = stopped
        self._seconds_max = seconds_max
        self.written = False

    async def make(self) -> SendResult:
        """Hand the mail over; a connection that died at rest is replaced once, unnoticed."""
        while True:
            lent = await self._pool.take(self._seconds_max)
            result: SendResult | None = None
            try:
                # A hold may have come while this mail waited for a connection: claimed anew, it
                # will be found.
                if self._stopped():
                    result = _refused(ErrorKind.NOT_STARTED, "stopped")
                else:
                    result = await self._converse(lent.client)
            except aiosmtplib.SMTPServerDisconnected:
                if self.written or lent.fresh:
                    raise
            else:
                return result
            finally:
                clean = isinstance(result, Accepted)
                self._pool.give_back(lent, usable=result is not None, clean=clean)

    async def _converse(self, client: aiosmtplib.SMTP) -> SendResult:
        for stage, command in self._commands(client):
            response = await client.execute_command(*command)
            expected = response.code == START_INPUT if stage is Stage.DATA else _ok(response.code)
            if not expected:
                return _refusal(stage, response)
        return await self._content(client)

    def _commands(self, client: aiosmtplib.SMTP) -> list[tuple[Stage, list[bytes]]]:
        """Return the envelope; where the server can, bounces bring headers only, and our name."""
        mail = self._mail
        sender = [b"MAIL", f"FROM:<{mail.return_path}>".encode()]
        recipient = [b"RCPT", f"TO:<{mail.to}>".encode()]
        if client.supports_extension("size"):
            sender.append(f"SIZE={len(mail.content)}".encode())
        if client.supports_extension("dsn"):
            sender += [b"RET=HDRS", f"ENVID={mail.message_id.partition('@')[0]}".encode()]
            recipient.append(b"NOTIFY=SUCCESS,FAILURE,DELAY")
        return [(Stage.SENDER, sender), (Stage.RECIPIENT, recipient), (Stage.DATA, [b"DATA"])]

    async def _content(self, client: aiosmtplib.SMTP) -> SendResult:
        """Write the mail and its last dot, and read what became of it."""
        protocol = client.protocol
        if protocol is None:
            msg = "lost before the mail"
            raise aiosmtplib.SMTPServerDisconnected(msg)
        self.written = True
        protocol.write(_DOT.sub(b"..", self._mail.content) + b".\r\n")
        try:
            response = await protocol.read_response(timeout=self._seconds_max)
        except aiosmtplib.SMTPResponseException:
            client.close()
            return Unknown(why="garbled_answer")
        if _ok(response.code):
            return Accepted(provider_ref=self._mail.message_id)
        if REFUSED_FIRST <= response.code <= REFUSED_LAST:
            return _refusal(Stage.DATA, response)
        client.close()
        return Unknown(why="garbled_answer")


def relay_of(account: Account, *, sandbox: bool) -> Relay:
    """Return the relay of an account; raise `MimeError` naming the field to mend."""
    settings = account.settings
    url = urlsplit(settings.base_url or "")
    try:
        port = url.port
    except ValueError:
        port = -1
    if url.scheme not in {"smtp", "smtps"} or not url.hostname or port == -1:
        raise MimeError("base_url")
    options = settings.options
    if unknown := sorted(set(options) - OPTIONS):
        raise MimeError(f"options.{unknown[0]}")
    for name in ("bounce_domain", "dkim_domain", "local_hostname"):
        if name in options and not _DOMAIN.fullmatch(options[name]):
            raise MimeError(f"options.{name}")
    if "reply_to" in options and not is_address(options["reply_to"]):
        raise MimeError("options.reply_to")
    connections = options.get("connections_max", str(CONNECTIONS_DEFAULT))
    if not connections.isdecimal() or not 1 <= int(connections) <= CONNECTIONS_MAX:
        raise MimeError("options.connections_max")
    implicit = url.scheme == "smtps"
    return Relay(
        host=url.hostname,
        port=port or (SUBMISSIONS_PORT if implicit else SUBMISSION_PORT),
        implicit_tls=implicit,
        must_be_secure=not sandbox,
        username=account.credentials.get("username", ""),
        password=account.credentials.get("password", ""),
        local_hostname=options.get("local_hostname") or settings.sender.rpartition("@")[2],
        connections_max=int(connections),
    )


async def _built(email: Email, account: Account, sending: Sending) -> Mail:
    """Build the mail; signing is milliseconds of arithmetic that the loop need not wait for."""
    if "dkim_key" in account.credentials:
        return await asyncio.to_thread(build, email, account, sending)
    return build(email, account, sending)


def _refusal(stage: Stage, response: aiosmtplib.SMTPResponse) -> Refused:
    return Refused(error=refusal(stage, response.code, response.message))


def _refused(kind: ErrorKind, code: str) -> Refused:
    return Refused(error=SendError(kind=kind, code=code))


def _ok(code: int) -> bool:
    return OK_FIRST <= code <= OK_LAST


def _seconds(client: aiohttp.ClientSession) -> float:
    """Return how long one call may take: what the process grants an HTTP call."""
    limits = client.timeout
    if limits.connect is None or limits.sock_read is None:
        return CALL_SECONDS_DEFAULT
    return limits.connect + limits.sock_read
