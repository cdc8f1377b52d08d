"""What a mail server's refusal means: reply code and enhanced code onto the closed error list.

In: the stage of the conversation, the code, the text. Out: a `SendError` whose code is the enhanced
status (RFC 3463) or the bare reply code; the text, which quotes addresses, goes nowhere. A bare 550
never condemns an address: only codes that speak of the address itself do.
"""

import re
from enum import StrEnum

from services.email_sender.statuses import kind_of_status
from shared.sender.errors import ErrorKind, SendError

PERMANENT = 500
CLOSING = 421
GREYLIST_SECONDS = 300.0  # what most greylists ask for
_ENHANCED = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b")


class Stage(StrEnum):
    """How far the conversation got."""

    CONNECT = "connect"
    AUTH = "auth"
    SENDER = "sender"
    RECIPIENT = "recipient"
    DATA = "data"


AUTHENTICATION = frozenset({530, 534, 535, 538})
BAD_SYNTAX = frozenset({500, 501, 502, 503, 504, 555})

# Codes without an enhanced one, by stage.
_BARE: dict[Stage, dict[int, ErrorKind]] = {
    Stage.SENDER: {
        550: ErrorKind.ACCOUNT_SETTINGS, 551: ErrorKind.ACCOUNT_SETTINGS,
        552: ErrorKind.CONTENT_REFUSED, 553: ErrorKind.ACCOUNT_SETTINGS,
        554: ErrorKind.ACCOUNT_SETTINGS,
    },
    Stage.RECIPIENT: {
        550: ErrorKind.RECIPIENT_UNREACHABLE, 551: ErrorKind.RECIPIENT_UNREACHABLE,
        552: ErrorKind.RECIPIENT_UNREACHABLE, 553: ErrorKind.RECIPIENT_UNREACHABLE,
        554: ErrorKind.POLICY_REFUSED, 521: ErrorKind.RECIPIENT_UNREACHABLE,
        556: ErrorKind.RECIPIENT_INVALID,
    },
    Stage.DATA: {
        550: ErrorKind.CONTENT_REFUSED, 552: ErrorKind.CONTENT_REFUSED,
        554: ErrorKind.CONTENT_REFUSED,
    },
}  # fmt: skip
RATE_CODES = frozenset({"7.28", "7.650", "7.500"})  # too fast, in large providers' words


def refusal(stage: Stage, code: int, text: str) -> SendError:
    """Return the error of a refused command."""
    enhanced = enhanced_code(code, text)
    shown = enhanced or str(code)
    if code >= PERMANENT:
        return SendError(kind=_permanent(stage, code, enhanced), code=shown)
    kind = _passing(stage, code, enhanced)
    wait = GREYLIST_SECONDS if kind is ErrorKind.RECIPIENT_THROTTLED else None
    return SendError(kind=kind, code=shown, retry_after_seconds=wait)


def enhanced_code(code: int, text: str) -> str | None:
    """Return the enhanced code at the beginning of a reply, if it is of the reply's class."""
    found = _ENHANCED.match(text)
    if found is None or found[1] != str(code)[:1]:
        return None
    return f"{found[1]}.{int(found[2])}.{int(found[3])}"


def _permanent(stage: Stage, code: int, enhanced: str | None) -> ErrorKind:
    if stage is Stage.CONNECT:
        return ErrorKind.UNREACHABLE  # the server wants nothing of us: no fault of this contact
    if code in AUTHENTICATION or stage is Stage.AUTH:
        return ErrorKind.BAD_CREDENTIALS
    if enhanced is None:
        if code in BAD_SYNTAX:
            return ErrorKind.MALFORMED_REQUEST
        return _BARE.get(stage, {}).get(code, ErrorKind.REJECTED)
    kind = kind_of_status(enhanced)
    about_address = kind in {ErrorKind.RECIPIENT_INVALID, ErrorKind.RECIPIENT_UNREACHABLE}
    if stage is Stage.SENDER and (about_address or kind is ErrorKind.POLICY_REFUSED):
        return ErrorKind.ACCOUNT_SETTINGS
    return kind


def _passing(stage: Stage, code: int, enhanced: str | None) -> ErrorKind:
    """Tell what a 4yz is about: the account's speed, this recipient, or the server."""
    detail = (enhanced or "").partition(".")[2]
    policy = detail.startswith("7.")
    if detail in RATE_CODES or (policy and (code == CLOSING or stage is Stage.SENDER)):
        return ErrorKind.THROTTLED
    if stage in {Stage.CONNECT, Stage.AUTH, Stage.SENDER} or code == CLOSING:
        return ErrorKind.PROVIDER_BUSY
    if policy or detail.startswith(("1.", "2.", "4.")):
        return ErrorKind.RECIPIENT_THROTTLED  # greylisted, full, or its host does not answer
    if stage is Stage.RECIPIENT and not detail and code in {450, 451}:
        return ErrorKind.RECIPIENT_THROTTLED  # how greylists speak without enhanced codes
    return ErrorKind.PROVIDER_BUSY
