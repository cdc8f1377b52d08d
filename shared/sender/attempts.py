"""The things the runtime passes around: a task in hand, an attempt, and its frame.

In: decoded tasks and rows. Out: values; no I/O. `Frame` is what facts need besides ids; it is
stored with the attempt, so that a receipt or the sweeper can state a fact when the task is gone.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from shared.events.contact import ContactTask, Item

N_MAX = 20  # calls that a provider throttled do not count as tries, but they do not go on for ever
TRIES_MAX = 3  # attempts that a provider really refused for a passing reason


class State(StrEnum):
    """States of an attempt row; the last three are tombstones under the same key."""

    CLAIMED = "CLAIMED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    UNKNOWN_FINAL = "UNKNOWN_FINAL"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    INVALID = "INVALID"


class Frame(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Ids and codes of a contact as its facts repeat them; never personal data."""

    portfolio_id: str
    channel: str
    step_key: str
    stage: int
    template: str
    items: tuple[Item, ...]
    traceparent: str | None = None


_frame_encoder = msgspec.msgpack.Encoder()
_frame_decoder = msgspec.msgpack.Decoder(Frame)


def pack(frame: Frame) -> bytes:
    """Encode a frame for its row."""
    return _frame_encoder.encode(frame)


def unpack(raw: bytes) -> Frame:
    """Decode a frame from its row."""
    return _frame_decoder.decode(raw)


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt as facts see it: `attempt_id` is `identities.attempt_id(contact_id, n)`.

    `tries` counts real refusals up to and including this one.
    """

    attempt_id: UUID
    contact_id: UUID
    n: int
    ends_on: date
    debtor_id: UUID
    tenant_id: str
    account_id: str
    provider: str
    frame: Frame
    tries: int = 0
    not_after: datetime


class Ticket(msgspec.Struct):
    """A fetched record's place. `settled` turns True when a row or a fact carries the
    responsibility for it: from then on its offset may move."""

    partition: tuple[str, int]
    offset: int
    settled: bool = False


class Work(msgspec.Struct, kw_only=True):
    """One task in hand. `received_at` is the process's monotonic clock in seconds.

    The ticket of a retry stands for its row, not for an offset. `fault` is set when the task can
    never be sent (an error kind); `message` and `text_sealed` once it is composed.
    """

    task: ContactTask
    raw: bytes
    traceparent: str | None
    received_at: float
    ticket: Ticket | None = None
    retry: bool = False
    fault: str | None = None
    message: Any = None
    text_sealed: str | None = None

    def settle(self) -> None:
        """Note that this task's fate is durable."""
        if self.ticket is not None:
            self.ticket.settled = True

    @property
    def ends_on(self) -> date:
        """The partition date of this task's attempts."""
        return ends_on(self.task.permit.not_after)


def ends_on(not_after: datetime) -> date:
    """Return the UTC date on which a permit ends: the partition of its attempts."""
    return not_after.astimezone(UTC).date()


def resolve_by(not_after: datetime) -> datetime:
    """Return the law time at which an unknown attempt becomes final without evidence."""
    return not_after + RESOLVE_AFTER


RESOLVE_AFTER = timedelta(hours=24)  # receipts of a message valid until not_after come within a day
