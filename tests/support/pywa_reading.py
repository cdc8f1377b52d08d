"""pywa as the judge of Meta's sandbox: it sends templates and reads every webhook posted back.

In: pywa's client, a receiver of webhooks. Out: its own objects, made from signed webhooks only.
"""

from typing import Any

import msgspec
from pywa.client import WhatsApp
from pywa.types.base_update import RawUpdate
from pywa.types.message_status import MessageStatus
from pywa.types.templates import BodyText, TemplateLanguage
from pywa.utils import webhook_updates_validator

from tests.support import meta
from tests.support.sandbox import Hook, Receiver, eventually

DEBTOR = "+5531987654321"
DIGITS = DEBTOR.removeprefix("+")
BODY: Any = BodyText("Olá {{1}}, seu pagamento de {{2}} vence hoje.", "Maria", "R$ 10,00")


def template(wa: WhatsApp, to: str = DIGITS, *params: Any, **changes: Any) -> Any:
    """Send the reminder by the SDK."""
    given = params or (BODY.params("Maria", "R$ 10,00"),)
    fields: dict[str, Any] = {
        "name": "payment_reminder",
        "language": TemplateLanguage.PORTUGUESE_BR,
    }
    return wa.send_template(to=to, params=list(given), tracker="ours", **(fields | changes))


def value_of(hook: Hook) -> dict[str, Any]:
    """The value of a webhook's change."""
    found: dict[str, Any] = msgspec.json.decode(hook.body)["entry"][0]["changes"][0]["value"]
    return found


def _update(hook: Hook) -> RawUpdate:
    return RawUpdate(hook.body, hmac_header=None, update_hash="")


def statuses(wa: WhatsApp, receiver: Receiver, message_id: str) -> list[MessageStatus[Any]]:
    """What pywa reads of a message's statuses so far, each webhook signed."""
    read = []
    for hook in list(receiver.hooks):
        assert webhook_updates_validator(
            meta.SECRET, hook.body, hook.headers["x-hub-signature-256"]
        )
        for at, _ in enumerate(value_of(hook).get("statuses", [])):
            update = _update(hook)
            read.append(MessageStatus.from_update(wa, update, contact_idx=at, status_idx=at))
    return [each for each in read if each.id == message_id]


def told(wa: WhatsApp, receiver: Receiver, message_id: str, count: int) -> list[Any]:
    """Wait for so many statuses of a message."""
    eventually(lambda: len(statuses(wa, receiver, message_id)) >= count)
    return statuses(wa, receiver, message_id)


def inbound(wa: WhatsApp, receiver: Receiver, kind: Any, field: str = "messages") -> Any:
    """Wait for an inbound webhook and read it as `kind`."""
    (hook, *_) = eventually(lambda: [h for h in list(receiver.hooks) if value_of(h).get(field)])
    return kind.from_update(wa, _update(hook))
