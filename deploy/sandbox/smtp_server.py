"""A real SMTP server (aiosmtpd) that behaves as relays do, and fails as tests script it.

In: SMTP with STARTTLS, AUTH, SIZE and DSN. Out: answers with enhanced codes; mails that were taken
go to `Relay.accept`. Troubles act at the stage where a real server has them: before the last dot
the mail is certainly not taken, after it the client cannot know.
"""

import asyncio
import logging
import re
import ssl
from typing import Any, Protocol

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.sandbox.faults import Fault
from deploy.sandbox.smtp_reports import MTA

SIZE_BYTES_MAX = 10_485_760
HANG_SECONDS = 60.0  # a silent server: longer than any client waits
COMMANDS_MAX = 1_000  # of one kind in one connection
_EXTENDED = re.compile(r"\s+(RET|ENVID|NOTIFY|ORCPT)=([!-~]+)", re.IGNORECASE)

GARBLED = {
    "html": b"<html><body>502 Bad Gateway</body></html>\r\n",
    "empty": b"\r\n",
    "wrong_json": b'{"status": "ok"}\r\n',
}


class Relay(Protocol):
    """What stands behind the server."""

    def login(self, username: str, password: str) -> bool:
        """Say whether this is an account."""

    def sender(self, username: str, address: str) -> str | None:
        """Return a refusal of MAIL FROM, None to go on."""

    def recipient(self, session: "Conversation", address: str) -> str | None:
        """Return a refusal of RCPT TO, None to go on; note the request and its fault."""

    def accept(self, session: "Conversation", raw: bytes) -> str:
        """Judge and take a mail; return the answer."""


class Conversation(SMTP):
    """One connection. `wanted` has the DSN parameters, `fault` the trouble of this mail."""

    def __init__(self, relay: Relay, tls: ssl.SSLContext) -> None:
        super().__init__(
            self,
            data_size_limit=SIZE_BYTES_MAX,
            hostname=MTA,
            ident="ESMTP sandbox",
            tls_context=tls,
            auth_required=True,
            authenticator=self._login,
            command_call_limit=COMMANDS_MAX,
        )
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        self._relay = relay
        self.username = ""
        self.return_path = ""
        self.to = ""
        self.wanted: dict[str, str] = {}
        self.fault: Fault | None = None
        self.met: tuple[Fault, ...] = ()

    def _login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        del server, session, envelope, mechanism
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        username = data.login.decode("utf-8", "replace")
        good = self._relay.login(username, data.password.decode("utf-8", "replace"))
        self.username = username if good else ""
        return AuthResult(success=good, handled=False)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Take the parameters of RFC 3461 out, then go on."""
        self.wanted = {}
        self.fault = None
        await super().smtp_MAIL(self._without_extensions(arg))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Likewise."""
        await super().smtp_RCPT(self._without_extensions(arg))

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - the library's name
        """Act out a trouble that comes before the mail."""
        fault = self.fault
        if fault is not None and fault.kind == "timeout_before":
            await asyncio.sleep(fault.seconds or HANG_SECONDS)
            self.abort()
        elif fault is not None and fault.kind == "reset_connection" and not fault.accepted:
            self.abort()
        else:
            await super().smtp_DATA(arg)

    def _without_extensions(self, arg: str | None) -> str | None:
        if arg is None:
            return None
        self.wanted |= {name.upper(): value for name, value in _EXTENDED.findall(arg)}
        return _EXTENDED.sub("", arg)

    async def handle_EHLO(  # noqa: N802 - the library's name
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Offer delivery reports."""
        del server, envelope
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_MAIL(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender that the account may use."""
        del server, session
        refused = self._relay.sender(self.username, address)
        if refused is not None:
            return refused
        envelope.mail_from = self.return_path = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 ok"

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take one recipient."""
        del server, session, options
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        refused = self._relay.recipient(self, address)
        if refused is not None:
            return refused
        self.to = address
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str | None:
        """Take the mail, and spoil the answer when a fault says so."""
        del server, session
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        fault = self.fault
        if fault is None:
            return self._relay.accept(self, raw)
        if fault.kind == "garbled_answer" and fault.accepted is False:
            return self._garbled(fault.shape)
        answer = self._relay.accept(self, raw)
        if not answer.startswith("250"):
            return answer
        if fault.kind == "garbled_answer":
            return self._garbled(fault.shape)
        if fault.kind == "timeout_after_acceptance":
            await asyncio.sleep(fault.seconds or HANG_SECONDS)
            return answer
        self.abort()  # lost after acceptance
        return answer

    def abort(self) -> None:
        """Hang up without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def _garbled(self, shape: str) -> str:
        """Write what no SMTP server says, and hang up."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.write(GARBLED.get(shape, b"25"))
            self.transport.close()
        return "250 nobody hears this"
