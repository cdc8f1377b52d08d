"""Where the recorder goes on, stored in the transaction of the work, and who may move it.

In: assignments and batches. Out: positions. Taking a partition over raises its epoch; whoever still
works under an older epoch (a process that lost the partition in a rebalance) fails to commit. The
id of the last record is kept, so that a log that was emptied and filled again is recognised even
when the cluster kept its name.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from shared.kafka.records import TopicPartition
from shared.postgres.connection import Connection


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The next offset of one partition, and the id of the record before it (None: unknown)."""

    next_offset: int
    last_event_id: UUID | None
    epoch: int


class Recorded(NamedTuple):
    """How far one partition of one cluster's log is recorded, by whichever replica."""

    cluster_id: str
    next_offset: int


class Fenced(Exception):
    """A partition of this batch belongs to another process by now: drop the batch."""


async def take_over(
    conn: Connection, cluster_id: str, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, Position]:
    """Own `partitions` from now on; another cluster's positions count as the beginning."""
    ordered = sorted(partitions)
    rows = await conn.fetch(
        """
        INSERT INTO consumed AS c (topic, partition, cluster_id, next_offset, epoch)
        SELECT topic, partition, $1, 0, 1
        FROM unnest($2::text[], $3::int[]) AS taken (topic, partition)
        ORDER BY topic, partition
        ON CONFLICT (topic, partition) DO UPDATE SET
            epoch = c.epoch + 1,
            cluster_id = excluded.cluster_id,
            next_offset = CASE c.cluster_id WHEN excluded.cluster_id THEN c.next_offset ELSE 0 END,
            last_event_id = CASE c.cluster_id WHEN excluded.cluster_id THEN c.last_event_id END
        RETURNING topic, partition, next_offset, last_event_id, epoch
        """,
        cluster_id,
        [topic for topic, _ in ordered],
        [partition for _, partition in ordered],
    )
    return {
        (row["topic"], row["partition"]): Position(
            next_offset=row["next_offset"],
            last_event_id=row["last_event_id"],
            epoch=row["epoch"],
        )
        for row in rows
    }


async def advance(conn: Connection, positions: Mapping[TopicPartition, Position]) -> None:
    """Move to `positions`; raise `Fenced` unless every epoch is still in force.

    First in a transaction: its row locks make a former owner wait, then fail.
    """
    ordered = sorted(positions.items())
    moved = await conn.fetch(
        """
        WITH held AS (
            SELECT c.topic, c.partition, given.next_offset, given.last_event_id
            FROM unnest($1::text[], $2::int[], $3::bigint[], $4::uuid[], $5::bigint[])
                 AS given (topic, partition, next_offset, last_event_id, epoch)
            JOIN consumed c USING (topic, partition, epoch)
            ORDER BY c.topic, c.partition FOR UPDATE OF c
        )
        UPDATE consumed c SET next_offset = held.next_offset, last_event_id = held.last_event_id,
                              changed_at = clock_timestamp()
        FROM held WHERE c.topic = held.topic AND c.partition = held.partition
        RETURNING c.partition
        """,
        [topic for (topic, _), _ in ordered],
        [partition for (_, partition), _ in ordered],
        [position.next_offset for _, position in ordered],
        [position.last_event_id for _, position in ordered],
        [position.epoch for _, position in ordered],
    )
    if len(moved) != len(ordered):
        raise Fenced


async def recorded(conn: Connection) -> dict[TopicPartition, Recorded]:
    """Return how far every partition is that was ever recorded."""
    rows = await conn.fetch("SELECT topic, partition, cluster_id, next_offset FROM consumed")
    return {
        (row["topic"], row["partition"]): Recorded(row["cluster_id"], row["next_offset"])
        for row in rows
    }


def behind(
    ends: Mapping[TopicPartition, int],
    cluster_id: str,
    stored: Mapping[TopicPartition, Recorded],
) -> dict[TopicPartition, int]:
    """Return how many records of each partition nobody has recorded yet.

    Another cluster's log, and one that ends before what was recorded of it, began anew: all of it
    is still to be read, although whoever owns the partition may not have noticed.
    """
    return {target: _behind(end, cluster_id, stored.get(target)) for target, end in ends.items()}


def _behind(end: int, cluster_id: str, stored: Recorded | None) -> int:
    if stored is None or stored.cluster_id != cluster_id or stored.next_offset > end:
        return end
    return end - stored.next_offset
