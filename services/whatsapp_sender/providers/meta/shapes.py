"""Meta's webhooks as far as they are read: everything optional, everything bounded elsewhere.

In: JSON. Out: structs. Fields that Meta adds are ignored; numbers that come as texts (and the other
way round) are taken, because both have been seen.
"""

from typing import Any

import msgspec


class Problem(msgspec.Struct):
    """One error: its code is what counts."""

    code: int


class Pricing(msgspec.Struct):
    """What a message is charged as."""

    category: str | None = None
    billable: bool | None = None


class Status(msgspec.Struct):
    """One status of one message."""

    id: str
    status: str
    timestamp: str | int = ""
    recipient_id: str = ""
    recipient_user_id: str = ""
    biz_opaque_callback_data: str | None = None
    errors: list[Problem] = []
    pricing: Pricing | None = None


class Text(msgspec.Struct):
    """Words."""

    body: str = ""


class Pressed(msgspec.Struct):
    """A quick-reply button of a template."""

    text: str = ""
    payload: str = ""


class Chosen(msgspec.Struct):
    """A button or row of an interactive message."""

    id: str = ""
    title: str = ""


class Interactive(msgspec.Struct):
    """An answer to an interactive message."""

    button_reply: Chosen | None = None
    list_reply: Chosen | None = None


class Reaction(msgspec.Struct):
    """An emoji put under a message."""

    emoji: str = ""


class Media(msgspec.Struct):
    """A picture, film or file: only its caption is read; nothing is fetched."""

    caption: str = ""


class Context(msgspec.Struct):
    """The message that this one quotes."""

    id: str = ""


class System(msgspec.Struct):
    """What WhatsApp itself says, e.g. that somebody changed their number."""

    type: str = ""


class Inbound(msgspec.Struct):
    """One message of a person."""

    id: str
    type: str = ""
    sender: str = msgspec.field(default="", name="from")
    from_user_id: str = ""
    timestamp: str | int = ""
    context: Context | None = None
    text: Text | None = None
    button: Pressed | None = None
    interactive: Interactive | None = None
    reaction: Reaction | None = None
    image: Media | None = None
    video: Media | None = None
    document: Media | None = None
    system: System | None = None


class Preference(msgspec.Struct):
    """What a person chose in WhatsApp's own settings of this business."""

    value: str
    wa_id: str = ""
    user_id: str = ""
    category: str = ""
    detail: str = ""
    timestamp: str | int = ""


class Person(msgspec.Struct):
    """Names of a person."""

    wa_id: str = ""
    user_id: str = ""
    parent_user_id: str = ""


class Metadata(msgspec.Struct):
    """Which number of ours a webhook is about."""

    phone_number_id: str = ""


class Value(msgspec.Struct):
    """What one change says."""

    metadata: Metadata | None = None
    contacts: list[Person] = []
    statuses: list[Status] = []
    messages: list[Inbound] = []
    user_preferences: list[Preference] = []
    errors: list[Problem] = []
    event: str | None = None
    current_limit: str | None = None
    new_quality_score: str | None = None


class Change(msgspec.Struct):
    """One change of one field; its value is read later, one event at a time."""

    field: str
    value: dict[str, Any]


class Entry(msgspec.Struct):
    """What one business account has to say."""

    id: str
    changes: list[Change]


class Body(msgspec.Struct):
    """A whole webhook."""

    object: str
    entry: list[Entry]
