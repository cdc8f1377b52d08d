"""What SES tells about a mail, in our words.

In: an event record, as a configuration set publishes it (or an identity's notification, which has
the same shape but carries no tags), or a mail that a receipt rule passes on. Out: receipts, replies
and opt-outs. A word that is not known moves nothing and is kept. A transient bounce is final, too:
SES gives up before it tells; but the mail may be fine, for out-of-office answers are told like
this, so a delivery told later still counts.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.email_sender.returns import read_own, stored_mail
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)
from shared.sender.replies import is_opt_out

REFERENCE_TAG = "reference"  # the message tag that carries our name of the attempt
WORD_CHARS_MAX = 64
PROVED = "PASS"  # DMARC's verdict: the domain in From stands behind the mail
# What SNS sends once, when an event destination is made: no record, and nothing to do.
GREETING = "Successfully validated SNS topic"

_REFERENCE = re.compile(r"[!-~]{1,128}")  # what a webhook may call a message: looked up in SQL
_TAG = re.compile(r"[A-Za-z0-9-]{1,90}")
_UNSEEN = re.compile(r"[^ -~]")

STATES: dict[str, ContactState] = {
    "Send": ContactState.ACCEPTED,
    "DeliveryDelay": ContactState.ACCEPTED,
    "Reject": ContactState.UNDELIVERED,
    "Rendering Failure": ContactState.UNDELIVERED,
    "Bounce": ContactState.UNDELIVERED,
    "Delivery": ContactState.DELIVERED,
    "Complaint": ContactState.DELIVERED,
    "Open": ContactState.READ,
    "Click": ContactState.READ,
}
ERRORS: dict[str, ErrorKind] = {
    "Reject": ErrorKind.CONTENT_REFUSED,
    "Rendering Failure": ErrorKind.CONTENT_REFUSED,
}
# Why a mail bounced: type and subtype, else the type alone.
BOUNCES: dict[str, ErrorKind] = {
    "Permanent": ErrorKind.RECIPIENT_INVALID,
    "Permanent:UnsubscribedRecipient": ErrorKind.RECIPIENT_OPTED_OUT,
    "Transient": ErrorKind.RECIPIENT_UNREACHABLE,
    "Transient:AttachmentRejected": ErrorKind.CONTENT_REFUSED,
    "Transient:ContentRejected": ErrorKind.CONTENT_REFUSED,
    "Transient:MessageTooLarge": ErrorKind.CONTENT_REFUSED,
    "Undetermined": ErrorKind.RECIPIENT_UNREACHABLE,
}
# What a reporting mail server did; the others say that nothing went wrong for good.
FAILED_ACTIONS = frozenset({"", "failed"})
NOT_SPAM = "not-spam"  # feedback that takes a complaint back
SUPPRESSED = "OnAccountSuppressionList"  # a complaint of before: this mail was not sent at all
# What a mailbox host fetches for everybody, opened or not, shows this and nothing else.
MACHINE_AGENTS = frozenset({"Mozilla/5.0"})


class _Recipient(msgspec.Struct, frozen=True):
    action: str | None = None


class _Detail(msgspec.Struct, frozen=True, rename="camel"):
    """What the one object says that goes with an event's type; each type fills some of it."""

    timestamp: str | None = None
    bounce_type: str = ""
    bounce_sub_type: str = ""
    bounced_recipients: list[_Recipient] = []
    complaint_sub_type: str | None = None
    complaint_feedback_type: str | None = None
    delay_type: str = ""
    user_agent: str | None = None


class _Preferences(msgspec.Struct, frozen=True, rename="camel"):
    unsubscribe_all: bool = False
    topic_subscription_status: list[dict[str, str]] = []


class _Subscription(msgspec.Struct, frozen=True, rename="camel"):
    new_topic_preferences: _Preferences = _Preferences()


class _Action(msgspec.Struct, frozen=True):
    encoding: str = "UTF8"


class _Verdict(msgspec.Struct, frozen=True):
    status: str = ""


class _Receipt(msgspec.Struct, frozen=True, rename="camel"):
    """How a mail was received, where SES receives mail for us."""

    recipients: list[str] = []
    action: _Action = _Action()
    dmarc_verdict: _Verdict = _Verdict()


class _Mail(msgspec.Struct, frozen=True, rename="camel"):
    message_id: str
    source: str = ""
    destination: list[str] = []
    tags: dict[str, list[str]] = {}


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    """One event record; `notification_type` is what the identity's own notifications call it."""

    mail: _Mail
    event_type: str = ""
    notification_type: str = ""
    bounce: _Detail = _Detail()
    complaint: _Detail = _Detail()
    delivery: _Detail = _Detail()
    delivery_delay: _Detail = _Detail()
    open: _Detail = _Detail()
    click: _Detail = _Detail()
    subscription: _Subscription = _Subscription()
    receipt: _Receipt = _Receipt()
    content: str | None = None

    @property
    def kind(self) -> str:
        """The event's type."""
        return self.event_type or self.notification_type

    @property
    def detail(self) -> _Detail:
        """The object that goes with the type; empty where there is none or nothing to read."""
        found = {
            "Bounce": self.bounce,
            "Complaint": self.complaint,
            "Delivery": self.delivery,
            "DeliveryDelay": self.delivery_delay,
            "Open": self.open,
            "Click": self.click,
        }
        return found.get(self.kind, _Detail())

    @property
    def our_reference(self) -> str | None:
        """The name that we gave the attempt, if the record carries it."""
        given = self.mail.tags.get(REFERENCE_TAG, [])
        return given[0] if given and _TAG.fullmatch(given[0]) else None


