"""An SMTP relay's entry in the table of contract cases: sending; what returns comes by mail."""

from collections.abc import Mapping
from typing import Any

from services.email_sender.channel import EMAIL
from services.email_sender.message import Email
from services.email_sender.statuses import PERMANENT_KINDS
from shared.events.configuration import SenderAccount
from shared.sender.errors import ErrorKind
from tests.contract.providers.entry import Entry

USERNAME, PASSWORD = "contract-mail", "smtp-password-5127"
SENDER, BOUNCES = "cobranca@contract.example", "returns.contract.example"

# Enhanced codes as a relay says them of a recipient: for good, or for now.
FOR_GOOD = {f"5.{code}": kind for kind, codes in PERMANENT_KINDS.items() for code in codes}
FOR_NOW = {
    "4.7.28": ErrorKind.THROTTLED,
    "4.7.1": ErrorKind.RECIPIENT_THROTTLED,
    "4.2.2": ErrorKind.RECIPIENT_THROTTLED,
    "4.3.0": ErrorKind.PROVIDER_BUSY,
}


def settings(url: str, registered: Mapping[str, Any]) -> SenderAccount:
    """Return the account as configured; the registration tells where the relay listens."""
    return SenderAccount(
        channel="email",
        provider="smtp",
        sender=SENDER,
        rate_per_second=10.0,
        credentials={},
        base_url=registered.get("url", url),
        options={"bounce_domain": BOUNCES},
    )


def message(to: str, text: str) -> Email:
    """Return a mail with words of one's own."""
    return Email(
        to=to,
        from_name="Loja Exemplo",
        subject="Uma mensagem para você",
        body=text,
        markup=None,
        language="pt-BR",
    )


SMTP = Entry(
    name="smtp",
    channel=EMAIL,
    credentials={"username": USERNAME, "password": PASSWORD},
    registration=lambda _: {
        "username": USERNAME,
        "password": PASSWORD,
        "senders": [SENDER],
        "domains": [BOUNCES],
    },
    settings=settings,
    unreachable=lambda: settings("smtp://127.0.0.1:9", {}),
    message=message,
    address=lambda n: f"joana.{n}@example.org",
    refusals=dict((FOR_GOOD | FOR_NOW).items()),
    rejections={},
    scripted=lambda code: f"{550 if str(code).startswith('5') else 450} {code} as told",
    forged=lambda headers: headers,
    webhook_secret=None,
    webhooks=False,
    retry_after=False,
    # Until the last line of a mail is written, a relay has none of it.
    certain=frozenset({"500_before", "timeout_before", "reset_before"}),
)
