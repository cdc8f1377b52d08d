"""Infobip's webhooks: delivery reports, many to a post, and inbound messages.

In: what happened to messages. Out: JSON posts to the account's subscription with its Basic
authentication (or to the URL that a message named, without). Reports for one URL that come within
a moment of each other travel together.
"""

import asyncio
import base64
from collections.abc import Callable
from datetime import datetime

import msgspec

from deploy.sandbox.infobip_words import error_object, outcome, status_object
from deploy.sandbox.messages import Message
from deploy.sandbox.truth import Entry
from deploy.sandbox.webhooks import Delivery, Fate, Webhooks

REPORTS_MAX = 100  # of one post
TOGETHER_MS = 15.0  # reports wait so long for company

_encoder = msgspec.json.Encoder()


class Subscription(msgspec.Struct, frozen=True):
    """Where reports go, and how they show that they are genuine."""

    url: str
    authorization: bytes | None = None


class _Batch(msgspec.Struct):
    """Reports that wait for company."""

    results: list[dict[str, object]] = []
    entries: list[Entry] = []
    fates: list[Fate] = []


def basic(user: str, password: str) -> bytes:
    """Return the Authorization header of a subscription."""
    return b"Basic " + base64.b64encode(f"{user}:{password}".encode())


class Reports:
    """Words what `Webhooks` carries."""

    def __init__(self, webhooks: Webhooks) -> None:
        """Post through `webhooks`."""
        self._webhooks = webhooks
        self._batches: dict[Subscription, _Batch] = {}

    def report(self, to: Subscription, result: dict[str, object], entry: Entry, fate: Fate) -> None:
        """Report on a message, together with others."""
        batch = self._batches.get(to)
        if batch is None:
            batch = self._batches[to] = _Batch()
            loop = asyncio.get_running_loop()
            loop.call_later(TOGETHER_MS / 1_000, self._flush, to, batch)
        batch.results.append(result)
        batch.entries.append(entry)
        batch.fates.append(fate)
        if len(batch.results) >= REPORTS_MAX:
            self._flush(to, batch)

    def inbound(self, to: Subscription, message: Message, entry: Entry) -> None:
        """Post a message from a person."""
        result = {
            "messageId": message.sid,
            "from": message.from_.removeprefix("+"),
            "to": message.to.removeprefix("+"),
            "text": message.body,
            "cleanText": message.body,
            "keyword": "",
            "receivedAt": instant(message.created),
            "smsCount": 1,
            "price": {"pricePerMessage": 0.0, "currency": "EUR"},
            "callbackData": None,
        }
        body = {"results": [result], "messageCount": 1, "pendingMessageCount": 0}
        self._post(to, body, (entry,), lambda _: None)

    def _flush(self, to: Subscription, batch: _Batch) -> None:
        if self._batches.get(to) is batch:
            del self._batches[to]
            self._post(to, {"results": batch.results}, tuple(batch.entries), _all(batch.fates))

    def _post(
        self, to: Subscription, body: dict[str, object], entries: tuple[Entry, ...], fate: Fate
    ) -> None:
        raw = _encoder.encode(body)
        proof = b"Authorization: " + to.authorization + b"\r\n" if to.authorization else b""
        head = (
            b"User-Agent: Infobip-Notifications\r\nAccept: */*\r\n"
            b"Content-Type: application/json\r\n" + proof + b"Content-Length: %d\r\n\r\n" % len(raw)
        )
        self._webhooks.post(Delivery(to.url, head, raw, entries, fate))


def result_of(
    message: Message, word: str, code: int | str | None, *, callback_data: str | None, parts: int
) -> dict[str, object]:
    """Return the report on a message."""
    status, error = outcome(word, code)
    return {
        "bulkId": f"bulk-{message.sid}",
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": status_object(status),
        "error": error_object(error),
        "messageId": message.sid,
        "to": message.to.removeprefix("+"),
        "sender": message.from_,
        "sentAt": instant(message.sent or message.created),
        "doneAt": instant(message.updated or message.created),
        "messageCount": parts,
        "mccMnc": "72402",
        "callbackData": callback_data,
    }


def instant(at: datetime) -> str:
    """Return an instant as Infobip writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1_000:03d}+0000"


def _all(fates: list[Fate]) -> Callable[[int | None], None]:
    def tell(answer: int | None) -> None:
        for fate in fates:
            fate(answer)

    return tell
