"""Amazon SES's entry in the table of contract cases."""

from collections.abc import Mapping
from typing import Any

from services.email_sender.channel import EMAIL
from services.email_sender.message import Email
from services.email_sender.providers.ses.answers import KIND_OF_CODE
from services.email_sender.providers.ses.events import BOUNCES
from shared.events.configuration import SenderAccount
from tests.contract.providers.entry import NOWHERE, Entry
from tests.support.ses_account import KEY_ID, SECRET, TOPIC, configured, registration

OTHER_TOPIC = f"{TOPIC}-of-another"


def settings(url: str, _: Mapping[str, Any]) -> SenderAccount:
    """Return the account as configured."""
    return configured(url)


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


SES = Entry(
    name="ses",
    channel=EMAIL,
    credentials={"access_key_id": KEY_ID, "secret_access_key": SECRET},
    registration=lambda url: registration(
        signature_version="2", subscriptions=[{"endpoint": url, "confirmed": True}]
    ),
    settings=settings,
    unreachable=lambda: settings(NOWHERE, {}),
    message=message,
    address=lambda n: f"maria.{n}@example.net",
    refusals=dict(KIND_OF_CODE.items()),
    rejections={cause: kind for cause, kind in BOUNCES.items() if ":" in cause},
    # What is signed is the body; that a header contradicts it is enough.
    forged=lambda headers: {**headers, "x-amz-sns-topic-arn": OTHER_TOPIC},
    webhook_secret=None,
    retry_after=False,
)
