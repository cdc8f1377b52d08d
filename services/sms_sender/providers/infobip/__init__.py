"""Infobip SMS API v3: send, authenticate, read_webhook.

In: messages and accounts (`api_key`, and the `webhook_user` and `webhook_password` that the
account's subscription was given; during a rotation also `webhook_password_next` or `_previous`).
`base_url` is the account's own address; options `application_id` and `entity_id` choose among
subscriptions. Out: results, receipts and replies in the runtime's words. Each message carries our
reference as its id and as callback data: reports of any number of messages come to one URL, and
each names its attempt. A repeated id is refused, so that a message can never go out twice by
itself. Bulk requests exist and are not used: each contact is decided, and answered for, alone.
API: https://www.infobip.com/docs/api/channels/sms; codes: `codes.py`.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import aiohttp
import msgspec
from yarl import URL

from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.infobip import codes
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

API_BASE = "https://api.infobip.com"
PATH = "/sms/3/messages"
VALIDITY_SECONDS_MAX = 48 * 3_600  # Infobip's own bound; longer ones are cut to it
PASSWORD_NAMES = ("webhook_password", "webhook_password_next", "webhook_password_previous")
OPTIONS = {"application_id": "applicationId", "entity_id": "entityId"}
SUCCESS, REFUSAL = 2, 4  # first digits of an HTTP status
AMBIGUOUS_4XX = frozenset({408, 425})  # the server gave up on the request: who knows how far it got

_REFERENCE = re.compile(r"[!-~]{1,128}")  # what a report may call a message: it is looked up in SQL
_WORD = re.compile(r"[A-Za-z0-9_]{1,64}")
_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")  # as Infobip writes numbers: without the plus
_SECONDS = re.compile(r"[0-9]{1,9}")


class _Status(msgspec.Struct, rename="camel"):
    """A status or an error of the registry."""

    name: str
    group_name: str = ""
    id: int = 0


class _Sent(msgspec.Struct, rename="camel"):
    message_id: str
    status: _Status


class _Answer(msgspec.Struct):
    messages: tuple[_Sent]


class _Problem(msgspec.Struct, rename="camel"):
    """An error body: `errorCode` since version 3, `requestError` before."""

    error_code: str | None = None
    request_error: dict[str, object] | None = None


class _Batch(msgspec.Struct):
    results: tuple[msgspec.Raw, ...]


class _Result(msgspec.Struct, rename="camel"):
    """A delivery report (`status`) or an inbound message (`from` and `text`)."""

    message_id: str
    status: _Status | None = None
    error: _Status | None = None
    to: str = ""
    from_: str | None = msgspec.field(default=None, name="from")
    text: str | None = None
    callback_data: str | None = None
    done_at: str | None = None
    received_at: str | None = None


_batches = msgspec.json.Decoder(_Batch)
_results = msgspec.json.Decoder(_Result)


class Infobip:
    """The adapter."""

    name = "infobip"
    capabilities = Capabilities(echoes_reference=True, validity=True)
    webhook_answer = WebhookAnswer(body=b"{}", content_type="application/json")
    credential_names: Sequence[str] = ("api_key", "webhook_user", "webhook_password")

    async def send(
        self,
        client: aiohttp.ClientSession,
        account: Account,
        message: SmsMessage,
        sending: Sending,
    ) -> SendResult:
        """Create one message."""
        key = account.credentials.get("api_key", "")
        if not key:
            return Refused(error=SendError(kind=ErrorKind.BAD_CREDENTIALS, code="incomplete"))
        if unknown := sorted(set(account.settings.options) - set(OPTIONS)):
            code = f"settings: options.{unknown[0]}"
            return Refused(error=SendError(kind=ErrorKind.ACCOUNT_SETTINGS, code=code))
        async with client.post(
            URL(f"{(account.settings.base_url or API_BASE).rstrip('/')}{PATH}"),
            data=msgspec.json.encode(request(account, message, sending)),
            headers={
                "Authorization": f"App {key}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            allow_redirects=False,
        ) as response:
            return read_send_answer(response.status, await read_answer(response), response.headers)

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Check Basic authentication against every password that is valid now."""
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        user = account.credentials.get("webhook_user", "")
        genuine = False
        for name in PASSWORD_NAMES:
            password = account.credentials.get(name)
            if user and password:
                pair = base64.b64encode(f"{user}:{password}".encode())
                # Every candidate is compared, so that time tells nothing.
                genuine |= hmac.compare_digest(b"Basic " + pair, given)
        return genuine

    def split(self, body: bytes) -> Sequence[bytes]:
        """Return one body per report or message."""
        return [b'{"results":[' + bytes(each) + b"]}" for each in _read_batch(body)]

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Read delivery reports and inbound messages, any number of them."""
        return tuple([_read(each) for each in _read_batch(body)])


def request(account: Account, message: SmsMessage, sending: Sending) -> dict[str, object]:
    """Return the body of a request for one message to one person."""
    seconds = min(sending.validity_seconds, VALIDITY_SECONDS_MAX)
    # What is not delivered when the window ends is not delivered at night.
    options: dict[str, object] = {"validityPeriod": {"amount": seconds, "timeUnit": "SECONDS"}}
    platform = {
        theirs: account.settings.options[ours]
        for ours, theirs in OPTIONS.items()
        if ours in account.settings.options
    }
    if platform:
        options["platform"] = platform
    return {
        "messages": [
            {
                "sender": account.settings.sender.removeprefix("+"),
                "destinations": [
                    {"to": message.to.removeprefix("+"), "messageId": sending.reference}
                ],
                "content": {"text": message.text},
                "options": options,
                # Where reports go is the subscription's business: it has the password.
                "webhooks": {
                    "delivery": {"intermediateReport": True},
                    "contentType": "application/json",
                    "callbackData": sending.reference,
                },
            }
        ]
    }


def read_send_answer(status: int, body: bytes, headers: Mapping[str, str]) -> SendResult:
    """Return what Infobip's answer to a send means."""
    if status // 100 == SUCCESS:
        return _read_success(body)
    if status // 100 != REFUSAL or status in AMBIGUOUS_4XX:
        return Unknown(why=f"status_{status}")
    code = _problem_code(body)
    if code is None and status not in codes.SPEAKS_FOR_ITSELF:
        return Unknown(why=f"garbled_{status}")  # something between us, and who knows what it did
    kind = codes.KIND_OF_HTTP_STATUS.get(status, ErrorKind.REJECTED)
    wait = headers.get("Retry-After", "")
    after = float(wait) if _SECONDS.fullmatch(wait) else None
    return Refused(error=SendError(kind=kind, code=code or str(status), retry_after_seconds=after))