def read_record(text: str) -> Sequence[WebhookEvent]:
    """Return what a record tells; raise `UnreadableWebhookError`."""
    if text.startswith(GREETING):
        return ()
    try:
        record = msgspec.json.decode(text, type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = "a notification that is no event record of SES"
        raise UnreadableWebhookError(msg) from error
    if _REFERENCE.fullmatch(record.mail.message_id) is None or not record.kind:
        msg = "an event record without a readable messageId and type"
        raise UnreadableWebhookError(msg)
    if record.kind == "Received":
        return _received(record)
    if record.kind == "Subscription":
        return _subscription(record)
    return (_receipt(record),)


def _receipt(record: _Record) -> StatusReceipt:
    kind, detail = record.kind, record.detail
    parts = {
        "Bounce": (detail.bounce_type, detail.bounce_sub_type),
        "Complaint": (detail.complaint_sub_type or "", detail.complaint_feedback_type or ""),
        "DeliveryDelay": (detail.delay_type,),
    }.get(kind, ())
    state, error = STATES.get(kind), ERRORS.get(kind)
    complained_by: str | None = None
    if kind == "Bounce":
        state, error = _bounced(detail)
    elif kind == "Complaint" and detail.complaint_sub_type == SUPPRESSED:
        state, error = ContactState.UNDELIVERED, ErrorKind.RECIPIENT_OPTED_OUT
    elif kind == "Complaint" and detail.complaint_feedback_type != NOT_SPAM:
        complained_by = _addressee(record)
    elif kind == "Open" and detail.user_agent in MACHINE_AGENTS:
        state = ContactState.DELIVERED
    return StatusReceipt(
        provider_ref=record.mail.message_id,
        provider_word=_word(kind, *parts),
        state=state,
        code=_word(*parts) or None if error is not None else None,
        error=error,
        provider_at=_instant(detail.timestamp),
        our_reference=record.our_reference,
        complained_by=complained_by,
    )


def _bounced(detail: _Detail) -> tuple[ContactState | None, ErrorKind | None]:
    """Return what a bounce comes to; nothing when the report says that nothing failed for good."""
    actions = {each.action or "" for each in detail.bounced_recipients} or {""}
    if detail.bounce_type != "Permanent" and not actions & FAILED_ACTIONS:
        return None, None
    kind = BOUNCES.get(f"{detail.bounce_type}:{detail.bounce_sub_type}")
    kind = kind or BOUNCES.get(detail.bounce_type, ErrorKind.REJECTED)
    return ContactState.UNDELIVERED, kind


def _subscription(record: _Record) -> Sequence[WebhookEvent]:
    """Return an opt-out: somebody used the unsubscribe link that SES itself had put in."""
    preferences = record.subscription.new_topic_preferences
    statuses = [each.get("subscriptionStatus") for each in preferences.topic_subscription_status]
    address = _addressee(record)
    if address is None or not (preferences.unsubscribe_all or "OptOut" in statuses):
        return ()
    return (
        InboundReply(
            provider_ref=record.mail.message_id,
            from_address=address,
            to_address=record.mail.source,
            text="unsubscribe",
            button="opt_out",
            our_reference=record.our_reference,
        ),
    )


def _received(record: _Record) -> Sequence[WebhookEvent]:
    """Read a mail that a receipt rule passed on: an answer, or a report of another mail system."""
    recipients = record.receipt.recipients
    if record.content is None or len(recipients) != 1:
        msg = "a received mail without its content or its one recipient (is the action SNS?)"
        raise UnreadableWebhookError(msg)
    content = record.content.encode()
    if record.receipt.action.encoding == "BASE64":
        try:
            content = base64.b64decode(content)
        except binascii.Error as error:
            msg = "a received mail whose content is no base64"
            raise UnreadableWebhookError(msg) from error
    events = read_own(stored_mail(record.mail.source, recipients[0], content)) or ()
    if record.receipt.dmarc_verdict.status == PROVED:
        return events
    return [_unproved(each) for each in events]


def _unproved(event: WebhookEvent) -> WebhookEvent:
    """Return what a mail says whose sender is not proved: a stop, or an answer by its address.

    Anybody can write any name into From; then only the reference in the address that the mail came
    to (its seal is checked where it is looked up) tells whose answer it is.
    """
    if not isinstance(event, InboundReply) or event.button or is_opt_out(event.text):
        return event
    return msgspec.structs.replace(event, from_address="")


def _addressee(record: _Record) -> str | None:
    """Return the address as we wrote it: every mail of ours has one."""
    return record.mail.destination[0] if len(record.mail.destination) == 1 else None


def _word(*parts: str) -> str:
    """Return a provider's words as one short line."""
    return _UNSEEN.sub("?", ":".join([part for part in parts if part]))[:WORD_CHARS_MAX]


def _instant(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
