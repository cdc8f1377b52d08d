"""Reports that come by mail: delivery reports (RFC 3464) and complaints (RFC 5965).

In: a multipart/report. Out: a `StatusReceipt` of the attempt that the report's own address names.
Our mails have one recipient each, so the first recipient that a report tells of is ours. What a
server says in words of its own moves nothing and is kept.
"""

import re
from collections.abc import Iterable
from email.message import Message

from services.email_sender.statuses import kind_of_status
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import StatusReceipt

DELIVERY, FEEDBACK = "delivery-status", "feedback-report"
STATES = {
    "failed": ContactState.UNDELIVERED,
    "delivered": ContactState.DELIVERED,
    "relayed": ContactState.SENT,  # beyond it nobody reports
    "expanded": ContactState.SENT,
    "delayed": None,
}
NO_COMPLAINT = "not-spam"  # RFC 6430: the person took the mail out of the spam folder
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
# In free words a date or a version may look like a status: only beside what goes with one.
_QUOTED_STATUS = re.compile(
    r"(?:\b5\d\d[ :-]{1,3}#?|#|status:? {0,3}|smtp; {0,3})(5\.[0-7]\.\d{1,3})\b", re.IGNORECASE
)
# Bare, it begins what is said of an address on the same line; 5.1.26 is a day, whatever stands by.
_BARE_STATUS = re.compile(r"(?:^\s{0,8}|[(;:] ?)(5\.[0-7]\.(?![23]\d\b)\d{1,3})\b(?![./-]\d)")
_OF_AN_ADDRESS = re.compile(
    r"\b(?:recipient|mailbox|user|address|destinat[aá]ri|usu[aá]ri|endere[cç]o|caixa postal"
    r"|buz[oó]n|direcci[oó]n)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z][a-z-]{0,31}")


def delivery_report(message: Message, reference: str, name: str) -> StatusReceipt:
    """Return what a delivery report tells; `name` is our Message-ID of the mail."""
    fields = _first_with(_blocks(message, DELIVERY), "action")
    word = _word(fields, "action")
    state = STATES.get(word)
    status = _status(fields)
    failed = state is ContactState.UNDELIVERED
    return StatusReceipt(
        provider_ref=name,
        provider_word=word or "report",
        state=state,
        code=status,
        error=_error(status) if failed else None,
        our_reference=reference,
    )


def complaint(message: Message, reference: str, name: str) -> StatusReceipt:
    """Return a complaint: as good as an opt-out, and proof that the mail arrived."""
    fields = _first_with(_blocks(message, FEEDBACK), "feedback-type")
    word = _word(fields, "feedback-type")
    return StatusReceipt(
        provider_ref=name,
        provider_word=word or "complaint",
        state=ContactState.DELIVERED,
        our_reference=reference,
        complained_by=None if word == NO_COMPLAINT else "",
    )


def report_without_form(text: str, reference: str, name: str) -> StatusReceipt:
    """Return a bounce in free words: negative only when it quotes a permanent status."""
    status = _told_in_words(text)
    return StatusReceipt(
        provider_ref=name,
        provider_word="bounce",
        state=ContactState.UNDELIVERED if status else None,
        code=status,
        error=_error(status) if status else None,
        our_reference=reference,
    )


def _told_in_words(text: str) -> str | None:
    found = _QUOTED_STATUS.search(text)
    for line in text.splitlines() if found is None else ():
        found = _BARE_STATUS.search(line)
        if found is not None and _OF_AN_ADDRESS.search(line):
            break
        found = None
    return found[1] if found is not None else None


def _blocks(message: Message, kind: str) -> list[Message]:
    """Return the groups of fields in the report's machine-readable part."""
    for part in message.walk():
        if part.get_content_type() == f"message/{kind}":
            payload = part.get_payload()
            if isinstance(payload, list):
                return [each for each in payload if isinstance(each, Message)]
    return []


def _first_with(blocks: Iterable[Message], field: str) -> Message | None:
    return next((each for each in blocks if each.get(field)), None)


def _word(fields: Message | None, name: str) -> str:
    found = _WORD.match(str(fields.get(name, "")).strip().lower()) if fields is not None else None
    return found.group() if found is not None else ""


def _status(fields: Message | None) -> str | None:
    """Return the enhanced status; the diagnostic's own when the report generalises (x.0.0)."""
    if fields is None:
        return None
    told = _STATUS.search(str(fields.get("status", "")))
    diagnosed = _STATUS.search(str(fields.get("diagnostic-code", "")))
    if told is None or (told.group().endswith(".0.0") and diagnosed is not None):
        told = diagnosed
    return told.group() if told is not None else None


def _error(status: str | None) -> ErrorKind:
    return ErrorKind.REJECTED if status is None else kind_of_status(status)
