"""Signed webhooks of the provider: status callbacks and inbound messages, with bounded retries.

In: a message and what happened to it. Out: form posts signed with the account's token, a line in
the truth log for each when its fate is known. A receiver that answers 2xx to 4xx has had its say;
no answer or 5xx is tried again after the profile's delays, then given up.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from itertools import count
from urllib.parse import quote_plus

import msgspec

from deploy.sandbox.callbacks import CallbackClient, Post, UrlError
from deploy.sandbox.clock import LawClock, machine_now
from deploy.sandbox.messages import API_VERSION, Message
from deploy.sandbox.signature import sign
from deploy.sandbox.truth import Entry, TruthLog

_SERVER_ERROR = 500
_SAFE = re.compile("[A-Za-z0-9_.~-]*")
_HEAD = (
    b"User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
    b"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: "
)

Fate = Callable[[int | None], None]


class _Delivery(msgspec.Struct):
    """One webhook from its first try to its last."""

    url: str
    head: bytes
    body: bytes
    entry: Entry
    fate: Fate
    attempts: int = 0


class Webhooks:
    """Posts webhooks and remembers what is still on its way."""

    def __init__(self, client: CallbackClient, truth: TruthLog, clock: LawClock) -> None:
        """Post through `client`, log into `truth`."""
        self._client = client
        self._truth = truth
        self._clock = clock
        self._order = count(1)
        self.retry_ms: tuple[int, ...] = ()
        self.pending = 0
        self.counters = {"callbacks": 0, "callbacks_failed": 0, "inbound": 0, "inbound_failed": 0}

    def status(self, message: Message, status: str, code: int | None, fate: Fate) -> None:
        """Tell the message's StatusCallback that it is now `status`; `fate` gets the answer."""
        if message.callback_url is None:
            fate(None)
            return
        fields = {
            "AccountSid": message.account.sid,
            "ApiVersion": API_VERSION,
            "From": message.from_,
            "MessageSid": message.sid,
            "MessageStatus": status,
            "SmsSid": message.sid,
            "SmsStatus": status,
            "To": message.to,
        }
        if code is not None:
            fields["ErrorCode"] = str(code)
        if status == "delivered":
            fields["RawDlrDoneDate"] = (message.updated or message.created).strftime("%y%m%d%H%M")
        entry = self._entry("callback", message)
        entry.message_sid, entry.status, entry.code = message.sid, status, code
        self._post(message.callback_url, message.account.token, fields, entry, fate)

    def inbound(self, url: str, message: Message, reply: str | None, about: Message | None) -> None:
        """Post an inbound message to its number's URL; `about` is the message it answers."""
        fields = {
            "AccountSid": message.account.sid,
            "ApiVersion": API_VERSION,
            "Body": message.body,
            "From": message.from_,
            "FromCountry": _country(message.from_),
            "MessageSid": message.sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "To": message.to,
            "ToCountry": _country(message.to),
        }
        entry = self._entry("inbound", about or message)
        entry.message_sid, entry.reply = message.sid, reply
        self._post(url, message.account.token, fields, entry, lambda _: None)

    def _entry(self, kind: str, about: Message) -> Entry:
        return Entry(
            seq=0,
            kind=kind,
            provider="twilio",
            machine_at=machine_now(),
            account=about.account.sid,
            contact_id=about.contact_id,
            attempt_id=about.attempt_id,
            debtor_id=about.debtor_id,
            recipient=about.person,
        )

    def _post(self, url: str, token: str, fields: dict[str, str], entry: Entry, fate: Fate) -> None:
        body = "&".join([f"{name}={_quote(value)}" for name, value in fields.items()]).encode()
        signature = sign(token, url.partition("#")[0], fields).encode()
        tail = b"\r\nI-Twilio-Idempotency-Token: %d\r\nContent-Length: %d\r\n\r\n"
        head = _HEAD + signature + tail % (next(self._order), len(body))
        self.pending += 1
        self._try(_Delivery(url, head, body, entry, fate))

    def _try(self, delivery: "_Delivery") -> None:
        delivery.attempts += 1
        done = partial(self._done, delivery)
        try:
            self._client.post(Post(delivery.url, delivery.head, delivery.body, done))
        except UrlError:
            self._finish(delivery.entry, None, delivery.attempts, delivery.fate)

    def _done(self, delivery: "_Delivery", status: int | None) -> None:
        failed = status is None or status >= _SERVER_ERROR
        if failed and delivery.attempts <= len(self.retry_ms):
            wait_ms = self.retry_ms[delivery.attempts - 1]
            asyncio.get_running_loop().call_later(wait_ms / 1_000, self._try, delivery)
            return
        self._finish(delivery.entry, status, delivery.attempts, delivery.fate)

    def _finish(self, entry: Entry, status: int | None, attempts: int, fate: Fate) -> None:
        self.pending -= 1
        kind = "callbacks" if entry.kind == "callback" else "inbound"
        ok = status is not None and status < 400  # noqa: PLR2004 - HTTP client errors begin
        self.counters[kind if ok else f"{kind}_failed"] += 1
        entry.machine_at = machine_now()
        entry.answered, entry.attempts = status, attempts
        self._truth.open(entry)
        self._clock.stamp(lambda law: self._truth.settle(entry, law))
        fate(status)


def _quote(value: str) -> str:
    if _SAFE.fullmatch(value):
        return value
    if value[0] == "+" and value[1:].isdecimal() and value.isascii():
        return "%2B" + value[1:]
    return quote_plus(value)


def _country(number: str) -> str:
    return "BR" if number.startswith("+55") else "US" if number.startswith("+1") else ""
