"""Append entries: one COPY when all are new, else one INSERT that says which rows are.

In: a batch of facts with their sealed bodies. Out: the ordinals of those that were added; the rest
was known already. Redelivery is rare, since offsets are stored with the work: a COPY straight into
the table costs half of what a temporary table costs, and a batch that holds anything known pays
for both. Rows go in key order, so that two processes that meet over the same rows wait for each
other instead of locking up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from services.contact_ledger.facts import Fact
from shared.postgres.connection import Connection, UniqueViolation

_COLUMNS = (
    "event_time",
    "event_id",
    "tenant_id",
    "debtor_id",
    "debt_id",
    "contact_id",
    "attempt_id",
    "portfolio_id",
    "channel",
    "type",
    "source",
    "state",
    "rules",
    "at",
    "machine_at",
    "body_sealed",
    "ordinal",
)
_NAMES = ", ".join(_COLUMNS)

PREPARE = f"""
    CREATE TEMPORARY TABLE IF NOT EXISTS entry_batch ON COMMIT DELETE ROWS AS
    SELECT {_NAMES} FROM entry WITH NO DATA
"""  # noqa: S608 - constant names

APPEND = f"""
    INSERT INTO entry ({_NAMES}, generation)
    SELECT {_NAMES}, generation.number FROM entry_batch CROSS JOIN generation
    ORDER BY event_time, event_id, ordinal
    ON CONFLICT (event_time, event_id) DO NOTHING
    RETURNING ordinal
"""  # noqa: S608 - constant names


GENERATION = "SELECT number FROM generation"


async def append(
    conn: Connection, facts: Sequence[Fact], bodies: Sequence[bytes | None]
) -> set[int]:
    """Append `facts` with their sealed `bodies`; return the positions of those that are new."""
    rows = sorted(
        [_row(i, *pair) for i, pair in enumerate(zip(facts, bodies, strict=True))], key=_by_key
    )
    generation = await conn.fetchval(GENERATION)
    try:
        async with conn.transaction():
            await conn.copy_records_to_table(
                "entry",
                columns=(*_COLUMNS, "generation"),
                records=[(*row, generation) for row in rows],
            )
    except UniqueViolation:
        return await _append_new(conn, rows)
    return set(range(len(facts)))


async def _append_new(conn: Connection, rows: Sequence[tuple[object, ...]]) -> set[int]:
    """Append what is not there yet."""
    await conn.execute(PREPARE)
    await conn.copy_records_to_table("entry_batch", columns=_COLUMNS, records=rows)
    return {row["ordinal"] for row in await conn.fetch(APPEND)}


def _by_key(row: tuple[Any, ...]) -> tuple[datetime, int]:
    event_time, event_id = row[:2]
    return event_time, event_id.int


def _row(ordinal: int, fact: Fact, body: bytes | None) -> tuple[object, ...]:
    return (
        fact.event_time,
        fact.event_id,
        fact.tenant_id,
        fact.debtor_id,
        fact.debt_id,
        fact.contact_id,
        fact.attempt_id,
        fact.portfolio_id,
        fact.channel,
        fact.type,
        fact.source,
        fact.state,
        fact.rules,
        fact.at,
        fact.machine_at,
        body,
        ordinal,
    )
