"""Twilio's message store: accounts, numbers, message resources, who opted out.

In: registered accounts and accepted messages. Out: look-ups by SID and by filter, resources as the
provider renders them. Times are law time, in the provider's formats: the provider lives in the
same simulated days as its debtors. Bounded: the oldest messages are forgotten first.
"""

import base64
import secrets
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime

import msgspec

from deploy.sandbox.messages import Kept, Message
from deploy.sandbox.segments import segments

API_VERSION = "2010-04-01"
ACCOUNTS_MAX = 1_000


class Number(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of an account (E.164) and where its inbound messages are posted, if anywhere."""

    number: str
    inbound_url: str | None = None


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account: its SID, secret token, numbers and (optional) concurrency limit in messages/s."""

    sid: str
    token: str
    numbers: tuple[Number, ...]
    rate_per_second: float | None = None

    def credentials(self) -> bytes:
        """Return the exact Authorization header value of this account."""
        return b"Basic " + base64.b64encode(f"{self.sid}:{self.token}".encode())


class Store:
    """Accounts and messages in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.accounts: dict[str, Account] = {}
        self.by_credentials: dict[bytes, Account] = {}
        self.numbers: dict[tuple[str, str], Number] = {}
        self.opted_out: set[tuple[str, str]] = set()
        self.messages: Kept[Message] = Kept()

    def register(self, account: Account) -> None:
        """Add or replace an account; raises ValueError beyond the bound."""
        old = self.accounts.get(account.sid)
        if old is None and len(self.accounts) >= ACCOUNTS_MAX:
            msg = f"more than {ACCOUNTS_MAX} accounts"
            raise ValueError(msg)
        if old is not None:
            self.by_credentials.pop(old.credentials(), None)
            for number in old.numbers:
                self.numbers.pop((old.sid, number.number), None)
        self.accounts[account.sid] = account
        self.by_credentials[account.credentials()] = account
        for number in account.numbers:
            self.numbers[account.sid, number.number] = number

    def find(self, account: Account, filters: dict[str, str]) -> Iterator[Message]:
        """Yield the account's messages, newest first, that fit To, From and DateSent filters."""
        to, from_ = filters.get("To"), filters.get("From")
        for message in reversed(self.messages.values()):
            if message.account_id != account.sid:
                continue
            if (to and message.to != to) or (from_ and message.from_ != from_):
                continue
            if _sent_on(message, filters):
                yield message


def new_sid(prefix: str = "SM") -> str:
    """Return a fresh resource SID."""
    return prefix + secrets.token_hex(16)


def resource(message: Message) -> dict[str, object]:
    """Render a message as the API shows it."""
    uri = f"/{API_VERSION}/Accounts/{message.account_id}/Messages/{message.sid}"
    outbound = message.direction != "inbound"
    return {
        "account_sid": message.account_id,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created),
        "date_sent": rfc2822(message.sent) if message.sent else None,
        "date_updated": rfc2822(message.updated or message.created),
        "direction": message.direction,
        "error_code": message.error_code,
        "error_message": f"Error {message.error_code}" if message.error_code else None,
        "from": message.from_,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(segments(message.body)),
        "price": None,
        "price_unit": "USD" if outbound else None,
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


_rendered: dict[int, str] = {}


def rfc2822(instant: datetime) -> str:
    """Return an instant as the API writes it; one rendering per second is remembered."""
    second = int(instant.timestamp())
    text = _rendered.get(second)
    if text is None:
        _rendered.clear()
        text = _rendered[second] = format_datetime(instant.replace(microsecond=0))
    return text


def _sent_on(message: Message, filters: dict[str, str]) -> bool:
    when = (message.sent or message.created).strftime("%Y-%m-%dT%H:%M:%SZ")
    exact, before, after = (filters.get(name) for name in ("DateSent", "DateSent<", "DateSent>"))
    return not (
        (exact and not when.startswith(exact[:10]))
        or (before and when > before)
        or (after and when < after)
    )
