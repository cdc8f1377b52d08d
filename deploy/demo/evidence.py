"""What the verifier looks at: plain structs, filled by the demo from exports and logs.

In: intake's answers, the sandbox's truth log, the ledger's exports, the client's own knowledge of
its debtors. Out: one `Evidence`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from deploy.demo import law

# What the sandbox's providers carry.
CHANNELS = {
    "twilio": "sms",
    "infobip": "sms",
    "meta": "whatsapp",
    "smtp": "email",
    "ses": "email",
}
# Where the ledger may count a contact; planned is their sum.
CLASSES = ("withheld", "cancelled", "expired", "failed", "unknown", "sent", "open")


class Accepted(msgspec.Struct, frozen=True):
    """One event that intake answered with 2xx; `status` accepted, duplicate or parked."""

    event_id: str
    status: str


class TruthLine(msgspec.Struct, frozen=True):
    """One line of the sandbox's truth log (the columns that matter here)."""

    seq: int
    kind: str
    machine_at: datetime
    law_at: datetime
    contact_id: str | None = None
    attempt_id: str | None = None
    recipient: str | None = None
    message_sid: str | None = None
    answered: int | None = None
    reply: str | None = None
    provider: str = ""
    account: str | None = None

    @property
    def channel(self) -> str:
        """On which channel the line's message went; empty for a provider that nobody knows."""
        return CHANNELS.get(self.provider, "")


class Item(msgspec.Struct, frozen=True):
    """One debt's step inside a contact."""

    debt_id: str
    episode: int
    step_key: str


class LedgerContact(msgspec.Struct, frozen=True):
    """A contact as the ledger has it. `balance_class` is one of CLASSES.

    `accepted` counts the attempts that the ledger holds as accepted; `not_after` is the end of the
    contact's lawful interval, None when it was never dispatched.
    """

    contact_id: str
    channel: str
    balance_class: str
    accepted: int
    items: tuple[Item, ...] = ()
    not_after: datetime | None = None


class Person(msgspec.Struct, frozen=True):
    """A debtor as the client knows them; `recipients` are the truth log's digests of their
    number and mailbox.

    `past` are earlier contacts (channel, instant) that count in caps.
    """

    recipients: tuple[str, ...]
    places: tuple[law.Place, ...]
    past: tuple[tuple[str, datetime], ...] = ()


class Stop(msgspec.Struct, frozen=True):
    """From when an address had to be left alone, on both clocks, and (if ever) until when.

    With `debt_ids` it is these debts that nobody may be contacted about, at whatever address.
    """

    recipient: str
    reason: str
    machine_at: datetime
    law_at: datetime
    lifted_machine_at: datetime | None = None
    debt_ids: tuple[str, ...] = ()


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the verifier looks at. `law_end` is law time when the exports were made."""

    accepted: Sequence[Accepted]
    truth: Sequence[TruthLine]
    ledger_events: frozenset[str]
    contacts: Sequence[LedgerContact]
    balance: Mapping[str, int]
    people: Sequence[Person]
    stops: Sequence[Stop]
    law_end: datetime


def read_truth(ndjson: bytes) -> list[TruthLine]:
    """Decode the lines of `GET /sandbox/truth`."""
    return msgspec.json.Decoder(TruthLine).decode_lines(ndjson)
