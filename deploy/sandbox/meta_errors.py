"""What Meta refuses, and in which words: its error codes as the Graph API answers them.

In: an error code and the details that its answer shows. Out: the HTTP answer with Graph's error
body, and the shorter form in which a failed status carries the same error.
"""

import secrets

import msgspec

from deploy.sandbox.wire import Answer

OAUTH = "OAuthException"
HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"
OBJECT_MISSING = 33  # subcode: there is no such object, or the token does not reach it

# Error code -> HTTP status and title.
_ERRORS: dict[int, tuple[int, str]] = {
    1: (400, "Invalid request or possible server error"),
    2: (503, "Service temporarily unavailable"),
    4: (400, "Application request limit reached"),
    10: (403, "Application does not have permission for this action"),
    33: (400, "Parameter value is not valid"),
    100: (400, "Invalid parameter"),
    104: (401, "An access token is required to request this resource."),
    190: (401, "Error validating access token: the session has expired"),
    200: (403, "Permissions error"),
    368: (403, "Temporarily blocked for policies violations"),
    80007: (400, "Rate limit issues"),
    130429: (400, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    130497: (403, "Business account is restricted from messaging users in this country."),
    131000: (500, "Something went wrong"),
    131005: (403, "Access denied"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (500, "Service unavailable"),
    131021: (400, "Recipient cannot be sender"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Account has been locked"),
    131037: (400, "WhatsApp provided number needs display name approval"),
    131042: (400, "Business eligibility payment issue"),
    131045: (500, "Incorrect certificate"),
    131047: (400, "Re-engagement message"),
    131048: (400, "Spam rate limit hit"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement."),
    131050: (400, "User has stopped marketing messages"),
    131051: (400, "Unsupported message type"),
    131056: (400, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: (500, "Account in maintenance mode"),
    131064: (400, "Message failed to send because of the messaging limit"),
    132000: (400, "Template param count mismatch"),
    132001: (404, "Template does not exist"),
    132005: (400, "Template hydrated text too long"),
    132007: (400, "Template format character policy violated"),
    132012: (400, "Template parameter format mismatch"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    133010: (400, "Phone number not registered"),
    135000: (400, "Generic user error"),
}  # fmt: skip

_encoder = msgspec.json.Encoder()


def error(
    code: int,
    details: str = "",
    *,
    subcode: int | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    """Return Graph's error answer for `code`."""
    status, title = _ERRORS.get(code, (400, "Error"))
    body: dict[str, object] = {
        "message": f"(#{code}) {title}" if code != 190 else title,  # noqa: PLR2004 - as Graph does
        "type": OAUTH,
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or title},
        "fbtrace_id": secrets.token_urlsafe(16),
    }
    if subcode is not None:
        body["error_subcode"] = subcode
    if status >= 500:  # noqa: PLR2004 - HTTP server errors begin
        body["is_transient"] = True
    return Answer(status, _encoder.encode({"error": body}), headers)


def in_status(code: int) -> dict[str, object]:
    """Return an error as a failed status carries it."""
    title = _ERRORS.get(code, (400, "Error"))[1]
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": title},
        "href": HREF,
    }
