"""Append entries: COPY into a temporary table, then one INSERT that says which rows are new.

In: a batch of facts with their sealed bodies. Out: the ordinals of those that were added; the rest
was known already (redelivery is normal). Rows are inserted in key order, so that two processes that
meet over the same rows wait for each other instead of locking up.
"""

from collections.abc import Sequence

from services.contact_ledger.facts import Fact
from shared.postgres.connection import Connection

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


async def append(
    conn: Connection, facts: Sequence[Fact], bodies: Sequence[bytes | None]
) -> set[int]:
    """Append `facts` with their sealed `bodies`; return the positions of those that are new."""
    await conn.copy_records_to_table(
        "entry_batch",
        columns=_COLUMNS,
        records=[_row(i, *pair) for i, pair in enumerate(zip(facts, bodies, strict=True))],
    )
    return {row["ordinal"] for row in await conn.fetch(APPEND)}


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
