"""Twilio Programmable Messaging: send, authenticate, read_webhook.

In: messages and accounts (`account_sid`, `auth_token`, and during a rotation `auth_token_next` or
`auth_token_previous`). Out: results and receipts in the runtime's words. Twilio has no idempotency
key: a time-out stays unknown until a status callback, which each message names by its own URL.
API: https://www.twilio.com/docs/messaging/api; codes: `codes.py`.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.twilio.codes import (
    INBOUND_WORDS,
    KIND_OF_CODE,
    KIND_OF_STATUS,
    STATES,
)
from shared.events.states import ContactState
from shared.sender.calls import read_answer
from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import (
    Accepted,
    Account,
    Capabilities,
    InboundReply,
    Refused,
    Sending,
    SendResult,
    StatusReceipt,
    Unknown,
    UnreadableWebhookError,
    WebhookAnswer,
    WebhookEvent,
    WebhookRequest,
)

API_BASE = "https://api.twilio.com"
API_VERSION = "2010-04-01"
VALIDITY_SECONDS_MAX = 36_000  # the longest Twilio takes, and its default
SIGNATURE_HEADER = "x-twilio-signature"
TOKEN_NAMES = ("auth_token", "auth_token_next", "auth_token_previous")
FORM_FIELDS_MAX = 200  # a webhook has about thirty
OK_FIRST, OK_LAST = 200, 299
BAD_FIRST, BAD_LAST = 400, 499
AMBIGUOUS_4XX = frozenset({408, 425})  # the server gave up on the request: who knows how far it got
ACCOUNTS_CACHED_MAX = 1_024

_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_QUOTED = re.compile(rb"[^A-Za-z0-9_.~ -]")  # in a form; a space becomes a plus sign
_REFERENCE = re.compile(r"[!-~]{1,64}")  # what a webhook may call a message: it is looked up in SQL
_NUMBER = re.compile(r"[0-9]{1,9}")  # a vendor's code or seconds; longer ones overflow something


class _Message(msgspec.Struct):
    """What we read of a successful answer."""

    sid: str


class _Error(msgspec.Struct):
    """Twilio's error body."""

    code: int


class Twilio:
    """The adapter; `name` is the provider's name in sender accounts."""

    capabilities = Capabilities(callback_per_message=True, validity=True)
    webhook_answer = WebhookAnswer(body=b"<Response/>", content_type="text/xml")
    credential_names: Sequence[str] = ("account_sid", "auth_token")

    def __init__(self, name: str = "twilio") -> None:
        self.name = name

    async def send(
        self,
        client: aiohttp.ClientSession,
        account: Account,
        message: SmsMessage,
        sending: Sending,
    ) -> SendResult:
        """Create one message."""
        sid = account.credentials.get("account_sid", "")
        token = account.credentials.get("auth_token", "")
        base = account.settings.base_url or self._base()
        if not sid or not token or not base:
            return Refused(error=SendError(kind=ErrorKind.BAD_CREDENTIALS, code="incomplete"))
        async with client.post(
            _messages_url(base, sid),
            data=encoded(form(account.settings.sender, message, sending)),
            headers=_headers(sid, token),
            allow_redirects=False,
        ) as response:
            return read_send_answer(response.status, await read_answer(response), response.headers)

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Check X-Twilio-Signature against every token that is valid now."""
        given = request.headers.get(SIGNATURE_HEADER, "").encode("latin-1", "replace")
        try:
            fields = _fields(request.body)
        except UnreadableWebhookError:
            return False
        genuine = False
        for name in TOKEN_NAMES:
            token = account.credentials.get(name)
            for url in _with_and_without_port(request.url) if token else ():
                # Every candidate is compared, so that time tells nothing.
                genuine |= hmac.compare_digest(signature(token or "", url, fields).encode(), given)
        return genuine

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Read a status callback or an inbound message."""
        fields = dict(_fields(body))
        sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
        word = (fields.get("MessageStatus") or fields.get("SmsStatus") or "").lower()
        if not _REFERENCE.fullmatch(sid) or not _REFERENCE.fullmatch(word or "-"):
            msg = "a webhook without a readable MessageSid and status"
            raise UnreadableWebhookError(msg)
        if "Body" in fields and (word in INBOUND_WORDS or "MessageStatus" not in fields):
            return (_reply(sid, fields),)
        if not word:
            msg = "a status callback without a status"
            raise UnreadableWebhookError(msg)
        given = fields.get("ErrorCode", "")
        code = given if _NUMBER.fullmatch(given) else None
        state = STATES.get(word)
        return (
            StatusReceipt(
                provider_ref=sid,
                provider_word=word,
                state=state,
                code=code,
                error=_kind(code) if state is ContactState.UNDELIVERED else None,
            ),
        )

    def _base(self) -> str:
        return API_BASE if self.name == "twilio" else ""


