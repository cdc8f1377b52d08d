"""Webhooks in hand, and what a batch of them comes to before it is written.

In: stored webhooks. Out: values that the readers of receipts and replies fill together.
"""

from datetime import date, datetime
from uuid import UUID

import msgspec

from shared.sender.facts import Fact
from shared.sender.memory import Named
from shared.sender.store.receipts import RawReceipt, StoredAttempt
from shared.sender.webhooks import Arrived

UNFINISHED = "unfinished"

Key = tuple[UUID, int]
Place = tuple[UUID, int, date]


class Pending(msgspec.Struct, kw_only=True):
    """A webhook in hand; `since` is monotonic seconds."""

    arrived: Arrived
    since: float
    rematching: bool = False


class Reading:
    """What one batch comes to, before it is written; times are the transaction's."""

    def __init__(self, law: datetime, machine: datetime) -> None:
        self.law = law
        self.machine = machine
        self.raised: dict[Key, StoredAttempt] = {}
        self.resolved: list[Key] = []
        self.facts: list[Fact] = []
        self.named: list[Named] = []
        self.marks: dict[UUID, str] = {}


def belongs(stored: StoredAttempt, raw: RawReceipt) -> bool:
    """Say whether a webhook may speak about an attempt: same tenant, same provider."""
    attempt = stored.attempt
    return attempt.tenant_id == raw.tenant_id and attempt.provider == raw.provider
