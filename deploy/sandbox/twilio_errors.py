"""What the provider refuses, and in which words: Twilio's error codes as its API answers them.

In: an error code and what its text shows. Out: the HTTP answer with Twilio's error body.
"""

import msgspec

from deploy.sandbox.wire import Answer

_encoder = msgspec.json.Encoder()

# Error code -> HTTP status and text. Values in {} are what the real message shows.
_ERRORS: dict[int, tuple[int, str]] = {
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20404: (404, "The requested resource {} was not found"),
    20415: (415, "Unsupported media type: send application/x-www-form-urlencoded"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    21211: (400, "Invalid 'To' Phone Number: {}"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The From phone number {} is not an SMS-capable number of your account."),
    21609: (400, "The StatusCallback URL {} is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21624: (400, "The validity period is not an integer between 1 and 36000"),
}  # fmt: skip


def error(
    code: int | str, shown: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    """Return Twilio's error answer for `code`."""
    status, text = _ERRORS.get(int(code), (400, "Error {}"))
    body = {
        "code": int(code),
        "message": text.format(shown or code),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    if status == 401:  # noqa: PLR2004 - HTTP Unauthorized
        headers = (*headers, (b"www-authenticate", b'Basic realm="Twilio API"'))
    return Answer(status, _encoder.encode(body), headers)
