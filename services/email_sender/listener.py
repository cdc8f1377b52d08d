"""Mail comes in: bounces, complaints, answering machines and replies, by SMTP.

In: SMTP (RFC 5321), after STARTTLS (RFC 3207) where a certificate is set, from the relay or MX that
serves the accounts' bounce domains. Out: each mail handed on like a webhook, stored before it is
answered 250; 451 when it could not be stored, so that it comes again. Nobody is believed by name:
an address must carry our seal, or the mail must quote a reference of ours; without either only a
plain wish to be left alone is taken, and anything else is refused. Long mails are cut: their words
come first, attachments are never opened.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Sequence

from aiosmtpd.smtp import SMTP, Envelope, Session

from services.email_sender.addressees import Addressee, Addressees
from services.email_sender.mail_tls import MailTls
from services.email_sender.mail_traces import receiving
from services.email_sender.returns import read_own, stored_mail
from services.email_sender.settings import EmailSenderSettings
from shared.http.edge import RawRoute
from shared.postgres import TRANSIENT_ERRORS
from shared.runtime import CannotStart
from shared.sender.doors import Surroundings
from shared.sender.provider import InboundReply, UnreadableWebhookError, WebhookRequest
from shared.sender.replies import is_opt_out
from shared.telemetry import logs, metrics

MAIL_BYTES_MAX = 10_485_760  # people attach photos of receipts; beyond it mail systems refuse, too
KEPT_BYTES_MAX = 262_144  # of a mail: words come first, and a webhook may have as much
LINE_BYTES_MAX = 8_192  # the book says 1,000; some answering machines do not
RECIPIENTS_MAX = 10  # a bounce or a reply has one
TIMEOUT_SECONDS = 60.0  # for each command; the book's five minutes are for slow lines
COMMANDS_MAX = 100  # of one kind in one connection
CONNECTION_SECONDS_MAX = 600.0  # a mail takes seconds; who drips bytes must not hold a place
CLOSE_SECONDS_MAX = 5.0
READY, NOBODY = "250 2.1.5 ok", "550 5.1.1 no such address here"
NOT_YET = "451 4.3.2 not ready, send it again"
NOT_STORED = "451 4.3.0 not stored, send it again"
UNPROVED = "550 5.7.1 reply to the message itself, so that it is clear what is meant"
ENCRYPTED = "503 5.5.1 TLS is active already"
PASSWORDS = ("LOGIN", "PLAIN")  # nobody logs in here
BUSY = b"421 4.3.2 too many connections, try again\r\n"

# An address in the head of a stored mail: a bare CR in it would begin a line of its own there.
_PLAIN = re.compile(r"[!-~]{0,254}")
_log = logs.get_logger(__name__)


class MailDoor:
    """The SMTP listener."""

    name = "mail"

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        settings = surroundings.settings
        self._host = settings.mail_host if isinstance(settings, EmailSenderSettings) else ""
        self._port = settings.mail_port if isinstance(settings, EmailSenderSettings) else 0
        self._connections_max = (
            settings.mail_connections_max if isinstance(settings, EmailSenderSettings) else 0
        )
        self._tls_required = (
            isinstance(settings, EmailSenderSettings) and settings.mail_tls_required
        )
        self._tls = MailTls(
            settings.mail_tls_files() if isinstance(settings, EmailSenderSettings) else None
        )
        self._addressees = Addressees(surroundings.directory, surroundings.callbacks, "email")
        self._server: asyncio.Server | None = None
        self.connections: set[_Connection] = set()

    def routes(self) -> Sequence[RawRoute]:
        """Return none: SMTP only."""
        return ()

    async def start(self) -> None:
        """Listen."""
        if not self._port:
            return
        # The library quotes addresses and lines of mails in its log.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, self._host, self._port)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            msg = f"cannot listen on {self._host}:{self._port} ({reason}): see MAIL_PORT"
            raise CannotStart(msg) from None

    async def stop(self) -> None:
        """Take no more mail; mails in hand are stored or not answered."""
        if self._server is None:
            return
        self._server.close()
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS_MAX
        while any(each.busy for each in self.connections):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        for each in list(self.connections):
            each.abort()

    def _connection(self) -> "_Connection":
        tls = self._tls.context()
        return _Connection(self, self._connections_max, tls, tls_required=self._tls_required)

    async def handle_EHLO(  # noqa: N802 - the library's name for it
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Offer what there is; the library would offer passwords once TLS is active."""
        del server, envelope
        session.host_name = hostname
        return [each for each in responses if not each.startswith("250-AUTH")]

    async def handle_exception(self, error: Exception) -> str:
        """Let a mail that met a fault of ours come again; the library would refuse it for good."""
        _log.error("mail_failed", error_type=type(error).__name__)
        return NOT_STORED

    async def handle_RCPT(  # noqa: N802 - the library's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient that is ours."""
        del server, session, options
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return "452 4.5.3 too many recipients"
        if not _PLAIN.fullmatch(address) or self._addressees.find(address) is None:
            if not self._surroundings.configured():
                return NOT_YET
            metrics.SENDER_WEBHOOKS.labels("no_account").inc()
            return NOBODY
        envelope.rcpt_tos.append(address)
        return READY

    async def handle_DATA(  # noqa: N802 - the library's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Store a mail for each of its recipients, then answer."""
        del session
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        return_path = envelope.mail_from or ""
        if isinstance(server, _Connection):
            server.busy = True
        try:
            return await receiving(
                self._surroundings.settings.trace_sample_ratio,
                lambda trace: self._take(content, return_path, envelope.rcpt_tos, trace),
            )
        finally:
            if isinstance(server, _Connection):
                server.busy = False

    async def _take(
        self, content: bytes, return_path: str, recipients: Sequence[str], trace: str | None
    ) -> str:
        if not _PLAIN.fullmatch(return_path):
            return_path = ""
        answers = [await self._one(content, return_path, each, trace) for each in recipients]
        # One refusal refuses all: the sending system repeats or returns the mail as a whole.
        return next((each for each in answers if not each.startswith("250")), answers[0])

    async def _one(self, content: bytes, return_path: str, address: str, trace: str | None) -> str:
        addressee = self._addressees.find(address)
        if addressee is not None and not addressee.sealed:
            addressee = self._addressees.proved(address, content[:KEPT_BYTES_MAX]) or addressee
        if addressee is None:
            return NOBODY
        body = stored_mail(return_path, addressee.address, content[:KEPT_BYTES_MAX])
        if not addressee.sealed and not _wants_silence(body):
            metrics.SENDER_WEBHOOKS.labels("forged").inc()
            return UNPROVED
        return await self._store(addressee, body, trace)

    async def _store(self, addressee: Addressee, body: bytes, trace: str | None) -> str:
        webhook = WebhookRequest(
            url=f"mailto:{addressee.address}", headers={}, body=body, traceparent=trace
        )
        try:
            await self._surroundings.receive(addressee.account, webhook)
        except TRANSIENT_ERRORS as error:
            _log.error("mail_not_stored", error_type=type(error).__name__)
            return NOT_STORED
        return "250 2.0.0 taken"


class _Connection(SMTP):
    """One connection of a sending mail system."""

    line_length_limit = LINE_BYTES_MAX

    def __init__(
        self,
        door: MailDoor,
        connections_max: int,
        tls: ssl.SSLContext | None,
        *,
        tls_required: bool,
    ) -> None:
        super().__init__(
            door,
            data_size_limit=MAIL_BYTES_MAX,
            enable_SMTPUTF8=True,
            hostname="mail",
            ident="ready",
            timeout=TIMEOUT_SECONDS,
            command_call_limit=COMMANDS_MAX,
            tls_context=tls,
            require_starttls=tls_required,
            auth_exclude_mechanism=PASSWORDS,
        )
        self._door = door
        self._connections_max = connections_max
        self._end = self.loop.call_later(CONNECTION_SECONDS_MAX, self.abort)
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless too many are here already; called again when TLS begins."""
        super().connection_made(transport)
        self._door.connections.add(self)
        if len(self._door.connections) > self._connections_max and isinstance(
            transport, asyncio.WriteTransport
        ):
            transport.write(BUSY)
            transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """End."""
        self._door.connections.discard(self)
        self._end.cancel()
        super().connection_lost(error)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 - the library's name for it
        """Begin TLS, once: a second layer would be work that a stranger can ask for."""
        if self.session is not None and self.session.ssl is not None:
            await self.push(ENCRYPTED)
            return
        await super().smtp_STARTTLS(arg)

    def abort(self) -> None:
        """End now."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


def _wants_silence(body: bytes) -> bool:
    try:
        events = read_own(body) or ()
    except UnreadableWebhookError:
        return False
    return any(isinstance(each, InboundReply) and is_opt_out(each.text) for each in events)
