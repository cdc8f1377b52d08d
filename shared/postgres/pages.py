"""Reading the outbox in commit order, and remembering how far it was published.

In: the relay's own connection. Out: pages of rows strictly below the snapshot's xmin in the order
(generation, xid, id), and one statement that saves position and acknowledged offsets together.
An id alone would skip rows of transactions that commit late; ordering by a text form of xid
would skip rows when it gains a digit, so the column itself is compared, and never renamed.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

import msgspec

from shared.kafka.records import Outgoing, TopicPartition
from shared.postgres.connection import Connection, Row
from shared.postgres.outbox import headers_from

LONG_AGO = date(2000, 1, 1)

# For the relay's own connection: the planner, which knows little of a partition that is hours old,
# must never sort a whole day to read one page. The primary key gives the order.
# One plan for all pages: planning anew costs an empty poll more than twice its price.
PLANNER_OPTIONS = {
    "enable_sort": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
}

# Days after today hold nothing yet; the day before the position may still hold a row of a
# transaction that began before midnight.
READ = """
SELECT o.generation, o.xid, o.id, o.day, o.topic, o.key, o.event_id, o.headers, o.value
FROM outbox o
WHERE o.day >= $1::date - 1 AND o.day <= (now() AT TIME ZONE 'UTC')::date
  AND (o.generation, o.xid, o.id) > ($2::int, $3::xid8, $4::bigint)
  AND (o.generation, o.xid) < ($5::int, pg_snapshot_xmin(pg_current_snapshot()))
ORDER BY o.generation, o.xid, o.id
LIMIT $6
"""

READ_AGAIN = """
SELECT o.generation, o.xid, o.id, o.day, o.topic, o.key, o.event_id, o.headers, o.value
FROM outbox o
WHERE o.day >= $1::date - 1 AND o.day <= $9::date + 1
  AND (o.generation, o.xid, o.id) > ($2::int, $3::xid8, $4::bigint)
  AND (o.generation, o.xid, o.id) <= ($6::int, $7::xid8, $8::bigint)
ORDER BY o.generation, o.xid, o.id
LIMIT $5
"""

_SAVE_ACKS = """
WITH acknowledged AS (
    INSERT INTO relay_ack (name, topic, partition, "offset", event_id)
    SELECT $1, topic, partition, "offset", event_id
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::uuid[])
        AS given (topic, partition, "offset", event_id)
    ON CONFLICT (name, topic, partition) DO UPDATE
    SET "offset" = excluded."offset", event_id = excluded.event_id
)
UPDATE relay SET published = published + $6, updated_at = clock_timestamp(),
"""

SAVE_LIVE = f"{_SAVE_ACKS} generation = $7, xid = $8, id = $9, day = $10 WHERE name = $1"

SAVE_AGAIN = (
    f"{_SAVE_ACKS} again_generation = $7, again_xid = $8, again_id = $9, again_day = $10 "
    "WHERE name = $1"
)


class Position(NamedTuple):
    """A place in the outbox: everything up to here was published."""

    generation: int = 0
    xid: int = 0
    id: int = 0
    day: date = LONG_AGO


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The last acknowledged record of a partition."""

    offset: int
    event_id: UUID


class RelayState(msgspec.Struct):
    """The relay's row: where it is, on which cluster, and what it still publishes again."""

    position: Position
    cluster_id: str | None
    again: Position | None
    until: Position | None
    acks: dict[TopicPartition, Ack]


async def load_state(conn: Connection, name: str) -> RelayState:
    """Read the relay's row, making it at first sight."""
    await conn.execute("INSERT INTO relay (name) VALUES ($1) ON CONFLICT DO NOTHING", name)
    row = await conn.fetchrow("SELECT * FROM relay WHERE name = $1", name)
    if row is None:
        msg = f"relay row {name} vanished"
        raise LookupError(msg)
    acks = await conn.fetch(
        'SELECT topic, partition, "offset", event_id FROM relay_ack WHERE name = $1', name
    )
    return RelayState(
        position=Position(row["generation"], row["xid"], row["id"], row["day"]),
        cluster_id=row["cluster_id"],
        again=_position(row, "again"),
        until=_position(row, "until"),
        acks={
            (ack["topic"], ack["partition"]): Ack(ack["offset"], ack["event_id"]) for ack in acks
        },
    )


