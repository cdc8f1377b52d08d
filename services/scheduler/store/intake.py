"""Intake's rows: events seen, events parked, answers given.

In: arrays from one request (or one group of single posts) inside the caller's transaction. Out:
rows. Every function is one statement; who is who is in `references`.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection

TENANT_LOCK_SPACE = 0x5245  # first half of the advisory lock: "tenants of intake"


class ParkedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that waits: for its debt, or for two identities to be merged."""

    event_id: UUID
    tenant_id: str
    why: str
    debt_id: UUID | None
    debtor_id: UUID | None
    other_debtor_id: UUID | None
    type: str
    event: bytes
    traceparent: str | None


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to a request with an Idempotency-Key."""

    body_hash: bytes
    status: int
    answer: bytes


async def lock_tenants(
    conn: Connection, tenants: Sequence[str], *, alone: bool
) -> tuple[datetime, datetime]:
    """Share these tenants with other intakes, or (for a merge) have them alone; return clocks."""
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    row = await conn.fetchrow(
        f"""
        WITH locked AS MATERIALIZED (
            SELECT {lock}($1, key) FROM (
                SELECT DISTINCT hashtext(t) AS key FROM unnest($2::text[]) AS t ORDER BY key
            ) AS keys
        )
        SELECT count(*), platform.law_now() AS law, platform.machine_now() AS machine FROM locked
        """,  # noqa: S608 - one of two constants
        TENANT_LOCK_SPACE,
        list(tenants),
    )
    if row is None:
        msg = "the clock functions returned nothing"
        raise LookupError(msg)
    return row["law"], row["machine"]


async def seen_events(conn: Connection, event_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Body hashes of those events that were accepted before."""
    rows = await conn.fetch(
        "SELECT event_id, body_hash FROM intake_event WHERE event_id = ANY($1::uuid[])",
        list(event_ids),
    )
    return {row["event_id"]: row["body_hash"] for row in rows}


async def add_events(conn: Connection, events: Sequence[tuple[UUID, bytes]]) -> int:
    """Remember accepted events (id, body hash); fewer inserted: somebody else was quicker."""
    rows = await conn.fetch(
        """
        INSERT INTO intake_event (event_id, body_hash)
        SELECT id, hash FROM unnest($1::uuid[], $2::bytea[]) AS u(id, hash)
        ORDER BY id
        ON CONFLICT (event_id) DO NOTHING
        RETURNING 1
        """,
        [e[0] for e in events],
        [e[1] for e in events],
    )
    return len(rows)


async def park(conn: Connection, events: Sequence[ParkedEvent]) -> None:
    """Keep events that wait (an event that waits again replaces what it waited for)."""
    await conn.execute(
        """
        INSERT INTO parked_event (event_id, tenant_id, why, debt_id, debtor_id, other_debtor_id,
                                  type, event, traceparent)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[],
                             $6::uuid[], $7::text[], $8::bytea[], $9::text[])
        ON CONFLICT (event_id) DO UPDATE SET
            debtor_id = EXCLUDED.debtor_id, other_debtor_id = EXCLUDED.other_debtor_id
        """,
        [e.event_id for e in events],
        [e.tenant_id for e in events],
        [e.why for e in events],
        [e.debt_id for e in events],
        [e.debtor_id for e in events],
        [e.other_debtor_id for e in events],
        [e.type for e in events],
        [e.event for e in events],
        [e.traceparent for e in events],
    )


async def take_parked_for_debts(conn: Connection, debt_ids: Sequence[UUID]) -> list[ParkedEvent]:
    """Take out what waited for these debts to be registered, oldest first."""
    return await _taken(conn, "debt_id = ANY($1::uuid[]) AND why = 'unknown_debt'", list(debt_ids))


async def take_parked_for_people(conn: Connection, debtor_ids: Sequence[UUID]) -> list[ParkedEvent]:
    """Take out what waited for any of these debtors to be merged, oldest first."""
    return await _taken(
        conn, "(debtor_id = ANY($1::uuid[]) OR other_debtor_id = ANY($1::uuid[]))", list(debtor_ids)
    )


async def discard_parked(conn: Connection, tenant_id: str, debt_id: UUID) -> int:
    """Forget what waits for a debt that will never come; return how many events."""
    rows = await conn.fetch(
        "DELETE FROM parked_event WHERE tenant_id = $1 AND debt_id = $2 RETURNING 1",
        tenant_id,
        debt_id,
    )
    return len(rows)


async def find_answer(conn: Connection, tenant_id: str, key_hash: bytes) -> StoredAnswer | None:
    """The answer given to an Idempotency-Key, if any."""
    row = await conn.fetchrow(
        "SELECT body_hash, status, answer FROM request_answer"
        " WHERE tenant_id = $1 AND key_hash = $2",
        tenant_id,
        key_hash,
    )
    return None if row is None else StoredAnswer(**dict(row.items()))


async def save_answer(
    conn: Connection, tenant_id: str, key_hash: bytes, answer: StoredAnswer
) -> None:
    """Remember an answer; raise `UniqueViolation` when the key was used meanwhile."""
    await conn.execute(
        "INSERT INTO request_answer (tenant_id, key_hash, body_hash, status, answer)"
        " VALUES ($1, $2, $3, $4, $5)",
        tenant_id,
        key_hash,
        answer.body_hash,
        answer.status,
        answer.answer,
    )


async def forget_answers(conn: Connection, *, older_than_hours: int, limit: int) -> int:
    """Delete a page of old answers; return how many."""
    rows = await conn.fetch(
        """
        DELETE FROM request_answer WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM request_answer
            WHERE answered_at < platform.machine_now() - make_interval(hours => $1) LIMIT $2))
        RETURNING 1
        """,
        older_than_hours,
        limit,
    )
    return len(rows)


async def _taken(conn: Connection, condition: str, ids: list[UUID]) -> list[ParkedEvent]:
    rows = await conn.fetch(
        f"""
        WITH taken AS (DELETE FROM parked_event WHERE {condition} RETURNING *)
        SELECT event_id, tenant_id, why, debt_id, debtor_id, other_debtor_id, type, event,
               traceparent
        FROM taken ORDER BY parked_at, event_id
        """,  # noqa: S608 - one of two constants above
        ids,
    )
    return [ParkedEvent(**dict(row.items())) for row in rows]
