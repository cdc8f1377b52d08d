"""Read a Kafka record as a fact of the ledger: what is kept in clear, and the body to be sealed.

In: records of debt.events.v1 and contact.events.v1. Out: a `Fact`, or `UnreadableEvent` for what
no retry can mend (unknown type, malformed data, values that no column can hold); the recorder
buries those. The clear columns hold ids, codes and rule names only; all else stays in the body.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from shared.events.contact import (
    CONTACT_FACT_TYPES,
    ContactAttempted,
    ContactDecided,
    ContactFactBase,
    ContactReceipt,
    DebtFact,
)
from shared.events.debt import DEBT_EVENT_TYPES, ContactRecorded, DebtEventBase, DebtorMerged
from shared.events.envelope import Envelope, UnreadableEvent, decode
from shared.events.states import STATE_AFTER, ContactState
from shared.kafka.records import Record

TYPES: dict[str, type[msgspec.Struct]] = {**DEBT_EVENT_TYPES, **CONTACT_FACT_TYPES}

# Entries live in monthly partitions: a clock gone wild must not make partitions for the year 9999.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
EARLIEST_OF_DEBTS = datetime(1900, 1, 1, tzinfo=UTC)  # what a debt's own history may name
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# PostgreSQL's text holds everything except this; JSON may carry it.
NUL = "\x00"
# What the integer and bigint columns of the projections can hold.
INTEGER_MAX = 2**31 - 1
BIGINT_MAX = 2**63 - 1
CLEAR_TEXT_CHARS_MAX = 512  # ids and codes are short; a longer one would not fit an index row


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that happened. `event_time` is law time, stamped once by whoever stated it.

    `data` is the decoded event for the projections, `body` its bytes as they arrived (sealed, then
    stored). `machine_at` orders what shares one law instant.
    """

    event_id: UUID
    event_time: datetime
    type: str
    source: str
    tenant_id: str
    debtor_id: UUID | None
    debt_id: UUID | None
    contact_id: UUID | None
    attempt_id: UUID | None
    portfolio_id: str | None
    channel: str | None
    state: ContactState | None
    rules: tuple[str, ...]
    at: datetime
    machine_at: datetime
    body: bytes
    data: msgspec.Struct


def read(record: Record) -> Fact:
    """Return the fact in `record`; raise `UnreadableEvent` naming what is wrong, never a value."""
    envelope = Envelope.from_record(record.headers, record.value)
    shape = TYPES.get(envelope.type)
    if shape is None:
        msg = "no such event type in this release"
        raise UnreadableEvent(msg)
    data = decode(envelope.data, shape)
    published = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    fact = from_event(envelope, data, published)
    _check(fact)
    return fact


def from_event(envelope: Envelope, data: msgspec.Struct, published: datetime) -> Fact:
    """Return the fact that `envelope` and its decoded `data` state."""
    items = getattr(data, "items", ())
    return Fact(
        event_id=envelope.id,
        event_time=envelope.time,
        type=envelope.type,
        source=envelope.source,
        tenant_id=envelope.tenant_id,
        debtor_id=_whose(envelope, data),
        debt_id=getattr(data, "debt_id", None) or (items[0].debt_id if items else None),
        contact_id=getattr(data, "contact_id", None),
        attempt_id=getattr(data, "attempt_id", None),
        portfolio_id=getattr(data, "portfolio_id", None),
        channel=getattr(data, "channel", None),
        state=STATE_AFTER.get(envelope.type),
        rules=tuple(reason.rule for reason in getattr(data, "reasons", ())),
        at=data.occurred_at if isinstance(data, DebtEventBase) else getattr(data, "at", published),
        machine_at=getattr(data, "machine_at", published),
        body=envelope.data,
        data=data,
    )


def _whose(envelope: Envelope, data: msgspec.Struct) -> UUID | None:
    """Return the debtor it is about; a merge is told to both, and each has an entry of its own."""
    if isinstance(data, DebtorMerged) and envelope.key == str(data.merged_debtor_id):
        return data.merged_debtor_id
    debtor_id: UUID | None = getattr(data, "debtor_id", None)
    return debtor_id


def _check(fact: Fact) -> None:
    """Refuse what the tables cannot hold: one such record would fail its whole batch for ever."""
    _check_instant("ce_time", fact.event_time, EARLIEST)
    for name in ("at", "machine_at"):
        _check_instant(name, getattr(fact, name))
    for name in ("type", "source", "tenant_id", "portfolio_id", "channel"):
        _check_text(name, getattr(fact, name))
    for rule in fact.rules:
        _check_text("rule", rule)
    data = fact.data
    if isinstance(data, ContactFactBase):
        _check_contact(data)
    elif isinstance(data, DebtEventBase):
        _check_debt(data)
    elif isinstance(data, DebtFact):
        _check_number("stage", data.stage, INTEGER_MAX)
        _check_number("amount", data.amount, BIGINT_MAX)


def _check_contact(data: ContactFactBase) -> None:
    for name in ("step_key", "provider", "account_id", "template", "code", "error", "intent"):
        _check_text(name, getattr(data, name, None))
    for name in ("stage", "segments", "n"):
        _check_number(name, getattr(data, name, None), INTEGER_MAX)
    _check_number("promise_amount", getattr(data, "promise_amount", None), BIGINT_MAX)
    if isinstance(data, ContactDecided):
        _check_instant("not_after", data.not_after)
    elif isinstance(data, ContactAttempted):
        _check_instant("resolve_by", data.resolve_by)
    elif isinstance(data, ContactReceipt):
        _check_instant("provider_at", data.provider_at)


def _check_debt(data: DebtEventBase) -> None:
    _check_instant("recorded_at", data.recorded_at)
    for name in ("currency", "debt_ref", "reason", "outcome"):
        _check_text(name, getattr(data, name, None))
    for name in ("amount", "principal", "interest", "penalty"):
        _check_number(name, getattr(data, name, None), BIGINT_MAX)
    _check_number("stage", getattr(data, "stage", None), INTEGER_MAX)
    for name in ("paid_at", "reversed_at"):
        _check_instant(name, getattr(data, name, None))
    if isinstance(data, ContactRecorded):
        _check_text("outcome", data.outcome)


def _check_text(name: str, text: str | None) -> None:
    if text is not None and (NUL in text or len(text) > CLEAR_TEXT_CHARS_MAX):
        msg = f"{name} is too long or holds a NUL character"
        raise UnreadableEvent(msg)


def _check_number(name: str, number: int | None, largest: int) -> None:
    if number is not None and abs(number) > largest:
        msg = f"{name} is too large"
        raise UnreadableEvent(msg)


def _check_instant(
    name: str, instant: datetime | None, earliest: datetime = EARLIEST_OF_DEBTS
) -> None:
    if instant is None:
        return
    if instant.tzinfo is None:
        msg = f"{name} has no time zone"
        raise UnreadableEvent(msg)
    if not earliest <= instant < LATEST:
        msg = f"{name} is outside the years that the ledger keeps"
        raise UnreadableEvent(msg)
