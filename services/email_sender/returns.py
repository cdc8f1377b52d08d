"""What comes back to the e-mail sender by its own doors, in the runtime's words.

In: the stored form of a mail (as a final delivery writes it: `Return-Path`, `Delivered-To`, then
the mail) or of a one-click unsubscribe. Out: receipts and replies. The address a mail came to says
which attempt it is about; the listener checked its seal before the mail was stored. Attachments are
never opened.
"""

import re
from collections.abc import Sequence
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parseaddr

import msgspec

from services.email_sender import bounces
from services.email_sender.message import is_address, one_line
from services.email_sender.mime import BOUNCE, REPLY, UNSUBSCRIBE
from services.email_sender.quoting import decoded, text_of, written
from shared.events.states import ContactState
from shared.sender.provider import (
    InboundReply,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)

ONE_CLICK = b"One-Click "
MAIL = b"Return-Path: <"
SUBJECT_CHARS_MAX = 500
PARTS_MAX = 100  # people attach many photos
NESTED_MAX = 20  # each line is held against the boundaries of all parts around it
FROM_CHARS_MAX = 500  # a name and an address; comments in it are read by recursion
# A reference as `Callbacks.reference` makes it; mail systems may change its case, nothing else.
REFERENCE = re.compile(r"[0-9a-f]{32}-[0-9]{1,2}-[0-9]{8}-[0-9a-f]{16}", re.IGNORECASE)
_OWN = re.compile(rf"([{BOUNCE}{REPLY}{UNSUBSCRIBE}])-({REFERENCE.pattern})", re.IGNORECASE)
_PARTS = re.compile(rb"content-type", re.IGNORECASE)
_NESTED = re.compile(rb"boundary\s{0,3}[=*]", re.IGNORECASE)
_AWAY = re.compile(
    r"\s*(?:out of (?:the )?office|automatic reply|auto(?:matic)?[- ]?(?:reply|response)"
    r"|resposta autom|respuesta autom|fora do escrit|ausência|ausencia|fuera de la oficina)",
    re.IGNORECASE,
)
AUTOMATIC_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})


class OwnAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address of ours: what it is for, and the attempt it names."""

    purpose: str
    reference: str


def own_address(local_part: str) -> OwnAddress | None:
    """Return what a local part of ours says; None when it says nothing."""
    found = _OWN.fullmatch(local_part)
    if found is None:
        return None
    return OwnAddress(purpose=found[1].lower(), reference=found[2].lower())


def stored_mail(return_path: str, delivered_to: str, content: bytes) -> bytes:
    """Return a mail as it is stored."""
    head = f"Return-Path: <{return_path}>\r\nDelivered-To: {delivered_to}\r\n"
    return head.encode("ascii", "replace") + content


def read_own(body: bytes) -> Sequence[WebhookEvent] | None:
    """Read what came by a door of ours; None when it is some provider's webhook."""
    if body.startswith(ONE_CLICK):
        return (_one_click(body.removeprefix(ONE_CLICK).decode("ascii", "replace")),)
    if not body.startswith(MAIL):
        return None
    if len(_PARTS.findall(body)) > PARTS_MAX or len(_NESTED.findall(body)) > NESTED_MAX:
        msg = f"a mail of more than {PARTS_MAX} parts, or of parts in {NESTED_MAX} others"
        raise UnreadableWebhookError(msg)
    try:
        return _read_mail(BytesParser(policy=compat32).parsebytes(body))
    except Exception as error:  # noqa: BLE001 - the parser has faults of its own with hostile mail
        msg = f"a mail that cannot be read ({type(error).__name__})"
        raise UnreadableWebhookError(msg) from None


def _one_click(reference: str) -> InboundReply:
    return InboundReply(
        provider_ref=reference,
        from_address="",  # whoever we wrote to
        to_address="",
        text="",
        button="opt_out",
        our_reference=reference,
    )


def _read_mail(message: Message) -> tuple[WebhookEvent, ...]:
    # The first word: a mail that begins with a folded line would go on in this header.
    address = next(iter(str(message.get("Delivered-To", "")).split()), "")
    local, _, domain = address.rpartition("@")
    own = own_address(local)
    if own is None:  # to an address that names nothing: only a person's stop came so far
        return (_reply(message, None, address),)
    name = f"{own.reference}@{domain}"
    report = _report_of(message)
    if report == bounces.DELIVERY:
        return (bounces.delivery_report(message, own.reference, name),)
    if report == bounces.FEEDBACK:
        return (bounces.complaint(message, own.reference, name),)
    if own.purpose == BOUNCE and _AWAY.match(_subject(message)) is None:
        return (bounces.report_without_form(text_of(message), own.reference, name),)
    if report or is_automatic(message):
        return (_automatic(own.reference, name),)
    return (_reply(message, own, address),)


def is_automatic(message: Message) -> bool:
    """Say whether a program answered, not a person (RFC 3834 and older customs)."""
    submitted = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    return (
        submitted != "no"
        or message.get("X-Autoreply") is not None
        or message.get("X-Autorespond") is not None
        or str(message.get("Precedence", "")).strip().lower() in AUTOMATIC_PRECEDENCE
        or str(message.get("Return-Path", "")).strip() == "<>"
        or _AWAY.match(_subject(message)) is not None
    )


def _automatic(reference: str, name: str) -> StatusReceipt:
    """Return what an answering machine proves: that the mail arrived, and nothing else."""
    return StatusReceipt(
        provider_ref=name,
        provider_word="auto-replied",
        state=ContactState.DELIVERED,
        our_reference=reference,
    )


def _reply(message: Message, own: OwnAddress | None, address: str) -> InboundReply:
    sender = parseaddr(str(message.get("From", ""))[:FROM_CHARS_MAX])[1]
    return InboundReply(
        provider_ref=one_line(str(message.get("Message-ID", "")), 200) or "mail",
        from_address=sender if is_address(sender) else "",
        to_address=address,
        text=written(message, _subject(message)),
        button="opt_out" if own is not None and own.purpose == UNSUBSCRIBE else None,
        our_reference=own.reference if own is not None else None,
    )


def _report_of(message: Message) -> str:
    if message.get_content_type() != "multipart/report":
        return ""
    return str(message.get_param("report-type", "") or "other").lower()


def _subject(message: Message) -> str:
    """Return the subject, decoded where that is possible."""
    raw = str(message.get("Subject", ""))[:SUBJECT_CHARS_MAX]
    try:
        parts = decode_header(raw)
    except ValueError:
        return raw
    return "".join(
        [decoded(each, charset) if isinstance(each, bytes) else each for each, charset in parts]
    )
