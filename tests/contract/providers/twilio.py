"""Twilio's entry in the table of contract cases."""

from collections.abc import Mapping
from typing import Any

from services.sms_sender.channel import SMS
from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.twilio.codes import KIND_OF_CODE
from shared.events.configuration import SenderAccount
from tests.contract.providers.entry import NOWHERE, Entry

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "twilio-secret-token"
NUMBER = "+15017122661"


def settings(url: str, _: Mapping[str, Any]) -> SenderAccount:
    """Return the account as configured."""
    return SenderAccount(
        channel="sms",
        provider="twilio",
        sender=NUMBER,
        rate_per_second=10.0,
        credentials={},
        base_url=url,
    )


TWILIO = Entry(
    name="twilio",
    channel=SMS,
    credentials={"account_sid": SID, "auth_token": TOKEN},
    registration=lambda url: {
        "sid": SID,
        "token": TOKEN,
        "numbers": [{"number": NUMBER, "inbound_url": url}],
    },
    settings=settings,
    unreachable=lambda: settings(NOWHERE, {}),
    message=lambda to, text: SmsMessage(to=to, text=text, segments=1),
    address=lambda n: f"+55119{80_000_000 + n:08d}",
    # Told with a status of 500 and more, and then nothing is certain.
    refusals={code: kind for code, kind in KIND_OF_CODE.items() if code not in {20500, 20503}},
    rejections=dict(KIND_OF_CODE.items()),
    forged=lambda headers: {**headers, "x-twilio-signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    webhook_secret="auth_token",
    signs_body=True,
)
