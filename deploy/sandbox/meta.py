"""Meta's WhatsApp Cloud API, judged by pywa: what it takes, refuses, answers and calls back.

In: POSTs to /{version}/{phone number id}/messages and webhook overrides of a number. Out: Graph's
answers, accepted messages for the world of debtors, signed webhooks. People press buttons where a
message has one for what they want to say, and some stop marketing in WhatsApp's own settings. A
test lets somebody press one with the intent `press:<kind>`, or stop with `preference:stop`.
"""

import re
from collections.abc import Awaitable
from contextlib import suppress
from hashlib import blake2b
from typing import Any

import msgspec

from deploy.sandbox import meta_requests
from deploy.sandbox.clock import ClockError
from deploy.sandbox.intake import Intake, Refused
from deploy.sandbox.messages import Message
from deploy.sandbox.meta_challenge import answers_challenge
from deploy.sandbox.meta_errors import OBJECT_MISSING, error
from deploy.sandbox.meta_requests import PROVIDER
from deploy.sandbox.meta_store import Account, MetaMessage, Number, Store, wa_id
from deploy.sandbox.meta_webhooks import MetaWebhooks
from deploy.sandbox.provider import Parts
from deploy.sandbox.truth import Entry
from deploy.sandbox.webhooks import Fate
from deploy.sandbox.wire import Answer, Request

USAGE_HEADER = b"x-business-use-case-usage"
MINUTE_SECONDS = 60.0
OK = 200
# The sandbox's causes of undelivered messages, in Meta's code for all of them.
UNDELIVERABLE = 131026
VENDOR_CODES_FIRST = 100_000  # smaller codes are the sandbox's own causes
# What a person wants to say -> the button that says it; the rest is written.
PRESSES = {"promise": "promise", "help": "human", "opt_out_words": "opt_out"}
WORDS = {"undelivered": "failed"}

_PATH = re.compile(r"/v\d{1,2}\.\d/(\d{1,30})(/messages)?/?")
_encoder = msgspec.json.Encoder()