def _read_success(body: bytes) -> SendResult:
    try:
        (sent,) = msgspec.json.decode(body, type=_Answer).messages
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(why="garbled_success")
    status = sent.status
    known = _REFERENCE.fullmatch(sent.message_id) is not None
    if known and (status.group_name in codes.TAKEN_GROUPS or status.name == codes.DUPLICATE):
        return Accepted(provider_ref=sent.message_id)
    if status.group_name in codes.NOT_TAKEN_GROUPS:
        code = status.name if _WORD.fullmatch(status.name) else status.group_name
        return Refused(error=SendError(kind=codes.kind_of(status.name), code=code))
    return Unknown(why="garbled_success")


def _problem_code(body: bytes) -> str | None:
    """Return Infobip's own code of an error body; None when it is not in its words."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if problem.error_code is not None and _WORD.fullmatch(problem.error_code):
        return problem.error_code
    return "requestError" if problem.request_error is not None else None


def _read_batch(body: bytes) -> tuple[msgspec.Raw, ...]:
    msg = "a webhook without readable results"
    try:
        results = _batches.decode(body).results
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableWebhookError(msg) from error
    if not results:
        raise UnreadableWebhookError(msg)
    return results


def _read(raw: msgspec.Raw) -> WebhookEvent:
    msg = "a result that is neither a report nor a message"
    try:
        result = _results.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableWebhookError(msg) from error
    if not _REFERENCE.fullmatch(result.message_id):
        raise UnreadableWebhookError(msg)
    if result.status is not None:
        return _report(result, result.status)
    if not result.from_ or result.text is None:
        raise UnreadableWebhookError(msg)
    return InboundReply(
        provider_ref=result.message_id,
        from_address=_number(result.from_),
        to_address=_number(result.to),
        text=result.text,
        provider_at=_instant(result.received_at),
    )


def _report(result: _Result, status: _Status) -> StatusReceipt:
    if not _WORD.fullmatch(status.name):
        msg = "a report without a readable status"
        raise UnreadableWebhookError(msg)
    state = codes.state_of(status.name, status.group_name)
    negative = state is ContactState.UNDELIVERED
    code, kind = _why(status, result.error) if negative else (None, None)
    ours = result.callback_data or ""
    return StatusReceipt(
        provider_ref=result.message_id,
        provider_word=status.name,
        state=state,
        code=code,
        error=kind,
        provider_at=_instant(result.done_at),
        our_reference=ours if _REFERENCE.fullmatch(ours) else None,
    )


def _why(status: _Status, error: _Status | None) -> tuple[str, ErrorKind]:
    """Return code and kind of a negative report: the error says more than the status."""
    if error is None or not error.id or not _WORD.fullmatch(error.name):
        return status.name, codes.kind_of(status.name)
    return error.name, codes.kind_of(error.name, error.group_name)


def _number(text: str) -> str:
    return f"+{text}" if _INTERNATIONAL.fullmatch(text) else text


def _instant(text: str | None) -> datetime | None:
    """Return an instant as Infobip writes it (2026-11-22T10:00:00.000+0000); None for others."""
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None
