"""A fetched batch, read: facts to record, records to bury, where each partition stands after it.

In: records per partition, and where each partition was last. Out: a `Batch`. Pure, so that the
rules about lost logs and gaps can be read (and tested) in one place.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from services.contact_ledger.facts import Fact, read
from services.contact_ledger.store.offsets import Position
from shared.events.envelope import UnreadableEvent
from shared.kafka.records import Record, TopicPartition


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A record for the dead letters, and why."""

    record: Record
    error: UnreadableEvent


class Batch(msgspec.Struct, kw_only=True):
    """What one fetch brought; `records[i]` is where `facts[i]` was read."""

    facts: list[Fact] = []
    records: list[Record] = []
    unreadable: list[Unreadable] = []
    positions: dict[TopicPartition, Position] = {}
    firsts: dict[TopicPartition, int] = {}


def read_batch(
    fetched: Mapping[TopicPartition, Sequence[Record]], epochs: Mapping[TopicPartition, int]
) -> Batch:
    """Read every record; one that nobody can read stops nothing."""
    batch = Batch()
    for target, records in fetched.items():
        if not records or target not in epochs:
            continue
        for record in records:
            try:
                fact = read(record)
            except UnreadableEvent as error:
                batch.unreadable.append(Unreadable(record=record, error=error))
            else:
                batch.facts.append(fact)
                batch.records.append(record)
        batch.firsts[target] = records[0].offset
        batch.positions[target] = Position(
            next_offset=records[-1].offset + 1,
            last_event_id=event_id_of(records[-1]),
            epoch=epochs[target],
        )
    return batch


def without(batch: Batch, targets: set[TopicPartition]) -> Batch:
    """Return `batch` without these partitions."""
    kept = [
        (fact, record)
        for fact, record in zip(batch.facts, batch.records, strict=True)
        if (record.topic, record.partition) not in targets
    ]
    return Batch(
        facts=[fact for fact, _ in kept],
        records=[record for _, record in kept],
        positions={t: p for t, p in batch.positions.items() if t not in targets},
        firsts={t: offset for t, offset in batch.firsts.items() if t not in targets},
    )


def event_id_of(record: Record) -> UUID | None:
    """Return the event id in a record's headers, if there is a readable one."""
    try:
        return UUID(record.headers["ce_id"].decode())
    except (KeyError, ValueError):
        return None


def log_was_replaced(position: Position, first: Record) -> bool:
    """Say whether the log is another one than the one that was recorded up to `position`.

    Reading resumes one record early: that record must be the one that was recorded last. A first
    record before it means that the broker forgot (and this is its new beginning); one after it,
    that it expired, which loses nothing that was recorded.
    """
    expected = position.next_offset - 1
    if first.offset != expected:
        return first.offset < expected
    return position.last_event_id is not None and event_id_of(first) != position.last_event_id
