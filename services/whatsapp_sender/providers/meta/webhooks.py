"""Meta's webhooks: many events in one body, taken apart and read one by one.

In: the raw body of a webhook of a WhatsApp business account. Out: one small body per event
(`split`), and events in the runtime's words (`read`). What is not known is kept: a strange status
moves nothing, a strange message is a reply without words, a strange field a notice.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.whatsapp_sender.providers.meta import codes
from services.whatsapp_sender.providers.meta.names import names_of
from services.whatsapp_sender.providers.meta.shapes import (
    Body,
    Change,
    Inbound,
    Person,
    Preference,
    Status,
    Value,
)
from shared.events.states import ContactState
from shared.sender.errors import ErrorKind
from shared.sender.provider import (
    InboundReply,
    Notice,
    StatusReceipt,
    UnreadableWebhookError,
    WebhookEvent,
)

EVENTS_MAX = 5_000  # of one webhook: Meta sends up to a thousand at once
TEXT_CHARS_MAX = 4_096
MILLISECONDS_FIRST = 10**11  # seconds until the year 5138; some timestamps came in milliseconds
NAMES = ("from", "from_user_id", "recipient_id", "recipient_user_id", "wa_id", "user_id")
LISTS = ("statuses", "messages", "user_preferences")
# Meta's words for a message's way. Words not listed move nothing and are kept.
STATES: dict[str, ContactState] = {
    "sent": ContactState.SENT,
    "delivered": ContactState.DELIVERED,
    "read": ContactState.READ,
    "played": ContactState.READ,
    "failed": ContactState.UNDELIVERED,
}
BUTTON_KINDS = frozenset({"promise", "pay", "human", "opt_out"})
# What Meta tells of an account, besides messages; each of them is for people to look at.
NOTICES = frozenset(
    {
        "account_alerts", "account_review_update", "account_update",
        "business_capability_update", "message_template_quality_update",
        "message_template_status_update", "phone_number_name_update",
        "phone_number_quality_update", "security", "template_category_update",
    }
)  # fmt: skip
_WORD = re.compile(r"[!-~]{1,64}")  # a word of theirs that we keep
_REFERENCE = re.compile(r"[!-~]{1,512}")  # their name of a message: it is looked up in SQL

_encoder = msgspec.json.Encoder()


def split(body: bytes) -> Sequence[bytes]:
    """Return one body per event, in order; each is the same whenever Meta repeats it."""
    parts = [_encoder.encode(part) for part in _parts(_decoded(body))]
    if len(parts) > EVENTS_MAX:
        raise UnreadableWebhookError(f"a webhook with more than {EVENTS_MAX} events")
    return parts


def read(body: bytes) -> Sequence[WebhookEvent]:
    """Return the events of a body; raise `UnreadableWebhookError` when it makes no sense."""
    events: list[WebhookEvent] = []
    for entry in _decoded(body).entry:
        for change in entry.changes:
            events += _events(change)
    return events


def _decoded(body: bytes) -> Body:
    try:
        return msgspec.json.decode(body, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableWebhookError("a webhook that is not Meta's JSON") from error


def _parts(body: Body) -> Iterator[dict[str, Any]]:
    for entry in body.entry:
        for change in entry.changes:
            for value in _values(change):
                alone = {"field": change.field, "value": value}
                yield {"object": body.object, "entry": [{"id": entry.id, "changes": [alone]}]}


def _values(change: Change) -> Iterator[dict[str, Any]]:
    """Take a change's value apart: one event each, with the contacts that it speaks of."""
    value = change.value
    events = [(name, each) for name in LISTS for each in _list(value, name)]
    if not events:
        yield value
        return
    rest = {name: each for name, each in value.items() if name not in (*LISTS, "contacts")}
    contacts = _list(value, "contacts")
    for name, event in events:
        theirs = [each for each in contacts if _speaks_of(event, each)]
        yield {**rest, **({"contacts": theirs} if theirs else {}), name: [event]}