def form(sender: str, message: SmsMessage, sending: Sending) -> dict[str, str]:
    """Return the form of one message; a sender `MG…` is a messaging service."""
    source = "MessagingServiceSid" if re.fullmatch(r"MG[0-9a-f]{32}", sender) else "From"
    return {
        "To": message.to,
        source: sender,
        "Body": message.text,
        "StatusCallback": sending.callback_url,
        # What is not delivered when the window ends is not delivered at night.
        "ValidityPeriod": str(min(sending.validity_seconds, VALIDITY_SECONDS_MAX)),
    }


def encoded(fields: Mapping[str, str]) -> bytes:
    """Return a form as it is sent: as `urllib.parse.urlencode` writes it, at a fifth of its cost.

    The library quotes byte by byte in Python; here only what needs it is looked at.
    """
    return b"&".join(
        [
            _QUOTED.sub(_quote, name.encode()) + b"=" + _QUOTED.sub(_quote, value.encode())
            for name, value in fields.items()
        ]
    ).replace(b" ", b"+")


def _quote(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def read_send_answer(status: int, body: bytes, headers: Mapping[str, str]) -> SendResult:
    """Return what Twilio's answer to a send means."""
    if OK_FIRST <= status <= OK_LAST:
        return _read_success(body)
    if not BAD_FIRST <= status <= BAD_LAST or status in AMBIGUOUS_4XX:
        return Unknown(why=f"status_{status}")
    after = _retry_after(headers)
    try:
        code = msgspec.json.decode(body, type=_Error).code
    except (msgspec.DecodeError, UnicodeDecodeError):
        kind = KIND_OF_STATUS.get(status)
        if kind is None:  # not Twilio's own words: something between us, and who knows what it did
            return Unknown(why=f"garbled_{status}")
        return Refused(error=SendError(kind=kind, code=str(status), retry_after_seconds=after))
    kind = KIND_OF_CODE.get(code) or KIND_OF_STATUS.get(status, ErrorKind.REJECTED)
    return Refused(error=SendError(kind=kind, code=str(code), retry_after_seconds=after))


def signature(token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """Return the signature of a form webhook: HMAC-SHA1 over the URL and every sorted field."""
    text = url + "".join([name + value for name, value in sorted(set(fields))])
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def _read_success(body: bytes) -> SendResult:
    try:
        message = msgspec.json.decode(body, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(why="garbled_success")
    if _SID.fullmatch(message.sid) is None:
        return Unknown(why="garbled_success")
    return Accepted(provider_ref=message.sid)


def _reply(sid: str, fields: Mapping[str, str]) -> InboundReply:
    sender, recipient = fields.get("From", ""), fields.get("To", "")
    if not sender or not recipient:
        msg = "an inbound message without From or To"
        raise UnreadableWebhookError(msg)
    return InboundReply(
        provider_ref=sid, from_address=sender, to_address=recipient, text=fields["Body"]
    )


@lru_cache(maxsize=1)  # authenticated and read one after the other: the form is parsed once
def _fields(body: bytes) -> tuple[tuple[str, str], ...]:
    try:
        text = body.decode()
        fields = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=FORM_FIELDS_MAX
        )
    except (UnicodeDecodeError, ValueError) as error:
        msg = "a webhook that is not a form"
        raise UnreadableWebhookError(msg) from error
    return tuple(fields)


def _with_and_without_port(url: str) -> tuple[str, ...]:
    """Twilio signs the URL as configured, or with its default port added or left out."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return url, f"{scheme}://{_other_host(scheme, host)}{slash}{path}"


@lru_cache(maxsize=ACCOUNTS_CACHED_MAX)
def _other_host(scheme: str, netloc: str) -> str:
    parts = urlsplit(f"{scheme}://{netloc}")
    host = parts.hostname or ""
    if parts.port is not None:
        return host
    return f"{host}:{443 if scheme == 'https' else 80}"


def _kind(code: str | None) -> ErrorKind | None:
    return None if code is None else KIND_OF_CODE.get(int(code), ErrorKind.REJECTED)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if _NUMBER.fullmatch(value) else None


@lru_cache(maxsize=ACCOUNTS_CACHED_MAX)
def _messages_url(base: str, sid: str) -> URL:
    path = f"{API_VERSION}/Accounts/{quote(sid, safe='')}/Messages.json"
    return URL(f"{base.rstrip('/')}/{path}", encoded=True)


def _headers(sid: str, token: str) -> dict[str, str]:
    basic = base64.b64encode(f"{sid}:{token}".encode()).decode()
    return {
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
