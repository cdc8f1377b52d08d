"""Meta's entry in the table of contract cases."""

from collections.abc import Mapping
from typing import Any

from services.whatsapp_sender.channel import WHATSAPP
from services.whatsapp_sender.message import Approved, WhatsAppMessage
from services.whatsapp_sender.providers.meta.codes import KIND_OF_CODE
from shared.events.configuration import SenderAccount
from shared.sender.errors import ErrorKind
from tests.contract.providers.entry import NOWHERE, Entry

TOKEN = "EAAG-contract-token-5530"
SECRET, VERIFY = "meta-app-secret-9127", "meta-verify-token-1184"
NUMBER_ID = "106540352240001"
# With these Meta answers 5xx, which proves nothing: see the cases of the dark.
UNSURE = frozenset({2, 131000, 131016})


def settings(url: str, _: Mapping[str, Any]) -> SenderAccount:
    """Return the account as configured."""
    return SenderAccount(
        channel="whatsapp",
        provider="meta",
        sender="+551140000009",
        rate_per_second=10.0,
        credentials={},
        base_url=url,
        options={"phone_number_id": NUMBER_ID},
    )


def message(to: str, text: str) -> WhatsAppMessage:
    """Return a template of one parameter, so that the words are ours."""
    approved = Approved(name="contract_note", language="pt_BR", parameters=(text,))
    return WhatsAppMessage(to=to, text=text, approved=approved)


META = Entry(
    name="meta",
    channel=WHATSAPP,
    credentials={"access_token": TOKEN, "app_secret": SECRET, "verify_token": VERIFY},
    registration=lambda url: {
        "waba_id": "102290129340001",
        "access_token": TOKEN,
        "app_secret": SECRET,
        "numbers": [{"phone_number_id": NUMBER_ID, "number": "+551140000009", "webhook_url": url}],
        "templates": [{"name": "contract_note", "language": "pt_BR", "body": "{{1}}"}],
        "pair_seconds": 0.0,
    },
    settings=settings,
    unreachable=lambda: settings(NOWHERE, {}),
    message=message,
    address=lambda n: f"+55119{90_000_000 + n:08d}",
    refusals={
        **{code: kind for code, kind in KIND_OF_CODE.items() if code not in UNSURE},
        200: ErrorKind.BAD_CREDENTIALS,
        999_999: ErrorKind.REJECTED,
    },
    rejections={code: kind for code, kind in KIND_OF_CODE.items() if code > 100_000},
    forged=lambda headers: {**headers, "x-hub-signature-256": "sha256=" + "0" * 64},
    webhook_secret="app_secret",
    signs_body=True,
)
