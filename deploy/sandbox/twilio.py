"""Twilio's Messages API, judged by Twilio's own SDK: what it takes, refuses and answers.

In: requests under /2010-04-01/Accounts/{sid}/Messages. Out: its answers, accepted messages for the
world of debtors, and their receipts and replies. Every refusal has Twilio's HTTP status and error
code; parameters that are not known are ignored, as Twilio does. It knows the English opt-out words
and blocks the pair of numbers by itself.
"""

import base64
import binascii
import hmac
import re
from urllib.parse import parse_qsl, urlencode

import msgspec

from deploy.sandbox.intake import Intake, Refused
from deploy.sandbox.messages import Message, answer
from deploy.sandbox.numbers import is_fixed_line
from deploy.sandbox.provider import Parts
from deploy.sandbox.twilio_errors import error
from deploy.sandbox.twilio_forms import PROVIDER, draft, parse_form, validate
from deploy.sandbox.twilio_store import API_VERSION, Account, Store, new_sid, resource
from deploy.sandbox.twilio_webhooks import TwilioWebhooks
from deploy.sandbox.webhooks import Fate
from deploy.sandbox.wire import Answer, Request

PREFIX = f"/{API_VERSION}/Accounts/"
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1_000
FORM = b"application/x-www-form-urlencoded"

