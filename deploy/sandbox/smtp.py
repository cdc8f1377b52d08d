"""A mail relay, and the mailboxes behind it: the sandbox's SMTP provider.

In: mails by SMTP. Out: answers; delivery reports, complaints, answering machines and replies by
SMTP to the client's MX, one-click unsubscribes by HTTP. It takes mails only as strict relays do
(`smtp_rules`), greylists if the account says so, and signs nothing: like the real thing, what comes
back proves itself by its address alone.
"""

import asyncio

import msgspec

from deploy.sandbox import phrases
from deploy.sandbox import smtp_reports as reports
from deploy.sandbox.certificate import self_signed
from deploy.sandbox.faults import Fault
from deploy.sandbox.messages import Kept, Message
from deploy.sandbox.provider import Parts
from deploy.sandbox.smtp_intake import PROVIDER, Account, SmtpIntake, draw
from deploy.sandbox.smtp_mailer import Letter, Mailer
from deploy.sandbox.smtp_reports import Mail
from deploy.sandbox.smtp_server import Conversation
from deploy.sandbox.webhooks import Delivery, Fate
from deploy.sandbox.wire import Answer, Request

AWAY_SHARE = 0.03  # of delivered mails that an answering machine answers
OPT_OUT = "opt_out_keyword"  # an opt-out without a word of the person's own
ONE_CLICK = b"List-Unsubscribe=One-Click"


class Smtp:
    """The relay."""

    name = PROVIDER
    tells_read = False

    def __init__(self, parts: Parts) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._mails: Kept[Mail] = Kept()
        self._intake = SmtpIntake(parts, self._take)
        self._mailer = Mailer(parts.webhooks, parts.witness)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.counters = self._intake.counters

    def takes(self, path: str) -> bool:
        """Claim nothing: SMTP only."""
        del path
        return False

    def handle(self, request: Request) -> Answer:
        """Never called."""
        raise NotImplementedError(request.path)

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace an account; the answer says where to send."""
        account = msgspec.json.decode(fields, type=Account)
        self._intake.accounts[account.username] = account
        return self._public(account)

    def accounts(self) -> list[dict[str, object]]:
        """Return where each account sends, and as whom."""
        return [self._public(each) for each in self._intake.accounts.values()]

    def find(self, sid: str) -> Message | None:
        """Return a mail by its Message-ID."""
        return self._mails.get(sid)

    async def start(self) -> None:
        """Listen."""
        tls = await asyncio.to_thread(self_signed, self._parts.host)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Conversation(self._intake, tls), self._parts.host, self._parts.smtp_port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and sending."""
        await self._mailer.close()
        if self._server is not None:
            self._server.close()

    def _public(self, account: Account) -> dict[str, object]:
        url = f"smtp://{self._parts.host}:{self.port}"
        return {"username": account.username, "senders": account.senders, "url": url}

    # What becomes of a mail.

    def _take(self, mail: Mail, faults: tuple[Fault, ...]) -> None:
        self._mails.add(mail)
        self._parts.accepted(mail, faults)

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Report by mail, as far as reports were asked for."""
        mail = self._mails.get(message.sid)
        if mail is None:
            fate(None)
            return
        if status == "complained":
            self._letter(mail, "callback", reports.complaint(mail), fate, status)
            return
        if status == "delivered" and draw(mail.sid) < AWAY_SHARE:
            self._letter(mail, "inbound", reports.away(mail, _language(mail)), _nobody, "away")
        action = {"undelivered": "failed"}.get(status, status)
        asked = {"delivered": "SUCCESS", "failed": "FAILURE", "delayed": "DELAY"}.get(action)
        if asked is None or asked not in mail.notify:
            fate(None)
            return
        self._letter(mail, "callback", reports.delivery_report(mail, action, code), fate, status)

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Let the person, or their mail program, answer."""
        mail = self._mails.get(about.sid)
        if mail is None:
            return
        ways = ("one_click", "complaint", "unsubscribe_mail")
        way = intent or ""
        if way == OPT_OUT:  # what programs offer for it, each in its turn
            way = ways[int(draw(mail.sid) * len(ways)) % len(ways)]
        if way == "one_click" and mail.unsubscribe_url:
            self._one_click(mail)
        elif way == "complaint":
            self._letter(mail, "inbound", reports.complaint(mail), _nobody, way)
        elif way == "unsubscribe_mail" and mail.unsubscribe_to:
            content = reports.unsubscribe(mail)
            self._letter(mail, "inbound", content, _nobody, OPT_OUT, to=mail.unsubscribe_to)
        elif way == "away":
            self._letter(mail, "inbound", reports.away(mail, _language(mail)), _nobody, way)
        else:
            self._letter(mail, "inbound", reports.reply(mail, text), _nobody, intent)

    def _one_click(self, mail: Mail) -> None:
        entry = self._parts.witness.entry("inbound", PROVIDER, mail)
        entry.reply = OPT_OUT
        head = (
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n" % len(ONE_CLICK)
        )
        self._parts.webhooks.post(
            Delivery(mail.unsubscribe_url, head, ONE_CLICK, (entry,), _nobody)
        )

    def _letter(
        self,
        mail: Mail,
        kind: str,
        content: bytes,
        fate: Fate,
        told: str | None,
        *,
        to: str | None = None,
    ) -> None:
        """Send a mail about a mail to the client's MX."""
        account = self._intake.accounts.get(mail.account_id)
        if account is None or account.inbound is None:
            fate(None)
            return
        entry = self._parts.witness.entry(kind, PROVIDER, mail)
        person = kind == "inbound" and told not in {"away", "complaint"}
        if kind == "callback":
            entry.status, entry.message_sid = told, mail.sid
            to = to or mail.return_path
        else:
            entry.reply = told
            reports_to = mail.return_path if told == "complaint" else mail.reply_to
            to = to or reports_to or mail.from_
        self._mailer.post(
            Letter(account.inbound, mail.to if person else "", to, content, entry, fate)
        )


def _language(mail: Mail) -> str:
    return phrases.language_of(mail.to, spanish=False)


def _nobody(_: int | None) -> None:
    """Nobody waits for the fate of this mail."""
