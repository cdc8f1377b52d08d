"""The e-mail sender at work over SMTP in a test: real Kafka and PostgreSQL, the sandbox's relay.

In: a database in sandbox mode, a broker, topics of one's own, a sandbox. Out: `MailStage`: the
scheduler's part and the facts as on every stage; people, mailboxes and strangers write to the
sender's listener.
"""

import asyncio
from typing import Any

import aiosmtplib

from deploy.local.databases import Database
from services.email_sender.channel import EMAIL
from services.email_sender.settings import EmailSenderSettings
from shared.events import envelope
from shared.events.configuration import ApiKey, SenderAccount, Template
from shared.events.contact import ContactTask
from shared.events.envelope import Envelope
from shared.events.hold import Hold
from shared.events.topics import CONTACT_HOLDS
from shared.http.auth import digest_of
from tests.support.bus import read_all
from tests.support.contacts import TEMPLATE
from tests.support.sandbox import Sandbox
from tests.support.sending import API_KEY, Stage
from tests.support.ses import ACCOUNT
from tests.support.wire import free_port

USERNAME, PASSWORD = "stage-mail", "stage-secret"
SENDER, DOMAIN = "cobranca@acme.example", "bounces.acme.example"


class MailStage(Stage):
    """Everything around one e-mail sender that sends by SMTP."""

    channel = EMAIL
    settings_class = EmailSenderSettings

    def __init__(self, database: Database, bootstrap: str, suffix: str, sandbox: Sandbox) -> None:
        super().__init__(database, bootstrap, suffix)
        self.sandbox = sandbox
        self.mail_port = free_port()
        self.after = sandbox.newest()

    async def configure(self, **limits: Any) -> None:
        """Register the account at the relay; publish it, with limits if any, and its template."""
        made = await asyncio.to_thread(
            self.sandbox.control,
            "POST",
            "/sandbox/accounts",
            {
                "provider": "smtp",
                "username": USERNAME,
                "password": PASSWORD,
                "senders": [SENDER],
                "domains": [DOMAIN],
                "inbound": f"127.0.0.1:{self.mail_port}",
            },
        )
        account = SenderAccount(
            channel="email",
            provider="smtp",
            sender=SENDER,
            rate_per_second=1_000.0,
            credentials={"username": "env:TEST_MAIL_USER", "password": "env:TEST_MAIL_PASSWORD"},
            base_url=made["url"],
            options={"bounce_domain": DOMAIN},
            **limits,
        )
        key = ApiKey(sha256=digest_of(API_KEY), scopes=("operator",), label="test")
        await self.store("account", ACCOUNT, account)
        await self.store("api_key", "k", key)
        await self.store("template", TEMPLATE, a_mail_template())

    def environment(self, port: int) -> dict[str, str]:
        """What the process reads."""
        return super().environment(port) | {
            "MODE": "sandbox",
            "POSTGRES_URL": self.database.url("email_sender"),
            "MAIL_PORT": str(self.mail_port),
        }

    async def says(self, task: ContactTask, text: str, intent: str = "other") -> None:
        """Let the recipient of a mail, or their mail program, answer it."""
        body = {"recipient": task.address, "text": text, "intent": intent, "provider": "smtp"}
        await asyncio.to_thread(self.sandbox.control, "POST", "/sandbox/replies", body)

    async def script(self, task: ContactTask, **fault: Any) -> None:
        """Let the mail of a contact meet a trouble once."""
        fault = {"times": 1, **fault, "match": {"recipient": task.address}}
        await asyncio.to_thread(self.sandbox.control, "POST", "/sandbox/faults", fault)

    async def behave(self, **profile: Any) -> None:
        """Let debtors behave otherwise."""
        body = {"preset": "silent", "callback_retry_ms": [50, 200, 1_000], **profile}
        await asyncio.to_thread(self.sandbox.control, "POST", "/sandbox/behaviour", body)

    async def truth(self, kind: str, task: ContactTask | None = None) -> list[dict[str, Any]]:
        """What the relay noted of a kind since this stage began (about one contact)."""
        lines = await asyncio.to_thread(self.sandbox.truth, self.after)
        wanted = str(task.contact_id) if task is not None else None
        return [
            line
            for line in lines
            if line["kind"] == kind and wanted in (None, line.get("contact_id"))
        ]

    async def mail(self, to: str, words: str, *, sender: str = "stranger@example.net") -> int:
        """Bring a mail to the sender's listener as any mail system may; return the answer."""
        content = f"From: {sender}\r\nTo: {to}\r\nSubject: hello\r\n\r\n{words}\r\n"
        try:
            await aiosmtplib.send(
                content.encode(),
                sender=sender,
                recipients=[to],
                hostname="127.0.0.1",
                port=self.mail_port,
                start_tls=False,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            return error.recipients[0].code
        except aiosmtplib.SMTPResponseException as error:
            return error.code
        return 250

    async def holds(self) -> list[Hold]:
        """Every hold published so far."""
        found = await read_all(self.bootstrap, CONTACT_HOLDS.name + self.suffix)
        events = [
            Envelope.from_record(record.headers, record.value)
            for records in found.values()
            for record in records
        ]
        return [
            envelope.decode(event.data, Hold) for event in events if event.type == "hold.changed.v1"
        ]


def a_mail_template(**changes: Any) -> Template:
    fields: dict[str, Any] = {
        "channel": "email",
        "content_class": "utility",
        "texts": {"pt-BR": "Olá {name}, sua fatura de {amount} venceu. Responda SAIR para parar."},
        "subjects": {"pt-BR": "Uma mensagem para {name}"},
        "html": {"pt-BR": "<body><p>Olá <b>{name}</b>: {amount}</p></body>"},
    }
    return Template(**(fields | changes))