# The opt-out words of Twilio's own (English, the whole message).
STOP_WORDS = frozenset(
    {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
)
START_WORDS = frozenset({"START", "YES", "UNSTOP"})

_MESSAGES = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages(?:/([^/]+))?\.json")
# The numbers that Twilio reserves for trying out errors with test credentials.
_MAGIC = {"+15005550001": 21211, "+15005550004": 21610, "+15005550009": 21614}

_encoder = msgspec.json.Encoder()


class Twilio:
    """The Messages API over one store."""

    name = PROVIDER
    tells_read = False
    throttled_code: int | str = 20429
    scripted_code: int | str = 21612

    def __init__(self, parts: Parts) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._store = Store()
        self._intake = Intake(PROVIDER, parts, self)
        self._webhooks = TwilioWebhooks(parts.webhooks)
        self.counters = self._intake.counters

    def takes(self, path: str) -> bool:
        """Claim everything of this version of the API."""
        return path.startswith(PREFIX)

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace an account."""
        account = msgspec.json.decode(fields, type=Account)
        self._store.register(account)
        return {"sid": account.sid, "numbers": len(account.numbers)}

    def accounts(self) -> list[dict[str, object]]:
        """Return SIDs and numbers."""
        return [{"sid": a.sid, "numbers": a.numbers} for a in self._store.accounts.values()]

    def find(self, sid: str) -> Message | None:
        """Return a message that asked for callbacks."""
        message = self._store.messages.get(sid)
        return None if message is None or message.callback_url is None else message

    async def start(self) -> None:
        """Nothing: HTTP only."""

    async def close(self) -> None:
        """Nothing: HTTP only."""

    def handle(self, request: Request) -> Answer:
        """Answer one request below `PREFIX`."""
        found = _MESSAGES.fullmatch(request.path)
        if found is None:
            return error(20404, request.path)
        account_sid, message_sid = found.groups()
        sends = request.method == b"POST" and message_sid is None
        account = self._authenticate(request.headers.get(b"authorization"))
        if account is None or account.sid != account_sid:
            if not sends:
                return error(20003)
            self._intake.asked()
            return self._intake.refuse(None, Refused(20003), None)
        if sends:
            return self._send(account, request)
        if request.method != b"GET":
            return error(20004)
        return self._show(account, message_sid, request)

    # Sending.

    def _send(self, account: Account, request: Request) -> Answer:
        if not request.headers.get(b"content-type", b"").lower().startswith(FORM):
            self._intake.asked(account.sid)
            return self._intake.refuse(None, Refused(20415), account.sid)
        form = parse_form(request.body)
        message = draft(account, form, created=self._parts.clock.now, seed=self._parts.seed)

        def accept() -> Answer:
            self._store.messages.add(message)
            return Answer(201, _encoder.encode(resource(message)))

        return self._intake.take(message, lambda: self._judge(account, form, message), accept)

    def _judge(self, account: Account, form: dict[str, str], message: Message) -> None:
        validate(form)
        if (account.sid, message.from_) not in self._store.numbers:
            raise Refused(21606, message.from_)
        if is_fixed_line(message.to):
            raise Refused(21614, message.to)
        if message.to in _MAGIC:
            raise Refused(_MAGIC[message.to], message.to)
        if (message.from_, message.to) in self._store.opted_out:
            raise Refused(21610)
        self._intake.spend(account.sid, account.rate_per_second)

    def refused(self, code: int | str, shown: str = "") -> Answer:
        """Return Twilio's error answer."""
        return error(code, shown)

    def throttled(self, retry_after_seconds: float) -> Answer:
        """Return 429 with the wait in its header."""
        return error(20429, headers=((b"retry-after", f"{retry_after_seconds:g}".encode()),))

    def failed(self) -> Answer:
        """Return Twilio's internal error."""
        return error(20500)

    # Receipts and replies.

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Tell the message's StatusCallback."""
        account = self._store.accounts.get(message.account_id)
        if message.callback_url is None or account is None:
            fate(None)
            return
        entry = self._parts.witness.entry("callback", PROVIDER, message)
        self._webhooks.status(message, account.token, status, code, entry, fate)

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Take a text from the person; obey opt-out words; post it to the number's URL."""
        word = text.strip().upper()
        if word in STOP_WORDS:
            self._store.opted_out.add((about.from_, about.to))
        elif word in START_WORDS:
            self._store.opted_out.discard((about.from_, about.to))
        inbound = answer(about, text, sid=new_sid(), created=self._parts.clock.now)
        self._store.messages.add(inbound)
        account = self._store.accounts.get(about.account_id)
        number = self._store.numbers.get((about.account_id, about.from_))
        if account is not None and number is not None and number.inbound_url:
            entry = self._parts.witness.entry("inbound", PROVIDER, about)
            entry.reply = intent
            self._webhooks.inbound(number.inbound_url, account.token, inbound, entry)

    # Reading.

    def _show(self, account: Account, message_sid: str | None, request: Request) -> Answer:
        if message_sid is not None:
            message = self._store.messages.get(message_sid)
            if message is None or message.account_id != account.sid:
                return error(20404, request.path)
            return Answer(200, _encoder.encode(resource(message)))
        filters = dict(parse_qsl(request.query))
        size = _number(filters.get("PageSize"), PAGE_SIZE, PAGE_SIZE_MAX)
        page = _number(filters.get("Page"), 0, 1_000_000)
        return Answer(200, _encoder.encode(self._page(account, filters, size, page)))

    def _page(
        self, account: Account, filters: dict[str, str], size: int, page: int
    ) -> dict[str, object]:
        rows: list[dict[str, object]] = []
        more = False
        for index, message in enumerate(self._store.find(account, filters)):
            if index >= (page + 1) * size:
                more = True
                break
            if index >= page * size:
                rows.append(resource(message))
        path = f"{PREFIX}{account.sid}/Messages.json"
        kept = {k: v for k, v in filters.items() if k not in {"Page", "PageSize", "PageToken"}}

        def uri(number: int) -> str:
            return f"{path}?{urlencode({**kept, 'PageSize': size, 'Page': number})}"

        return {
            "messages": rows,
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(0, len(rows) - 1),
            "uri": uri(page),
            "first_page_uri": uri(0),
            "next_page_uri": uri(page + 1) if more else None,
            "previous_page_uri": uri(page - 1) if page else None,
        }

    def _authenticate(self, header: bytes | None) -> Account | None:
        if header is None:
            return None
        account = self._store.by_credentials.get(header)
        if account is not None:
            return account
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() != b"basic":
            return None
        try:
            user, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        account = self._store.accounts.get(user)
        if account is None or not hmac.compare_digest(account.token.encode(), token.encode()):
            return None
        return account


def _number(text: str | None, default: int, largest: int) -> int:
    return min(int(text), largest) if text and text.isdecimal() else default
