"""What Twilio's answers and webhooks mean, case by case."""

from urllib.parse import parse_qs, urlencode

import msgspec
import pytest

from services.sms_sender.message import SmsMessage
from services.sms_sender.providers.twilio import (
    Twilio,
    encoded,
    form,
    read_send_answer,
)
from services.sms_sender.providers.twilio.codes import CODES, KIND_OF_CODE
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    Accepted,
    InboundReply,
    Refused,
    Sending,
    SendResult,
    StatusReceipt,
    Unknown,
    UnreadableWebhookError,
)

SID = "SM" + "0a" * 16


def answered(status: int, body: object, **headers: str) -> SendResult:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return read_send_answer(status, raw, {k.replace("_", "-"): v for k, v in headers.items()})


def test_created_is_accepted() -> None:
    assert answered(201, {"sid": SID, "status": "queued"}) == Accepted(provider_ref=SID)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 21211, ErrorKind.RECIPIENT_INVALID),
        (400, 21610, ErrorKind.RECIPIENT_OPTED_OUT),
        (400, 21606, ErrorKind.ACCOUNT_SETTINGS),
        (400, 21617, ErrorKind.CONTENT_REFUSED),
        (400, 30863, ErrorKind.POLICY_REFUSED),
        (400, 99999, ErrorKind.REJECTED),
        (401, 20003, ErrorKind.BAD_CREDENTIALS),
        (404, 20404, ErrorKind.ACCOUNT_SETTINGS),
        (429, 20429, ErrorKind.THROTTLED),
        (429, 99998, ErrorKind.THROTTLED),
        (400, 21611, ErrorKind.NUMBER_THROTTLED),
    ],
)
def test_a_documented_refusal_is_certain(status: int, code: int, kind: ErrorKind) -> None:
    result = answered(status, {"code": code, "message": "x", "status": status})
    assert isinstance(result, Refused)
    assert (result.error.kind, result.error.code) == (kind, str(code))


def test_retry_after_is_taken_from_the_header() -> None:
    result = answered(429, {"code": 20429}, Retry_After="7")
    assert isinstance(result, Refused)
    assert result.error.retry_after_seconds == 7.0


@pytest.mark.parametrize("status", [401, 403, 429])
def test_some_statuses_speak_for_themselves(status: int) -> None:
    assert isinstance(answered(status, b"<html>"), Refused)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": 20500}),
        (503, {"code": 20503}),
        (502, b"<html>bad gateway</html>"),
        (400, b"<html>somebody's proxy</html>"),
        (408, {"code": 20408}),
        (302, b""),
        (201, b""),
        (201, b"{"),
        (201, {"sid": "nonsense"}),
        (200, {"status": "queued"}),
    ],
)
def test_what_may_have_been_accepted_is_unknown(status: int, body: object) -> None:
    assert isinstance(answered(status, body), Unknown)


def test_every_code_has_one_kind() -> None:
    assert sum(len(codes) for codes in CODES.values()) == len(KIND_OF_CODE)


def test_the_request_form() -> None:
    message = SmsMessage(to="+5511987654321", text="Olá & até já: 100% +1 é €5", segments=1)
    url = "https://sms.example.org/webhooks/twilio/acme/x?a=1&c=2&s=3"
    sending = Sending(callback_url=url, validity_seconds=50_000)
    fields = form("+5511940000001", message, sending)
    assert fields == {
        "To": "+5511987654321",
        "From": "+5511940000001",
        "Body": message.text,
        "StatusCallback": url,
        "ValidityPeriod": "36000",
    }
    # Our own encoder says exactly what the standard library's decoder understands.
    assert parse_qs(encoded(fields).decode(), strict_parsing=True) == {
        name: [value] for name, value in fields.items()
    }
    service = form("MG" + "0" * 32, message, sending)
    assert "From" not in service
    assert service["MessagingServiceSid"] == "MG" + "0" * 32


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("queued", ContactState.ACCEPTED),
        ("sending", ContactState.SENT),
        ("sent", ContactState.SENT),
        ("delivered", ContactState.DELIVERED),
        ("read", ContactState.READ),
        ("undelivered", ContactState.UNDELIVERED),
        ("failed", ContactState.UNDELIVERED),
        ("canceled", ContactState.UNDELIVERED),
        ("brand_new_word", None),
    ],
)
def test_status_callbacks(word: str, state: ContactState | None) -> None:
    (event,) = Twilio().read_webhook(urlencode({"MessageSid": SID, "MessageStatus": word}).encode())
    assert event == StatusReceipt(
        provider_ref=SID, provider_word=word, state=state, code=None, error=None
    )


def test_a_negative_callback_says_why() -> None:
    body = urlencode({"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": "30006"})
    (event,) = Twilio().read_webhook(body.encode())
    assert isinstance(event, StatusReceipt)
    assert (event.code, event.error) == ("30006", ErrorKind.RECIPIENT_INVALID)


def test_an_inbound_message() -> None:
    fields = {
        "ToCountry": "BR",
        "SmsMessageSid": SID,
        "NumMedia": "0",
        "SmsSid": SID,
        "SmsStatus": "received",
        "Body": "Já paguei 👍",
        "To": "+5511940000001",
        "MessageSid": SID,
        "From": "+5511987654321",
        "ApiVersion": "2010-04-01",
    }
    (event,) = Twilio().read_webhook(urlencode(fields).encode())
    assert event == InboundReply(
        provider_ref=SID,
        from_address="+5511987654321",
        to_address="+5511940000001",
        text="Já paguei 👍",
    )


@pytest.mark.parametrize(
    "body", [b"", b"MessageStatus=sent", b"MessageSid=SM1", b"\xff", b"MessageSid=SM1&Body=x"]
)
def test_a_webhook_that_makes_no_sense_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableWebhookError):
        Twilio().read_webhook(body)
