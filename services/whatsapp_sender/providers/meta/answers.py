"""What Meta's answer to a send means: accepted, refused in its own words, or unknown.

In: status, body and headers. Out: a `SendResult`. A 5xx is unknown unless its words say that the
request was not even looked at. How long to wait stands in a usage header, in minutes, or nowhere.
"""

import re
from collections.abc import Mapping

import msgspec

from services.whatsapp_sender.providers.meta import codes
from services.whatsapp_sender.providers.meta.names import names_of
from shared.sender.errors import ErrorKind, SendError, Slows
from shared.sender.provider import Accepted, Refused, SendResult, Unknown

OK_FIRST, OK_LAST = 200, 299
BAD_FIRST, BAD_LAST = 400, 499
AMBIGUOUS_4XX = frozenset({408, 425})  # the server gave up on the request: who knows how far it got
USAGE_HEADER = "X-Business-Use-Case-Usage"
USAGE_CHARS_MAX = 10_000
MINUTE_SECONDS = 60.0
_ID = re.compile(r"wamid\.[A-Za-z0-9+/=_-]{1,500}")
_SECONDS = re.compile(r"[0-9]{1,9}")


class _Contact(msgspec.Struct):
    wa_id: str = ""
    user_id: str = ""


class _Message(msgspec.Struct):
    id: str


class _Success(msgspec.Struct):
    """What we read of a successful answer; a held or paused message is accepted all the same."""

    messages: list[_Message]
    contacts: list[_Contact] = []


class _Error(msgspec.Struct):
    code: int
    error_subcode: int | None = None


class _Failure(msgspec.Struct):
    """Meta's error body; titles and details are for people."""

    error: _Error


class _Usage(msgspec.Struct):
    estimated_time_to_regain_access: float = 0.0


def read_send_answer(status: int, body: bytes, headers: Mapping[str, str]) -> SendResult:
    """Return what an answer means."""
    if OK_FIRST <= status <= OK_LAST:
        return _success(body)
    if status < BAD_FIRST or status in AMBIGUOUS_4XX:
        return Unknown(why=f"status_{status}")
    try:
        error = msgspec.json.decode(body, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _wordless(status, headers)
    code = error.code
    if status > BAD_LAST and code not in codes.CERTAIN_AT_5XX:
        return Unknown(why=f"status_{status}")
    kind = codes.kind_of(code)
    if error.error_subcode == codes.OBJECT_MISSING:
        kind = ErrorKind.ACCOUNT_SETTINGS
    if kind is ErrorKind.REJECTED:
        kind = codes.KIND_OF_STATUS.get(status, kind)
    wait = _wait(kind, headers)
    wait = codes.WAIT_SECONDS.get(code) if wait is None else wait
    return Refused(error=SendError(kind=kind, code=str(code), retry_after_seconds=wait))


def _success(body: bytes) -> SendResult:
    try:
        success = msgspec.json.decode(body, type=_Success)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Unknown(why="garbled_success")
    if len(success.messages) != 1 or not _ID.fullmatch(success.messages[0].id):
        return Unknown(why="garbled_success")
    known = success.contacts[0] if success.contacts else _Contact()
    return Accepted(
        provider_ref=success.messages[0].id,
        other_addresses=names_of(phone=known.wa_id, user_ids=(known.user_id,)),
    )


def _wordless(status: int, headers: Mapping[str, str]) -> SendResult:
    """An answer without Meta's own words: something between us, and who knows what it did."""
    kind = codes.KIND_OF_STATUS.get(status)
    if kind is None:
        return Unknown(why=f"garbled_{status}")
    wait = _wait(kind, headers)
    return Refused(error=SendError(kind=kind, code=str(status), retry_after_seconds=wait))


def _wait(kind: ErrorKind, headers: Mapping[str, str]) -> float | None:
    """Return how long Meta asks for, in seconds; None when it does not say."""
    given = headers.get("Retry-After", "")
    if _SECONDS.fullmatch(given):
        return float(given)
    if SendError(kind=kind).row.slows is Slows.NOTHING:
        return None
    usage = headers.get(USAGE_HEADER, "")
    try:
        entries = msgspec.json.decode(usage[:USAGE_CHARS_MAX], type=dict[str, list[_Usage]])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    minutes = [each.estimated_time_to_regain_access for found in entries.values() for each in found]
    longest = max(minutes, default=0.0)
    return longest * MINUTE_SECONDS if longest > 0 else None
