"""The transactional outbox: events are rows of the transaction that causes them.

In: `append`, inside the caller's transaction, one COPY. Out: rows that `relay` publishes in commit
order. `prepare` keeps day partitions ahead and raises the generation when the database cluster is
another one (a restored dump starts transaction ids anew: xids of two clusters do not compare).
"""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from shared.events.envelope import Envelope
from shared.postgres.connection import Connection
from shared.postgres.schema import (
    create_lane,
    create_tables,
    define_lane,
    define_tables,
    drop_lane,
    drop_tables,
)

__all__ = [
    "append",
    "append_to_lane",
    "create_lane",
    "create_tables",
    "define_lane",
    "define_tables",
    "drop_lane",
    "drop_tables",
    "ensure_generation",
    "ensure_partitions",
    "headers_from",
    "partition_name",
    "prepare",
]

VALUE_BYTES_MAX = 800_000  # a record must fit one Kafka batch (900 kB) together with its headers
DAYS_AHEAD = 7  # partitions made in advance: a week of nobody looking after them
PREPARE_LOCK = 0x7265_6775_6F62  # advisory lock: processes of one service prepare one at a time

_encode_headers = msgspec.msgpack.Encoder().encode
_decode_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


async def append(conn: Connection, records: Sequence[tuple[str, Envelope]]) -> None:
    """Write (topic, envelope) pairs to the outbox in the caller's transaction, by one COPY.

    Raise `ValueError` for a value that no Kafka batch could carry. Wake the relay after commit.
    """
    if records:
        await conn.copy_records_to_table(
            "outbox",
            columns=("topic", "key", "event_id", "headers", "value"),
            records=[(topic, *_row(envelope)) for topic, envelope in records],
        )


async def append_to_lane(
    conn: Connection, envelopes: Sequence[Envelope], table: str = "hold_outbox"
) -> None:
    """Write envelopes to a lane's outbox in the caller's transaction, by one COPY."""
    if envelopes:
        await conn.copy_records_to_table(
            table,
            columns=("key", "event_id", "headers", "value"),
            records=[_row(envelope) for envelope in envelopes],
        )


def headers_from(stored: bytes) -> list[tuple[str, bytes]]:
    """Return the record headers that `append` stored."""
    return _decode_headers(stored)


async def prepare(conn: Connection) -> None:
    """Make the outbox writable: right generation, partitions ahead. No outbox, nothing to do."""
    if await conn.fetchval("SELECT to_regclass('outbox') IS NULL"):
        return
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", PREPARE_LOCK)
        await ensure_generation(conn)
        await ensure_partitions(conn)


async def ensure_generation(conn: Connection) -> int:
    """Raise the generation if this is another database cluster; return the generation in force."""
    identifier = await conn.fetchval("SELECT system_identifier FROM pg_control_system()")
    row = await conn.fetchrow("SELECT generation, system_identifier FROM outbox_generation")
    if row is not None and row["system_identifier"] == identifier:
        return int(row["generation"])
    generation = 1 if row is None else int(row["generation"]) + 1
    await conn.execute(
        """
        INSERT INTO outbox_generation (generation, system_identifier) VALUES ($1, $2)
        ON CONFLICT (one_row) DO UPDATE
        SET generation = excluded.generation, system_identifier = excluded.system_identifier
        """,
        generation,
        identifier,
    )
    # A constant default costs COPY nothing; looking the number up per row would.
    await conn.execute(f"ALTER TABLE outbox ALTER COLUMN generation SET DEFAULT {generation:d}")
    return generation


async def ensure_partitions(conn: Connection) -> list[str]:
    """Create the missing day partitions from yesterday to a week ahead; return their names."""
    today: date = await conn.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    days = [today + timedelta(days=number) for number in range(-1, DAYS_AHEAD + 1)]
    rows = await conn.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL",
        [partition_name(day) for day in days],
    )
    missing = {row["name"] for row in rows}
    for day in days:
        name = partition_name(day)
        if name in missing:
            # Made apart and attached: that lets writers go on, where CREATE … PARTITION OF would
            # lock them out. There is no default partition: it would have to be scanned, under a
            # lock, for every partition made later.
            await conn.execute(f"CREATE TABLE {name} (LIKE outbox INCLUDING DEFAULTS)")
            await conn.execute(
                f"ALTER TABLE outbox ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{day.isoformat()}') TO ('{(day + timedelta(1)).isoformat()}')"
            )
            # Known to be empty, it is not taken for ten pages of rows by the planner.
            await conn.execute(f"ANALYZE {name}")
    return sorted(missing)


def partition_name(day: date) -> str:
    """Name of the outbox partition of a (UTC) day."""
    return f"outbox_{day:%Y%m%d}"


def _row(envelope: Envelope) -> tuple[str, object, bytes, bytes]:
    if len(envelope.data) > VALUE_BYTES_MAX:
        msg = f"{envelope.type} of {len(envelope.data)} bytes is more than {VALUE_BYTES_MAX}"
        raise ValueError(msg)
    return envelope.key, envelope.id, _encode_headers(envelope.headers()), envelope.data
