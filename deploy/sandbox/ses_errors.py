"""What SES refuses, and in which words: Amazon's error codes as the v2 API answers them.

In: an error code and what its text shows. Out: the HTTP answer with code and text where Amazon's
clients look for them.
"""

import secrets

import msgspec

from deploy.sandbox.wire import Answer

_encoder = msgspec.json.Encoder()

# Error code -> HTTP status and text. Values in {} are what the real message shows.
_ERRORS: dict[str, tuple[int, str]] = {
    "AccessDeniedException": (403, "User is not authorized to perform: ses:SendEmail"),
    "AccountSuspendedException": (400, "The account's ability to send email was restricted."),
    "BadRequestException": (400, "{}"),
    "ExpiredTokenException": (403, "The security token included in the request is expired"),
    "IncompleteSignatureException": (403, "{}"),
    "InternalServiceErrorException": (500, "The request couldn't be processed."),
    "InvalidSignatureException": (403, "{}"),
    "LimitExceededException": (400, "Daily message quota exceeded."),
    "MailFromDomainNotVerifiedException": (400, "The MAIL FROM domain {} is not verified."),
    "MessageRejected": (400, "{}"),
    "MissingAuthenticationTokenException": (403, "Missing Authentication Token"),
    "NotFoundException": (404, "{}"),
    "SendingPausedException": (400, "Email sending is disabled for the account."),
    "SerializationException": (400, "{}"),
    "ServiceUnavailable": (503, "The request has failed due to a temporary failure."),
    "ThrottlingException": (400, "Maximum sending rate exceeded."),
    "TooManyRequestsException": (429, "Maximum sending rate exceeded."),
    "UnknownOperationException": (404, "{}"),
    "UnrecognizedClientException": (403, "The security token included in the request is invalid."),
}


def error(code: str, shown: str = "") -> Answer:
    """Return Amazon's error answer for `code`."""
    status, text = _ERRORS.get(code, (400, "{}"))
    body = _encoder.encode({"message": text.format(shown or code)})
    # With the documentation's address behind the code, as Amazon's own servers write it.
    kind = f"{code}:http://internal.amazon.com/coral/com.amazonaws.services.simpleemail/"
    headers = (request_id(), (b"x-amzn-errortype", kind.encode()))
    return Answer(status, body, headers, content_type=b"application/json")


def request_id() -> tuple[bytes, bytes]:
    """Return the header that names a request, fresh each time."""
    return b"x-amzn-requestid", secrets.token_hex(16).encode()
