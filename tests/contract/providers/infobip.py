"""Infobip's entry in the table of contract cases."""

from collections.abc import Mapping
from typing import Any

from services.sms_sender.channel import SMS
from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.infobip.codes import KIND_OF_NAME
from shared.events.configuration import SenderAccount
from tests.contract.providers.entry import NOWHERE, Entry

API_KEY = "infobip-api-key-8842"
USER, PASSWORD = "subscriber-7751", "subscription-password-3310"
SENDER = "551140000001"

# Names of statuses can answer a send; all of them, and names of errors, can come in a report.
ANSWERS = {name: kind for name, kind in KIND_OF_NAME.items() if not name.startswith("EC_")}


def settings(url: str, _: Mapping[str, Any]) -> SenderAccount:
    """Return the account as configured."""
    return SenderAccount(
        channel="sms",
        provider="infobip",
        sender=f"+{SENDER}",
        rate_per_second=10.0,
        credentials={},
        base_url=url,
    )


INFOBIP = Entry(
    name="infobip",
    channel=SMS,
    credentials={"api_key": API_KEY, "webhook_user": USER, "webhook_password": PASSWORD},
    registration=lambda url: {
        "id": "contract",
        "api_key": API_KEY,
        "senders": [SENDER],
        "webhook_url": url,
        "webhook_user": USER,
        "webhook_password": PASSWORD,
    },
    settings=settings,
    unreachable=lambda: settings(NOWHERE, {}),
    message=lambda to, text: SmsMessage(to=to, text=text, segments=1),
    address=lambda n: f"+55119{90_000_000 + n:08d}",
    refusals=dict(ANSWERS.items()),
    rejections=dict(KIND_OF_NAME.items()),
    forged=lambda headers: {**headers, "authorization": "Basic c3Vic2NyaWJlcjp3cm9uZw=="},
    webhook_secret="webhook_password",
)
