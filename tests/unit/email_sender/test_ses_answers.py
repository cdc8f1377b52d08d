"""What SES's answers mean, case by case."""

import msgspec
import pytest

from services.email_sender.providers.ses.answers import (
    CODES,
    DAILY_QUOTA_WAIT_SECONDS,
    KIND_OF_CODE,
    read_send_answer,
)
from shared.sender.errors import ErrorKind
from shared.sender.provider import Accepted, Refused, SendResult, Unknown

MESSAGE_ID = "0100018f2b3c4d5e-01234567-89ab-cdef-0123-456789abcdef-000000"
NOT_VERIFIED = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1:"
    " a@example.com"
)


def answered(
    status: int, code: str | None = None, text: str = "", body: object = None
) -> SendResult:
    headers = {} if code is None else {"x-amzn-ErrorType": f"{code}:http://internal.amazon.com/"}
    raw = msgspec.json.encode({"message": text} if body is None else body)
    return read_send_answer(status, body if isinstance(body, bytes) else raw, headers)


def test_a_message_id_is_accepted() -> None:
    assert answered(200, body={"MessageId": MESSAGE_ID}) == Accepted(provider_ref=MESSAGE_ID)


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (429, "TooManyRequestsException", "Too many requests", ErrorKind.THROTTLED),
        (400, "ThrottlingException", "Maximum sending rate exceeded.", ErrorKind.THROTTLED),
        (400, "LimitExceededException", "Daily message quota exceeded.", ErrorKind.THROTTLED),
        (400, "AccountSuspendedException", "", ErrorKind.BAD_CREDENTIALS),
        (400, "SendingPausedException", "", ErrorKind.BAD_CREDENTIALS),
        (400, "MessageRejected", NOT_VERIFIED, ErrorKind.ACCOUNT_SETTINGS),
        (400, "MessageRejected", "Message contained bad content", ErrorKind.CONTENT_REFUSED),
        (400, "MailFromDomainNotVerifiedException", "", ErrorKind.ACCOUNT_SETTINGS),
        (404, "NotFoundException", "Configuration set <x>", ErrorKind.ACCOUNT_SETTINGS),
        (400, "BadRequestException", "Missing final '@domain'", ErrorKind.MALFORMED_REQUEST),
        (403, "InvalidSignatureException", "", ErrorKind.BAD_CREDENTIALS),
        (403, "UnrecognizedClientException", "", ErrorKind.BAD_CREDENTIALS),
        (403, "ExpiredTokenException", "", ErrorKind.BAD_CREDENTIALS),
        (403, "BrandNewException", "", ErrorKind.BAD_CREDENTIALS),
        (429, "BrandNewException", "", ErrorKind.THROTTLED),
        (400, "BrandNewException", "", ErrorKind.REJECTED),
        (409, "ConflictException", "", ErrorKind.REJECTED),
    ],
)
def test_a_documented_refusal_is_certain(
    status: int, code: str, text: str, kind: ErrorKind
) -> None:
    result = answered(status, code, text)
    assert isinstance(result, Refused)
    assert (result.error.kind, result.error.code) == (kind, code)


@pytest.mark.parametrize(
    "body",
    [
        {"__type": "com.amazon.coral.service#MessageRejected", "message": NOT_VERIFIED},
        {"__type": "MessageRejected", "Message": NOT_VERIFIED},
        {"code": "MessageRejected", "message": NOT_VERIFIED},
    ],
)
def test_a_code_may_be_in_the_body(body: dict[str, str]) -> None:
    result = answered(400, body=body)
    assert isinstance(result, Refused)
    assert result.error.kind is ErrorKind.ACCOUNT_SETTINGS
    assert result.error.code == "MessageRejected"


def test_a_rate_is_over_in_a_moment_and_a_daily_quota_is_not() -> None:
    for text, seconds in (
        ("Maximum sending rate exceeded.", None),
        ("Daily message quota exceeded.", DAILY_QUOTA_WAIT_SECONDS),
    ):
        result = answered(400, "ThrottlingException", text)
        assert isinstance(result, Refused)
        assert result.error.retry_after_seconds == seconds


def test_no_text_of_amazons_is_kept() -> None:
    assert "a@example.com" not in repr(answered(400, "MessageRejected", NOT_VERIFIED))


@pytest.mark.parametrize("status", [401, 403, 413, 429])
def test_some_statuses_speak_for_themselves(status: int) -> None:
    result = answered(status, body=b"<html>")
    assert isinstance(result, Refused)
    assert result.error.code == str(status)


@pytest.mark.parametrize(
    ("status", "code", "body"),
    [
        (500, "InternalServiceErrorException", None),
        (503, "ServiceUnavailable", None),
        (502, None, b"<html>bad gateway</html>"),
        (400, None, b"<html>somebody's proxy</html>"),
        (400, None, {"message": "without a code"}),
        (400, "<script>", None),
        (408, "RequestTimeout", None),
        (302, None, b""),
        (204, None, b""),
        (202, None, {"MessageId": MESSAGE_ID}),
        (200, None, b""),
        (200, None, b"{"),
        (200, None, b"\xff"),
        (200, None, {"MessageId": "x"}),
        (200, None, {"MessageId": 3}),
        (200, None, {"MessageId": "'; DROP TABLE attempt; --"}),
        (200, None, [MESSAGE_ID]),
    ],
)
def test_what_may_have_been_accepted_is_unknown(
    status: int, code: str | None, body: object
) -> None:
    assert isinstance(answered(status, code, body=body), Unknown)


def test_every_code_has_one_kind() -> None:
    assert sum(len(codes) for codes in CODES.values()) == len(KIND_OF_CODE)
