"""Twilio's webhooks: status callbacks and inbound messages as signed forms.

In: a message and what happened to it. Out: form posts in Twilio's fields, signed with the account's
token.
"""

import re
from itertools import count
from urllib.parse import quote_plus

from deploy.sandbox.messages import Message
from deploy.sandbox.truth import Entry
from deploy.sandbox.twilio_signature import sign
from deploy.sandbox.twilio_store import API_VERSION
from deploy.sandbox.webhooks import Delivery, Fate, Webhooks

_SAFE = re.compile("[A-Za-z0-9_.~-]*")
_HEAD = (
    b"User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
    b"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nX-Twilio-Signature: "
)


class TwilioWebhooks:
    """Words and signs what `Webhooks` carries."""

    def __init__(self, webhooks: Webhooks) -> None:
        """Post through `webhooks`."""
        self._webhooks = webhooks
        self._order = count(1)

    def status(
        self,
        message: Message,
        token: str,
        status: str,
        code: int | str | None,
        entry: Entry,
        fate: Fate,
    ) -> None:
        """Tell the message's StatusCallback that it is now `status`; `fate` gets the answer."""
        fields = {
            "AccountSid": message.account_id,
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
        entry.message_sid, entry.status, entry.code = message.sid, status, code
        self._post(message.callback_url or "", token, fields, entry, fate)

    def inbound(self, url: str, token: str, message: Message, entry: Entry) -> None:
        """Post an inbound message to its number's URL."""
        fields = {
            "AccountSid": message.account_id,
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
        entry.message_sid = message.sid
        self._post(url, token, fields, entry, lambda _: None)

    def _post(self, url: str, token: str, fields: dict[str, str], entry: Entry, fate: Fate) -> None:
        body = "&".join([f"{name}={_quote(value)}" for name, value in fields.items()]).encode()
        signature = sign(token, url.partition("#")[0], fields).encode()
        tail = b"\r\nI-Twilio-Idempotency-Token: %d\r\nContent-Length: %d\r\n\r\n"
        head = _HEAD + signature + tail % (next(self._order), len(body))
        self._webhooks.post(Delivery(url, head, body, (entry,), fate))


def _quote(value: str) -> str:
    if _SAFE.fullmatch(value):
        return value
    if value[0] == "+" and value[1:].isdecimal() and value.isascii():
        return "%2B" + value[1:]
    return quote_plus(value)


def _country(number: str) -> str:
    return "BR" if number.startswith("+55") else "US" if number.startswith("+1") else ""