def _list(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _speaks_of(event: dict[str, Any], contact: dict[str, Any]) -> bool:
    names = {event.get(name) for name in NAMES}
    return bool({contact.get("wa_id"), contact.get("user_id")} & (names - {None, ""}))


def _events(change: Change) -> Iterator[WebhookEvent]:
    try:
        value = msgspec.convert(change.value, Value, strict=False)
    except msgspec.ValidationError as error:
        raise UnreadableWebhookError("a webhook whose events are not Meta's") from error
    found = False
    for status in value.statuses:
        found = True
        yield _receipt(status, value)
    for message in value.messages:
        found = True
        yield _reply(message, value)
    for preference in value.user_preferences:
        found = True
        yield _preference(preference, value)
    if not found:
        yield _notice(change, value)


def _receipt(status: Status, value: Value) -> StatusReceipt:
    word = status.status.lower()
    if not _REFERENCE.fullmatch(status.id) or not _WORD.fullmatch(word):
        raise UnreadableWebhookError("a status without a readable id and word")
    state = STATES.get(word)
    errors = status.errors or value.errors
    failed = state is ContactState.UNDELIVERED
    code = errors[0].code if errors else None
    pricing = status.pricing
    return StatusReceipt(
        provider_ref=status.id,
        provider_word=word,
        state=state,
        code=str(code) if code is not None else None,
        error=(codes.kind_of(code) if code is not None else ErrorKind.REJECTED) if failed else None,
        provider_at=_instant(status.timestamp),
        our_reference=status.biz_opaque_callback_data,
        other_addresses=_names(value.contacts, status.recipient_id, status.recipient_user_id),
        category=_kept(pricing.category) if pricing else None,
        billable=pricing.billable if pricing else None,
    )


def _reply(message: Inbound, value: Value) -> WebhookEvent:
    if message.type == "system":  # somebody changed their number or device: not a reply
        return Notice(
            what="system", level=_kept(message.system.type if message.system else None) or ""
        )
    names = _names(value.contacts, message.sender, message.from_user_id)
    number = value.metadata.phone_number_id if value.metadata else ""
    if not _REFERENCE.fullmatch(message.id) or not names or not number:
        raise UnreadableWebhookError("a message without an id, a sender or a number of ours")
    text, payload = _words(message)
    kind, _, reference = payload.partition(":")
    button = kind if kind in BUTTON_KINDS else None
    context = message.context.id if message.context else None
    return InboundReply(
        provider_ref=message.id,
        from_address=names[0],
        to_address=number,
        text=text[:TEXT_CHARS_MAX],
        button=button,
        our_reference=reference or None if button else None,
        answers=context if context and _REFERENCE.fullmatch(context) else None,
        other_addresses=names[1:],
        provider_at=_instant(message.timestamp),
    )


def _words(message: Inbound) -> tuple[str, str]:
    """Return what a message says, and the payload of the button that was pressed, if any."""
    if message.text is not None:
        return message.text.body, ""
    if message.button is not None:
        return message.button.text, message.button.payload
    if message.interactive is not None:
        pressed = message.interactive.button_reply or message.interactive.list_reply
        if pressed is not None:
            return pressed.title, pressed.id
    if message.reaction is not None:
        return message.reaction.emoji, ""
    for media in (message.image, message.video, message.document):
        if media is not None:
            return media.caption, ""
    return "", ""


def _preference(preference: Preference, value: Value) -> WebhookEvent:
    """Read a choice made in WhatsApp itself: who stops one kind of message is left alone."""
    if preference.value.lower() != "stop":
        return Notice(what="user_preferences", level=_kept(preference.value) or "")
    names = _names(value.contacts, preference.wa_id, preference.user_id)
    number = value.metadata.phone_number_id if value.metadata else ""
    if not names or not number:
        raise UnreadableWebhookError("a preference without a person or a number of ours")
    told = f"{names}{preference.category}{preference.timestamp}".encode()
    return InboundReply(
        provider_ref=f"preference.{hashlib.sha256(told).hexdigest()[:32]}",
        from_address=names[0],
        to_address=number,
        text=preference.detail[:TEXT_CHARS_MAX],
        button="opt_out",
        other_addresses=names[1:],
        provider_at=_instant(preference.timestamp),
    )


def _notice(change: Change, value: Value) -> Notice:
    what = change.field if change.field in NOTICES else "other"
    level = value.current_limit or value.new_quality_score or value.event or ""
    return Notice(what=what, level=_kept(level) or "")


def _names(contacts: Sequence[Person], phone: str, user_id: str) -> tuple[str, ...]:
    """Return every name of the person an event speaks of, the phone first."""
    theirs = [
        each
        for each in contacts
        if (phone and each.wa_id == phone) or (user_id and each.user_id == user_id)
    ] or (list(contacts) if len(contacts) == 1 else [])
    phones = [phone, *(each.wa_id for each in theirs)]
    ids = [user_id, *(each.user_id for each in theirs), *(each.parent_user_id for each in theirs)]
    return names_of(next(filter(None, phones), ""), tuple(filter(None, ids)))


def _instant(given: str | int) -> datetime | None:
    timestamp = str(given)
    if not timestamp.isdecimal() or len(timestamp) > 15:  # noqa: PLR2004 - beyond every year
        return None
    seconds = int(timestamp)
    seconds = seconds // 1_000 if seconds >= MILLISECONDS_FIRST else seconds
    return datetime.fromtimestamp(seconds, UTC)


def _kept(word: str | None) -> str | None:
    """Return a word of theirs, if it is one."""
    return word if word is not None and _WORD.fullmatch(word) else None
