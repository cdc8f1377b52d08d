"""Infobip's SMS API v3, judged by Infobip's own SDK: what it takes, refuses and reports.

In: POST /sms/3/messages, one message or many. Out: an answer that accepts or rejects each message
by itself (status 200 both), reports and replies to the account's subscription. A message id that a
client names must be new. Opt-out words are passed on and block nothing: that is the client's.
"""

import secrets
from collections.abc import Callable
from functools import partial

import msgspec

from deploy.sandbox import infobip_words as words
from deploy.sandbox.infobip_reports import Reports, Subscription, basic, result_of
from deploy.sandbox.infobip_requests import (
    NUMBER,
    TEXT_BYTES_MAX,
    Bulk,
    Destination,
    Wanted,
    violations,
)
from deploy.sandbox.intake import Intake, Refused
from deploy.sandbox.messages import Kept, Message, answer
from deploy.sandbox.numbers import is_fixed_line
from deploy.sandbox.provider import Parts
from deploy.sandbox.references import named
from deploy.sandbox.segments import segments
from deploy.sandbox.truth import recipient_digest
from deploy.sandbox.webhooks import Fate
from deploy.sandbox.wire import Answer, Request

PROVIDER = "infobip"
PATH = "/sms/3/messages"
PREFIX = "/sms/"
ACCOUNTS_MAX = 1_000
WAITING = "PENDING_ACCEPTED"

_encoder = msgspec.json.Encoder()


