"""What SES answers to a send: its error codes onto the closed list.

In: status, body and headers of an answer. Out: a `SendResult`. A refusal counts when Amazon says it
in its own words (`x-amzn-ErrorType`, or a code in the body); a 5xx or anything garbled is unknown,
for SES may have taken the message. SES never says how long to wait: a rate is over in a moment, a
daily quota is not, and Amazon asks to try again after up to ten minutes.
"""

import re
from collections.abc import Mapping

import msgspec

from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import Accepted, Refused, SendResult, Unknown

DAILY_QUOTA_WAIT_SECONDS = 600.0  # the longest that Amazon's documentation asks for
ERROR_TYPE_HEADER = "x-amzn-ErrorType"
OK = 200
BAD_FIRST, BAD_LAST = 400, 499
AMBIGUOUS_4XX = frozenset({408, 425})  # the server gave up on the request: who knows how far it got

_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{16,128}")
_CODE = re.compile(r"[A-Za-z][A-Za-z.]{2,79}")

# SES has no code of its own for some causes; its documented texts tell them apart.
NOT_VERIFIED = "not verified"
DAILY_QUOTA = "daily"

CODES: dict[ErrorKind, tuple[str, ...]] = {
    ErrorKind.THROTTLED: (
        "TooManyRequestsException", "LimitExceededException", "ThrottlingException", "Throttling",
        "ThrottledException", "RequestLimitExceeded", "RequestThrottled", "SlowDown",
        "RequestThrottledException", "ServiceQuotaExceededException",
        "MaxSendingRateExceededException",
    ),
    # The account is at fault, not the contact, which waits until somebody has put it right.
    ErrorKind.BAD_CREDENTIALS: (
        "AccessDenied", "AccessDeniedException", "AccountSuspendedException",
        "AccountSendingPausedException", "ExpiredToken", "ExpiredTokenException",
        "IncompleteSignature", "IncompleteSignatureException", "InvalidClientTokenId",
        "InvalidSignatureException", "MissingAuthenticationToken",
        "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired", "RequestExpired",
        "RequestTimeTooSkewed", "SendingPausedException", "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
    ErrorKind.ACCOUNT_SETTINGS: (
        "MailFromDomainNotVerifiedException", "NotFoundException",
        "ConfigurationSetDoesNotExistException", "ConfigurationSetSendingPausedException",
        "FromEmailAddressNotVerifiedException",
    ),
    ErrorKind.CONTENT_REFUSED: ("MessageRejected", "MessageRejectedException"),
    ErrorKind.MALFORMED_REQUEST: (
        "BadRequestException", "InvalidAction", "InvalidParameterCombination",
        "InvalidParameterValue", "InvalidQueryParameter", "MalformedQueryString", "MissingAction",
        "MissingParameter", "RequestEntityTooLarge", "RequestEntityTooLargeException",
        "SerializationException", "UnknownOperationException", "UnsupportedMediaTypeException",
        "ValidationError", "ValidationException",
    ),
}  # fmt: skip
KIND_OF_CODE = {code: kind for kind, codes in CODES.items() for code in codes}

# Without words of Amazon's that we can read, these statuses alone say that nothing was taken.
KIND_OF_STATUS = {
    401: ErrorKind.BAD_CREDENTIALS,
    403: ErrorKind.BAD_CREDENTIALS,
    413: ErrorKind.MALFORMED_REQUEST,
    429: ErrorKind.THROTTLED,
}


class _Sent(msgspec.Struct, rename="pascal"):
    """What we read of a successful answer."""

    message_id: str


class _Error(msgspec.Struct):
    """What we read of an error's body; its code is there in one of two places, or in neither."""

    message: str | None = None
    Message: str | None = None
    code: str | None = None
    type: str | None = msgspec.field(name="__type", default=None)


def read_send_answer(status: int, body: bytes, headers: Mapping[str, str]) -> SendResult:
    """Return what SES's answer to a send means."""
    if status == OK:
        return _read_success(body)
    if not BAD_FIRST <= status <= BAD_LAST or status in AMBIGUOUS_4XX:
        return Unknown(why=f"status_{status}")
    code, text = _error_of(body, headers)
    if code is None:
        kind = KIND_OF_STATUS.get(status)
        if kind is None:  # not Amazon's own words: something between us, and who knows what it did
            return Unknown(why=f"garbled_{status}")
        return Refused(error=SendError(kind=kind, code=str(status)))
    kind = KIND_OF_CODE.get(code) or KIND_OF_STATUS.get(status, ErrorKind.REJECTED)
    if kind is ErrorKind.CONTENT_REFUSED and NOT_VERIFIED in text:
        kind = ErrorKind.ACCOUNT_SETTINGS
    wait = DAILY_QUOTA_WAIT_SECONDS if kind is ErrorKind.THROTTLED and DAILY_QUOTA in text else None
    return Refused(error=SendError(kind=kind, code=code, retry_after_seconds=wait))


def _read_success(body: bytes) -> SendResult:
    try:
        sent = msgspec.json.decode(body, type=_Sent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(why="garbled_success")
    if _MESSAGE_ID.fullmatch(sent.message_id) is None:
        return Unknown(why="garbled_success")
    return Accepted(provider_ref=sent.message_id)


def _error_of(body: bytes, headers: Mapping[str, str]) -> tuple[str | None, str]:
    """Return an error's code, None when Amazon did not say one, and its text in lower case."""
    try:
        error = msgspec.json.decode(body, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    given = headers.get(ERROR_TYPE_HEADER) or error.type or error.code or ""
    # `MessageRejected:http://internal…` in the header, `com.amazon…#MessageRejected` in a body.
    code = given.partition(":")[0].rpartition("#")[2]
    text = (error.message or error.Message or "").lower()
    return code if _CODE.fullmatch(code) else None, text