async def read_page(conn: Connection, after: Position, generation: int, rows_max: int) -> list[Row]:
    """Read the next rows whose transactions can get no older neighbours any more."""
    return await conn.fetch(
        READ, after.day, after.generation, after.xid, after.id, generation, rows_max
    )


async def read_again(
    conn: Connection, after: Position, until: Position, rows_max: int
) -> list[Row]:
    """Read rows that were published before, up to `until`, for publication after a log loss."""
    return await conn.fetch(
        READ_AGAIN,
        after.day,
        after.generation,
        after.xid,
        after.id,
        rows_max,
        until.generation,
        until.xid,
        until.id,
        until.day,
    )


async def save(
    conn: Connection,
    name: str,
    statement: str,
    *,
    position: Position,
    acks: Mapping[TopicPartition, Ack],
    published: int,
) -> None:
    """Save how far was published and what the brokers acknowledged last, in one statement."""
    targets = sorted(acks)
    await conn.execute(
        statement,
        name,
        [topic for topic, _ in targets],
        [partition for _, partition in targets],
        [acks[target].offset for target in targets],
        [acks[target].event_id for target in targets],
        published,
        position.generation,
        position.xid,
        position.id,
        position.day,
    )


async def start_again(conn: Connection, name: str, cluster_id: str, until: Position) -> None:
    """Forget what another log acknowledged; publish everything kept, up to `until`, again."""
    async with conn.transaction():
        await conn.execute("DELETE FROM relay_ack WHERE name = $1", name)
        await conn.execute(
            """
            UPDATE relay SET cluster_id = $2, again_generation = 0, again_xid = '0', again_id = 0,
                again_day = '2000-01-01', until_generation = $3, until_xid = $4, until_id = $5,
                until_day = $6, updated_at = clock_timestamp()
            WHERE name = $1
            """,
            name,
            cluster_id,
            until.generation,
            until.xid,
            until.id,
            until.day,
        )


async def end_again(conn: Connection, name: str) -> None:
    """Note that everything was published again."""
    await conn.execute(
        """
        UPDATE relay SET again_generation = NULL, again_xid = NULL, again_id = NULL,
            again_day = NULL, until_generation = NULL, until_xid = NULL, until_id = NULL,
            until_day = NULL, updated_at = clock_timestamp()
        WHERE name = $1
        """,
        name,
    )


async def save_cluster(conn: Connection, name: str, cluster_id: str) -> None:
    """Remember on which cluster we publish."""
    await conn.execute("UPDATE relay SET cluster_id = $2 WHERE name = $1", name, cluster_id)


def end_of(page: Sequence[Row]) -> Position:
    """Return the position after a page."""
    last = page[-1]
    return Position(last["generation"], last["xid"], last["id"], last["day"])


def outgoing(page: Sequence[Row]) -> list[Outgoing]:
    """Turn a page into records."""
    return [
        Outgoing(row["topic"], row["key"], headers_from(row["headers"]), row["value"])
        for row in page
    ]


def last_acks(
    page: Sequence[Row], placed: Sequence[tuple[int, int]]
) -> tuple[dict[TopicPartition, Ack], dict[TopicPartition, int]]:
    """Return the last acknowledged record and the first offset, per partition of a page."""
    lasts: dict[TopicPartition, Ack] = {}
    firsts: dict[TopicPartition, int] = {}
    for row, (partition, offset) in zip(page, placed, strict=True):
        if offset >= 0:
            target = (row["topic"], partition)
            firsts.setdefault(target, offset)
            lasts[target] = Ack(offset, row["event_id"])
    return lasts, firsts


def _position(row: Row, prefix: str) -> Position | None:
    if row[f"{prefix}_generation"] is None:
        return None
    return Position(
        row[f"{prefix}_generation"],
        row[f"{prefix}_xid"],
        row[f"{prefix}_id"],
        row[f"{prefix}_day"],
    )