class InfobipAccount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account: API key, registered senders, and the subscription its reports go to."""

    id: str
    api_key: str
    senders: tuple[str, ...]
    webhook_url: str | None = None
    webhook_user: str = ""
    webhook_password: str = ""
    rate_per_second: float | None = None

    def subscription(self) -> Subscription | None:
        """Return where reports and replies go; None when nobody subscribed."""
        if self.webhook_url is None:
            return None
        return Subscription(self.webhook_url, basic(self.webhook_user, self.webhook_password))


class InfobipMessage(Message):
    """A message with what only Infobip knows of it."""

    callback_data: str | None = None
    intermediate: bool = False
    notify: bool = True
    stray: bool = False  # its id was in use before


class Infobip:
    """The SMS API over its own accounts and messages."""

    name = PROVIDER
    tells_read = False
    throttled_code: int | str = "E429"
    scripted_code: int | str = "REJECTED_DESTINATION"

    def __init__(self, parts: Parts) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._accounts: dict[str, InfobipAccount] = {}
        self._by_key: dict[bytes, InfobipAccount] = {}
        self._messages: Kept[InfobipMessage] = Kept()
        self._intake = Intake(PROVIDER, parts, self)
        self._reports = Reports(parts.webhooks)
        self._details: list[dict[str, object]] = []
        self._asked: InfobipMessage | None = None
        self.counters = self._intake.counters

    def takes(self, path: str) -> bool:
        """Claim the SMS API."""
        return path.startswith(PREFIX)

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace an account."""
        account = msgspec.json.decode(fields, type=InfobipAccount)
        if account.id not in self._accounts and len(self._accounts) >= ACCOUNTS_MAX:
            msg = f"more than {ACCOUNTS_MAX} accounts"
            raise ValueError(msg)
        old = self._accounts.get(account.id)
        if old is not None:
            self._by_key.pop(old.api_key.encode(), None)
        self._accounts[account.id] = account
        self._by_key[account.api_key.encode()] = account
        return {"id": account.id, "senders": len(account.senders)}

    def accounts(self) -> list[dict[str, object]]:
        """Return ids and senders."""
        return [{"id": a.id, "senders": a.senders} for a in self._accounts.values()]

    def find(self, sid: str) -> Message | None:
        """Return an accepted message by its id."""
        return self._messages.get(sid)

    async def start(self) -> None:
        """Nothing: HTTP only."""

    async def close(self) -> None:
        """Nothing: HTTP only."""

    # Sending.

    def handle(self, request: Request) -> Answer:
        """Answer one request below `PREFIX`."""
        if request.path != PATH:
            return words.problem("E404")
        if request.method != b"POST":
            return words.problem("E405")
        account = self._authenticate(request.headers.get(b"authorization", b""))
        if account is None:
            self._intake.asked()
            return self._intake.refuse(None, Refused("E401"), None)
        try:
            bulk = msgspec.json.decode(request.body, type=Bulk)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            complaints: tuple[tuple[str, str], ...] = (("body", str(error)),)
        else:
            complaints = violations(bulk)
            if not complaints:
                return self._take(account, bulk)
        self._intake.asked(account.id)
        self._intake.refuse(None, Refused("E400"), account.id)
        return words.problem("E400", complaints)

    def _take(self, account: InfobipAccount, bulk: Bulk) -> Answer:
        """Take each message by itself; the answer tells of all."""
        self._details = []
        answer = words.problem("E400")
        for wanted in bulk.messages:
            for destination in wanted.destinations:
                message = self._draft(account, wanted, destination)
                self._asked = message
                judge = self._judge(account, message)
                answer = self._intake.take(message, judge, partial(self._accept, message))
        return answer

    def _draft(
        self, account: InfobipAccount, wanted: Wanted, destination: Destination
    ) -> InfobipMessage:
        to = destination.to if destination.to.startswith("+") else f"+{destination.to}"
        data = wanted.webhooks.callback_data
        contact_id, attempt_id = named(data or "")
        sid = destination.message_id or secrets.token_hex(16)
        return InfobipMessage(
            sid=sid,
            provider=PROVIDER,
            account_id=account.id,
            from_=wanted.sender or "",
            to=to,
            body=wanted.content.text,
            created=self._parts.clock.now,
            callback_url=wanted.webhooks.delivery.url,
            validity_seconds=wanted.validity_seconds(),
            contact_id=contact_id,
            attempt_id=attempt_id,
            person=recipient_digest(self._parts.seed, to),
            callback_data=data,
            intermediate=wanted.webhooks.delivery.intermediate_report,
            notify=wanted.webhooks.delivery.notify,
            stray=sid in self._messages,
        )

    def _judge(self, account: InfobipAccount, message: InfobipMessage) -> Callable[[], None]:
        def judge() -> None:
            if message.stray:
                raise Refused("REJECTED_DUPLICATE_MESSAGE_ID")
            if message.to == "+":
                raise Refused("MISSING_TO")
            if not NUMBER.fullmatch(message.to) or is_fixed_line(message.to):
                raise Refused("REJECTED_DESTINATION")
            if message.from_ not in account.senders:
                raise Refused("REJECTED_SOURCE")
            if len(message.body.encode()) > TEXT_BYTES_MAX:
                raise Refused("REJECTED_MESSAGE_TOO_LONG")
            self._intake.spend(account.id, account.rate_per_second)

        return judge

    def _accept(self, message: InfobipMessage) -> Answer:
        self._messages.add(message)
        return self._answer(message, WAITING)

    def _answer(self, message: InfobipMessage, status: str) -> Answer:
        """Return the answer so far, with this message's part."""
        self._details.append(
            {
                "messageId": message.sid,
                "status": words.status_object(status),
                "destination": message.to.removeprefix("+"),
                "details": {"messageCount": segments(message.body)},
            }
        )
        body = {"bulkId": f"bulk-{message.sid}", "messages": self._details}
        return Answer(200, _encoder.encode(body))

    def refused(self, code: int | str, shown: str = "") -> Answer:
        """Reject the message that is being judged, or the request."""
        del shown
        if code in words.PROBLEMS:
            return words.problem(str(code))
        return (
            words.problem("E400") if self._asked is None else self._answer(self._asked, str(code))
        )

    def throttled(self, retry_after_seconds: float) -> Answer:
        """Return 429 with the wait in its header."""
        wait = f"{retry_after_seconds:g}".encode()
        return words.problem("E429", headers=((b"retry-after", wait),))

    def failed(self) -> Answer:
        """Return Infobip's internal error."""
        return words.problem("E500")

    # Reports and replies.

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Report to the URL that the message named, or to the account's subscription."""
        to = self._to(message)
        if to is None or not isinstance(message, InfobipMessage) or not message.notify:
            fate(None)
            return
        if status in {"queued", "sent"} and not message.intermediate:
            fate(None)
            return
        data, parts = message.callback_data, segments(message.body)
        result = result_of(message, status, code, callback_data=data, parts=parts)
        entry = self._parts.witness.entry("callback", PROVIDER, message)
        entry.message_sid, entry.status, entry.code = message.sid, status, code
        self._reports.report(to, result, entry, fate)

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Pass a text of the person on to the account's subscription."""
        account = self._accounts.get(about.account_id)
        to = account.subscription() if account is not None else None
        if to is None:
            return
        inbound = answer(about, text, sid=secrets.token_hex(16), created=self._parts.clock.now)
        entry = self._parts.witness.entry("inbound", PROVIDER, about)
        entry.message_sid, entry.reply = inbound.sid, intent
        self._reports.inbound(to, inbound, entry)

    def _to(self, message: Message) -> Subscription | None:
        if message.callback_url is not None:
            return Subscription(message.callback_url)
        account = self._accounts.get(message.account_id)
        return account.subscription() if account is not None else None

    def _authenticate(self, given: bytes) -> InfobipAccount | None:
        scheme, _, key = given.partition(b" ")
        return self._by_key.get(key) if scheme.lower() == b"app" else None
