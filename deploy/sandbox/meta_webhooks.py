"""Meta's webhooks: statuses (many in one body), messages and preferences, signed over raw bytes.

In: a message and what happened to it, or what a person did. Out: JSON posts with
`X-Hub-Signature-256`. Statuses that come within a few milliseconds travel together, as they do in
reality.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from deploy.sandbox.meta_errors import in_status
from deploy.sandbox.meta_store import Account, MetaMessage, Number, Store, new_id, wa_id
from deploy.sandbox.truth import Entry
from deploy.sandbox.webhooks import Delivery, Fate, Webhooks

GATHER_SECONDS = 0.002
GATHERED_MAX = 20  # statuses of one webhook
_HEAD = (
    b"User-Agent: facebookexternalua\r\nAccept: */*\r\nContent-Type: application/json\r\n"
    b"X-Hub-Signature-256: sha256="
)

_encoder = msgspec.json.Encoder()

Waiting = tuple[dict[str, Any], dict[str, Any], Entry, Fate]  # status, contact, line, fate


class MetaWebhooks:
    """Words and signs what `Webhooks` carries."""

    def __init__(self, webhooks: Webhooks, store: Store, now: Callable[[], datetime]) -> None:
        """Post through `webhooks`; `now` is law time."""
        self._webhooks = webhooks
        self._store = store
        self._now = now
        self._gathered: dict[str, list[Waiting]] = {}

    def status(
        self, account: Account, number: Number, message: MetaMessage, word: str,
        code: int, entry: Entry, fate: Fate,
    ) -> None:  # fmt: skip
        """Tell that a message is now `word`; `fate` gets the answer."""
        contact = self._contact(account, message.to)
        status: dict[str, Any] = {
            "id": message.sid,
            "status": word,
            "timestamp": self._seconds(),
            **({"recipient_id": contact["wa_id"]} if "wa_id" in contact else {}),
            "recipient_user_id": contact["user_id"],
        }
        if message.tracker is not None:
            status["biz_opaque_callback_data"] = message.tracker
        if word == "failed":
            status["errors"] = [in_status(code)]
        elif word in {"sent", "delivered", "read"}:
            status["pricing"] = _pricing(message)
        entry.message_sid, entry.status, entry.code = message.sid, word, code or None
        waiting = self._gathered.setdefault(number.phone_number_id, [])
        waiting.append((status, contact, entry, fate))
        if len(waiting) >= GATHERED_MAX:
            self._flush(account, number)
        elif len(waiting) == 1:
            loop = asyncio.get_running_loop()
            loop.call_later(GATHER_SECONDS, self._flush, account, number)

    def inbound(
        self,
        account: Account,
        number: Number,
        phone: str,
        content: dict[str, Any],
        entry: Entry,
        answers: str | None = None,
    ) -> None:
        """Post a message of a person; `content` has its type and what goes with it."""
        contact = self._contact(account, phone)
        sender = {"from": contact["wa_id"]} if "wa_id" in contact else {}
        context = {"context": {"from": _digits(number), "id": answers}} if answers else {}
        message = {
            **context,
            **sender,
            "from_user_id": contact["user_id"],
            "id": new_id(),
            "timestamp": self._seconds(),
            **content,
        }
        entry.message_sid = message["id"]
        value = {"contacts": [contact], "messages": [message]}
        self._post(account, number, value, "messages", (entry,), lambda _: None)

    def preference(self, account: Account, number: Number, phone: str, entry: Entry) -> None:
        """Post that a person stopped a business's marketing messages in WhatsApp itself."""
        contact = self._contact(account, phone)
        stopped = {
            **({"wa_id": contact["wa_id"]} if "wa_id" in contact else {}),
            "user_id": contact["user_id"],
            "detail": "User requested to stop marketing messages",
            "category": "marketing_messages",
            "value": "stop",
            "timestamp": self._seconds(),
        }
        value = {"contacts": [contact], "user_preferences": [stopped]}
        self._post(account, number, value, "user_preferences", (entry,), lambda _: None)

    def _flush(self, account: Account, number: Number) -> None:
        gathered = self._gathered.pop(number.phone_number_id, [])
        if not gathered:
            return
        fates = [fate for _, _, _, fate in gathered]

        def all_fates(answer: int | None) -> None:
            for fate in fates:
                fate(answer)

        value = {
            "contacts": [contact for _, contact, _, _ in gathered],
            "statuses": [status for status, _, _, _ in gathered],
        }
        entries = tuple(entry for _, _, entry, _ in gathered)
        self._post(account, number, value, "messages", entries, all_fates)

    def _post(
        self,
        account: Account,
        number: Number,
        value: dict[str, Any],
        field: str,
        entries: tuple[Entry, ...],
        fate: Fate,
    ) -> None:
        metadata = {
            "display_phone_number": _digits(number),
            "phone_number_id": number.phone_number_id,
        }
        change = {
            "value": {"messaging_product": "whatsapp", "metadata": metadata, **value},
            "field": field,
        }
        body = _encoder.encode(
            {
                "object": "whatsapp_business_account",
                "entry": [{"id": account.waba_id, "changes": [change]}],
            }
        )
        mine = hmac.new(account.app_secret.encode(), body, hashlib.sha256).hexdigest().encode()
        head = _HEAD + mine + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._webhooks.post(Delivery(number.webhook_url or "", head, body, entries, fate))

    def _contact(self, account: Account, phone: str) -> dict[str, Any]:
        """Return a person as webhooks show them."""
        shown = {"wa_id": wa_id(phone)} if self._store.shows_phone(account, phone) else {}
        return {
            "profile": {"name": "Cliente"},
            **shown,
            "user_id": self._store.user_id(phone),
        }

    def _seconds(self) -> str:
        return str(int(self._now().timestamp()))


def _pricing(message: MetaMessage) -> dict[str, Any]:
    free = message.in_window and message.category in {"utility", "service"}
    return {
        "billable": not free,
        "pricing_model": "PMP",
        "category": message.category,
        "type": "free_customer_service" if free else "regular",
    }


def _digits(number: Number) -> str:
    return number.number.removeprefix("+")