class Meta:
    """The Cloud API over one store."""

    name = PROVIDER
    tells_read = True
    throttled_code: int | str = 130429
    scripted_code: int | str = UNDELIVERABLE

    def __init__(self, parts: Parts) -> None:
        """Live on `parts`."""
        self._parts = parts
        self._store = Store(parts.seed)
        self._intake = Intake(PROVIDER, parts, self)
        self._webhooks = MetaWebhooks(parts.webhooks, self._store, lambda: parts.clock.now)
        self.counters = self._intake.counters

    def takes(self, path: str) -> bool:
        """Claim everything of a Graph version."""
        return _PATH.fullmatch(path) is not None

    def register(self, fields: bytes) -> dict[str, object]:
        """Add or replace a business account."""
        account = msgspec.json.decode(fields, type=Account)
        self._store.register(account)
        return _public(account)

    def accounts(self) -> list[dict[str, object]]:
        """Return ids, numbers and templates."""
        return [_public(account) for account in self._store.accounts.values()]

    def find(self, sid: str) -> Message | None:
        """Return an accepted message."""
        return self._store.messages.get(sid)

    async def start(self) -> None:
        """Nothing: HTTP only."""

    async def close(self) -> None:
        """Nothing: HTTP only."""

    def handle(self, request: Request) -> "Answer | Awaitable[Answer]":
        """Answer one request of a Graph version."""
        found = _PATH.fullmatch(request.path)
        number_id, messages = found.groups() if found is not None else ("", None)
        sends = messages is not None and request.method == b"POST"
        refusal = self._unauthorised(request)
        if refusal is not None:
            return self._refuse(refusal, None) if sends else error(int(refusal.code))
        account, number = self._store.numbers.get(number_id, (None, None))
        token = _token(request)
        if account is None or number is None or self._store.by_token[token] is not account:
            if sends:
                self._refuse(Refused(100), None)
            details = f"Object with ID '{number_id}' does not exist or lacks permissions"
            return error(100, details, subcode=OBJECT_MISSING)
        if sends:
            return self._send(account, number, request)
        if messages is None and request.method == b"POST":
            return self._override(account, number, request)
        return error(100, "Unsupported request method")

    # Sending.

    def _send(
        self, account: Account, number: Number, request: Request
    ) -> "Answer | Awaitable[Answer]":
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._refuse(Refused(100, "The request body is not a JSON object"), account)
        if body.get("status") == "read":  # a read mark of ours, not a message
            return Answer(OK, b'{"success":true}')
        message = self._draft(account, number, body)
        now = self._parts.clock.now
        if self._store.too_soon(account, number.phone_number_id, message.to, now):
            return self._with_the_clock_read(account, number, body)
        return self._take(account, message, number, body)

    async def _with_the_clock_read(
        self, account: Account, number: Number, body: dict[str, Any]
    ) -> Answer:
        """Take a message that seems too soon after law time was read: it may have jumped on."""
        with suppress(ClockError):
            await self._parts.clock.refresh()
        return self._take(account, self._draft(account, number, body), number, body)

    def _draft(self, account: Account, number: Number, body: dict[str, Any]) -> MetaMessage:
        return meta_requests.draft(
            account,
            number,
            body,
            store=self._store,
            created=self._parts.clock.now,
            seed=self._parts.seed,
        )

    def _take(
        self, account: Account, message: MetaMessage, number: Number, body: dict[str, Any]
    ) -> Answer:
        def judge() -> None:
            meta_requests.judge(account, body, message, self._store)
            now = self._parts.clock.now
            if self._store.too_soon(account, number.phone_number_id, message.to, now):
                raise Refused(131056)
            if not message.in_window and self._store.beyond_the_tier(account, message.to, now):
                raise Refused(131064)
            self._intake.spend(number.phone_number_id, number.rate_per_second)

        def accept() -> Answer:
            self._store.add(account, message, self._parts.clock.now)
            return Answer(OK, _encoder.encode(self._accepted(message, body)))

        return self._intake.take(message, judge, accept)

    def _accepted(self, message: MetaMessage, body: dict[str, Any]) -> dict[str, object]:
        contact = {
            "input": body.get("to") or body.get("recipient"),
            "wa_id": wa_id(message.to),
            "user_id": self._store.user_id(message.to),
        }
        sent = {"id": message.sid, "message_status": "accepted"}
        return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [sent]}

    def _unauthorised(self, request: Request) -> Refused | None:
        token = _token(request)
        if not token:
            return Refused(104)
        return None if token in self._store.by_token else Refused(190)

    def _refuse(self, refusal: Refused, account: Account | None) -> Answer:
        name = account.waba_id if account is not None else None
        self._intake.asked(name)
        return self._intake.refuse(None, refusal, name)

    def refused(self, code: int | str, shown: str = "") -> Answer:
        """Return Graph's error answer."""
        return error(int(code), shown)

    def throttled(self, retry_after_seconds: float) -> Answer:
        """Return the business's own limit, with the wait in minutes in the usage header."""
        usage = {
            "type": "whatsapp",
            "call_count": 100,
            "estimated_time_to_regain_access": retry_after_seconds / MINUTE_SECONDS,
        }
        header = _encoder.encode({"102290129340398": [usage]})
        return error(80007, headers=((USAGE_HEADER, header),))

    def failed(self) -> Answer:
        """Return Meta's unknown error."""
        return error(131000)

    # The webhook of a number.

    async def _override(self, account: Account, number: Number, request: Request) -> Answer:
        """Set a number's webhook, after its URL has answered the challenge."""
        try:
            given = msgspec.json.decode(request.body, type=dict[str, dict[str, str]])
            wanted = given["webhook_configuration"]
            url, token = wanted["override_callback_uri"], wanted["verify_token"]
        except (msgspec.DecodeError, KeyError):
            return error(100, "webhook_configuration needs override_callback_uri, verify_token")
        right = await answers_challenge(url, token)
        if not right:
            return error(100, "The callback URL could not be validated with the verify token")
        numbers = [
            msgspec.structs.replace(each, webhook_url=url) if each is number else each
            for each in account.numbers
        ]
        self._store.register(msgspec.structs.replace(account, numbers=tuple(numbers)))
        return Answer(OK, b'{"success":true}')

    # Receipts and replies.

    def status(self, message: Message, status: str, code: int | str | None, fate: Fate) -> None:
        """Tell the number's webhook; a message that Meta will not deliver fails at once."""
        found = self._store.numbers.get(getattr(message, "number_id", ""))
        if found is None or found[1].webhook_url is None or not isinstance(message, MetaMessage):
            fate(None)
            return
        if message.dead or status == "queued":
            fate(None)
            return
        word = WORDS.get(status, status)
        if message.failure is not None:
            word, code, message.dead = "failed", message.failure, True
        cause = int(code) if code is not None and str(code).isdecimal() else 0
        if word == "failed" and cause < VENDOR_CODES_FIRST:
            cause = UNDELIVERABLE
        account, number = found
        entry = self._parts.witness.entry("callback", PROVIDER, message)
        self._webhooks.status(account, number, message, word, cause, entry, fate)

    def reply(self, about: Message, text: str, intent: str | None) -> None:
        """Carry what a person does: words, a pressed button, a choice in WhatsApp's settings."""
        found = self._store.numbers.get(getattr(about, "number_id", ""))
        if found is None or found[1].webhook_url is None or not isinstance(about, MetaMessage):
            return
        if about.dead:
            return  # nobody has seen it
        account, number = found
        entry = self._parts.witness.entry("inbound", PROVIDER, about)
        entry.reply = intent
        if self._stops(about, intent):
            self._store.stopped.add((about.account_id, about.to))
            self._webhooks.preference(account, number, about.to, entry)
            return
        self._store.hear(about.number_id, about.to, self._parts.clock.now)
        self._say(account, number, about, text, entry)

    def _say(
        self, account: Account, number: Number, about: MetaMessage, text: str, entry: Entry
    ) -> None:
        intent = entry.reply or ""
        kind = intent.removeprefix("press:") if "press:" in intent else PRESSES.get(intent)
        scripted = intent.startswith("press:")
        pressed = next((each for each in about.payloads if each[0].startswith(f"{kind}:")), None)
        if kind is not None and pressed is not None and (scripted or self._coin(about)):
            content = _pressed(about, *pressed)
            self._webhooks.inbound(account, number, about.to, content, entry, about.sid)
            return
        content = {"text": {"body": text}, "type": "text"}
        self._webhooks.inbound(account, number, about.to, content, entry)

    def _stops(self, about: MetaMessage, intent: str | None) -> bool:
        """Say whether a person who wants silence finds WhatsApp's own switch."""
        keyword = intent == "opt_out_keyword" and self._coin(about)
        return intent == "preference:stop" or keyword

    def _coin(self, about: MetaMessage) -> bool:
        """Toss a coin whose side the seed and the contact decide."""
        name = f"coin|{self._parts.seed}|{about.to}|{about.contact_id}"
        return bool(blake2b(name.encode(), digest_size=1).digest()[0] % 2)


def _pressed(about: MetaMessage, payload: str, title: str) -> dict[str, Any]:
    """Return a press as a template's button tells it, or an interactive message's."""
    if about.templated:
        return {"type": "button", "button": {"payload": payload, "text": title}}
    pressed = {"type": "button_reply", "button_reply": {"id": payload, "title": title}}
    return {"type": "interactive", "interactive": pressed}


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get(b"authorization", b"").partition(b" ")
    return token.decode("latin-1") if scheme.lower() == b"bearer" else ""


def _public(account: Account) -> dict[str, object]:
    return {
        "waba_id": account.waba_id,
        "numbers": [each.phone_number_id for each in account.numbers],
        "templates": [f"{each.name}/{each.language}" for each in account.templates],
    }
