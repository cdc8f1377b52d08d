"""Twilio's Messages API, judged by Twilio's own SDK: what it takes, refuses and answers.

In: requests under /2010-04-01/Accounts/{sid}/Messages. Out: its answers, and `accepted` calls into
the world of debtors. Every refusal has Twilio's HTTP status and error code; parameters that are
not known are ignored, as Twilio does. Faults of the script act here, where the real ones would.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

import msgspec

from deploy.sandbox.clock import LawClock, machine_now
from deploy.sandbox.faults import CALL_KINDS, Fault, FaultScript
from deploy.sandbox.forms import draft, parse_form, validate
from deploy.sandbox.messages import API_VERSION, Account, Message, Store, resource
from deploy.sandbox.refusals import Refused, error
from deploy.sandbox.truth import Entry, TruthLog
from deploy.sandbox.wire import Answer, Request

PROVIDER = "twilio"
PREFIX = f"/{API_VERSION}/Accounts/"
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1_000
HANG_SECONDS = 60.0  # a silent provider: longer than any client waits
FORM = b"application/x-www-form-urlencoded"

_MESSAGES = re.compile(r"/2010-04-01/Accounts/([^/]+)/Messages(?:/([^/]+))?\.json")
# The numbers that Twilio reserves for trying out errors with test credentials.
_MAGIC = {"+15005550001": 21211, "+15005550004": 21610, "+15005550009": 21614}

_encoder = msgspec.json.Encoder()


class Twilio:
    """The Messages API over one store."""

    def __init__(
        self, store: Store, faults: FaultScript, truth: TruthLog, clock: LawClock, seed: str
    ) -> None:
        """Serve `store`; what is accepted goes to `self.accepted`."""
        self._store = store
        self._faults = faults
        self._truth = truth
        self._clock = clock
        self._seed = seed
        self._budgets: dict[str, tuple[float, float]] = {}
        self.accepted: Callable[[Message, tuple[Fault, ...]], None] = lambda *_: None
        self.counters = {"requests": 0, "accepted": 0, "refused": 0, "faults": 0}

    def handle(self, request: Request) -> Answer:
        """Answer one request below `PREFIX`."""
        found = _MESSAGES.fullmatch(request.path)
        if found is None:
            return error(20404, request.path)
        account_sid, message_sid = found.groups()
        sends = request.method == b"POST" and message_sid is None
        if sends:
            self.counters["requests"] += 1
        account = self._authenticate(request.headers.get(b"authorization"))
        if account is None or account.sid != account_sid:
            if sends:
                self._note("request", None)
                self._note("refused", None, code=20003, status="401")
            return error(20003)
        if sends:
            return self._send(account, request)
        if request.method != b"GET":
            return error(20004)
        return self._show(account, message_sid, request)

    # Sending.

    def _send(self, account: Account, request: Request) -> Answer:
        if not request.headers.get(b"content-type", b"").lower().startswith(FORM):
            self._note("request", None, account=account.sid)
            return self._refuse(None, Refused(20415), account)
        form = parse_form(request.body)
        message = draft(account, form, created=self._clock.now, seed=self._seed)
        self._note("request", message)
        met = self._faults.meet(message.to)
        call = next((fault for fault in met if fault.kind in CALL_KINDS), None)
        if met:
            self.counters["faults"] += 1
        if call is not None and (answer := self._before(message, call)) is not None:
            return answer
        try:
            self._validate(account, form, message)
        except Refused as refusal:
            return self._refuse(message, refusal, account)
        return self._accept(message, call, met)

    def _accept(self, message: Message, call: Fault | None, met: tuple[Fault, ...]) -> Answer:
        self._store.add(message)
        self.counters["accepted"] += 1
        self._note("accepted", message, fault=call.kind if call else None)
        answer = Answer(201, _encoder.encode(resource(message)))
        self.accepted(message, met)
        return answer if call is None else _after(answer, call)

    def _before(self, message: Message, fault: Fault) -> Answer | None:
        """Act out a trouble that keeps the message from being accepted, if it is one."""
        if fault.kind == "throttle_429":
            wait = f"{fault.retry_after:g}".encode()
            answer = error(20429, headers=((b"retry-after", wait),))
        elif fault.kind == "error_500_before":
            answer = error(20500)
        elif fault.kind == "timeout_before":
            answer = Answer(504, b"", delay_s=fault.seconds or HANG_SECONDS, reset=True)
        elif fault.kind == "reset_connection" and not fault.accepted:
            answer = Answer(504, b"", reset=True)
        elif fault.kind == "garbled_answer" and fault.accepted is False:
            answer = _garbled(error(20500), fault.shape)
        elif fault.kind == "refuse":
            answer = error(fault.code)
        else:
            return None
        self.counters["refused"] += 1
        self._note("refused", message, status=str(answer.status), fault=fault.kind)
        return answer

    def _refuse(self, message: Message | None, refusal: Refused, account: Account) -> Answer:
        answer = error(refusal.code, refusal.shown)
        self.counters["refused"] += 1
        self._note(
            "refused", message, code=refusal.code, status=str(answer.status), account=account.sid
        )
        return answer

    def _validate(self, account: Account, form: dict[str, str], message: Message) -> None:
        validate(form)
        if (account.sid, message.from_) not in self._store.numbers:
            raise Refused(21606, message.from_)
        if message.to in _MAGIC:
            raise Refused(_MAGIC[message.to], message.to)
        if (message.from_, message.to) in self._store.opted_out:
            raise Refused(21610)
        if account.rate_per_second and not self._within_rate(account):
            raise Refused(20429)

    def _within_rate(self, account: Account) -> bool:
        """Take one token of the account's bucket (one second of burst, machine time)."""
        rate = account.rate_per_second or 1.0
        now = machine_now().timestamp()
        tokens, at = self._budgets.get(account.sid, (rate, now))
        tokens = min(rate, tokens + (now - at) * rate)
        self._budgets[account.sid] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1

    # Reading.

    def _show(self, account: Account, message_sid: str | None, request: Request) -> Answer:
        if message_sid is not None:
            message = self._store.messages.get(message_sid)
            if message is None or message.account.sid != account.sid:
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

    def _note(
        self,
        kind: str,
        about: Message | None,
        *,
        code: int | None = None,
        status: str | None = None,
        fault: str | None = None,
        account: str | None = None,
    ) -> None:
        entry = Entry(seq=0, kind=kind, provider=PROVIDER, machine_at=machine_now())
        if about is not None:
            entry.account = about.account.sid
            entry.contact_id = about.contact_id
            entry.attempt_id = about.attempt_id
            entry.debtor_id = about.debtor_id
            entry.recipient = about.person
            entry.message_sid = about.sid if kind == "accepted" else None
        else:
            entry.account = account
        entry.code, entry.status, entry.fault = code, status, fault
        self._truth.open(entry)
        self._clock.stamp(lambda law: self._truth.settle(entry, law))


def _after(answer: Answer, fault: Fault) -> Answer:
    """Spoil the answer to an accepted message."""
    if fault.kind == "error_500_after_acceptance":
        return error(20500)
    if fault.kind == "timeout_after_acceptance":
        return msgspec.structs.replace(answer, delay_s=fault.seconds or HANG_SECONDS)
    if fault.kind == "reset_connection":
        return msgspec.structs.replace(answer, reset=True)
    return _garbled(answer, fault.shape)


def _garbled(answer: Answer, shape: str) -> Answer:
    if shape == "html":
        page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
        return Answer(answer.status, page, content_type=b"text/html")
    if shape == "empty":
        return Answer(answer.status, b"")
    if shape == "wrong_json":
        return Answer(answer.status, b'{"messages":[{"id":42}]}')
    return msgspec.structs.replace(answer, truncate_at=len(answer.body) // 2)


def _number(text: str | None, default: int, largest: int) -> int:
    return min(int(text), largest) if text and text.isdecimal() else default
