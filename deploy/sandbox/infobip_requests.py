"""What a request to Infobip's SMS API may look like, and what it asks for.

In: JSON bodies. Out: the wanted messages, or the violations that Infobip would name. Unknown
properties are ignored, as Infobip does.
"""

import re

import msgspec

MESSAGE_ID_MAX, TO_MAX, CALLBACK_DATA_MAX = 200, 64, 4_000  # characters, as documented
TEXT_BYTES_MAX = 4_000
VALIDITY_SECONDS_MAX = 48 * 3_600
NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
_SECONDS = {"SECONDS": 1, "MINUTES": 60, "HOURS": 3_600, "DAYS": 86_400}


class Destination(msgspec.Struct, rename="camel"):
    """One recipient; the client may name the message itself."""

    to: str
    message_id: str | None = None


class Text(msgspec.Struct):
    """The words."""

    text: str


class Validity(msgspec.Struct, rename="camel"):
    """How long to try."""

    amount: int
    time_unit: str = "MINUTES"


class Platform(msgspec.Struct, rename="camel"):
    """Which of the account's applications this is for."""

    application_id: str | None = None
    entity_id: str | None = None


class Options(msgspec.Struct, rename="camel"):
    """Options of a message."""

    validity_period: Validity | None = None
    platform: Platform | None = None


class Delivery(msgspec.Struct, rename="camel"):
    """Where and when to report; without a URL the account's subscription says."""

    url: str | None = None
    intermediate_report: bool = False
    notify: bool = True


class Hooks(msgspec.Struct, rename="camel"):
    """What reports look like."""

    delivery: Delivery = msgspec.field(default_factory=Delivery)
    content_type: str = "application/json"
    callback_data: str | None = None


class Wanted(msgspec.Struct):
    """One message to any number of people."""

    destinations: list[Destination]
    content: Text
    sender: str | None = None
    options: Options = msgspec.field(default_factory=Options)
    webhooks: Hooks = msgspec.field(default_factory=Hooks)

    def validity_seconds(self) -> int:
        """Return how long to try; what is too long is cut."""
        period = self.options.validity_period
        if period is None:
            return VALIDITY_SECONDS_MAX
        return min(period.amount * _SECONDS.get(period.time_unit, 60), VALIDITY_SECONDS_MAX)


class Bulk(msgspec.Struct):
    """A request: one message or many."""

    messages: list[Wanted]


def violations(bulk: Bulk) -> tuple[tuple[str, str], ...]:
    """Return what the documented bounds forbid, as pairs of property and complaint."""
    found = [] if bulk.messages else [("messages", "must not be empty")]
    for at, wanted in enumerate(bulk.messages):
        path = f"messages[{at}]"
        if not wanted.destinations:
            found.append((f"{path}.destinations", "must not be empty"))
        if len(wanted.webhooks.callback_data or "") > CALLBACK_DATA_MAX:
            found.append((f"{path}.webhooks.callbackData", "size must be between 0 and 4000"))
        period = wanted.options.validity_period
        if period is not None and (period.time_unit not in _SECONDS or period.amount < 1):
            found.append((f"{path}.options.validityPeriod", "must be a positive period"))
        for one, destination in enumerate(wanted.destinations):
            if len(destination.to) > TO_MAX:
                found.append((f"{path}.destinations[{one}].to", "size must be between 0 and 64"))
            if len(destination.message_id or "") > MESSAGE_ID_MAX:
                complaint = "size must be between 0 and 200"
                found.append((f"{path}.destinations[{one}].messageId", complaint))
    return tuple(found)
