"""Intake's rows: references, identities, events seen, events parked, answers given.

In: arrays from one request (or one group of single posts) inside the caller's transaction. Out:
rows, always in sorted order where they are locked, so that two requests never wait for each other
in a circle. Every function is one statement.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.engine import Connection

TENANT_LOCK_SPACE = 0x5245  # first half of the advisory lock: "tenants of intake"


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """A reference, document or debt reference as it is stored: keyed, with its key's id."""

    tenant_id: str
    digest: bytes
    key_id: str


class DebtReference(msgspec.Struct, frozen=True, kw_only=True):
    """What a client calls a debt. `debtor_id` is None until the debt is registered."""

    tenant_id: str
    digest: bytes
    debt_id: UUID
    debtor_id: UUID | None
    portfolio_id: str | None
    currency: str | None


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


async def add_debt_references(
    conn: Connection, digests: Sequence[Digest], debt_ids: Sequence[UUID]
) -> set[tuple[str, bytes]]:
    """Insert references that are not there, in sorted order; return those inserted.

    A reference that another transaction is just inserting is waited for.
    """
    rows = await conn.fetch(
        """
        INSERT INTO debt_reference (tenant_id, digest, key_id, debt_id)
        SELECT tenant, digest, key, debt
        FROM unnest($1::text[], $2::bytea[], $3::text[], $4::uuid[]) AS u(tenant, digest, key, debt)
        ORDER BY tenant, digest
        ON CONFLICT (tenant_id, digest) DO NOTHING
        RETURNING tenant_id, digest
        """,
        [d.tenant_id for d in digests],
        [d.digest for d in digests],
        [d.key_id for d in digests],
        list(debt_ids),
    )
    return {(row["tenant_id"], row["digest"]) for row in rows}


async def lock_debt_references(conn: Connection, digests: Sequence[Digest]) -> list[DebtReference]:
    """Lock references in sorted order until the transaction ends, and read them."""
    rows = await conn.fetch(
        """
        SELECT r.tenant_id, r.digest, r.debt_id, r.debtor_id, r.portfolio_id, r.currency
        FROM debt_reference r
        JOIN unnest($1::text[], $2::bytea[]) AS u(tenant, digest)
          ON r.tenant_id = u.tenant AND r.digest = u.digest
        ORDER BY r.tenant_id, r.digest
        FOR NO KEY UPDATE OF r
        """,
        [d.tenant_id for d in digests],
        [d.digest for d in digests],
    )
    return [DebtReference(**dict(row.items())) for row in rows]


async def align_debt_references(
    conn: Connection, pairs: Sequence[tuple[DebtReference, DebtReference]]
) -> None:
    """Point references inserted under a new key (second) at the debt known by an older (first)."""
    await conn.execute(
        """
        UPDATE debt_reference AS r SET debt_id = u.debt, debtor_id = u.debtor,
               portfolio_id = u.portfolio, currency = u.currency
        FROM unnest($1::text[], $2::bytea[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
             AS u(tenant, digest, debt, debtor, portfolio, currency)
        WHERE r.tenant_id = u.tenant AND r.digest = u.digest
        """,
        [new.tenant_id for _, new in pairs],
        [new.digest for _, new in pairs],
        [known.debt_id for known, _ in pairs],
        [known.debtor_id for known, _ in pairs],
        [known.portfolio_id for known, _ in pairs],
        [known.currency for known, _ in pairs],
    )


async def register_debts(conn: Connection, debts: Sequence[tuple[UUID, UUID, str, str]]) -> None:
    """Note whose each debt is: (debt, debtor, portfolio, currency)."""
    await conn.execute(
        """
        UPDATE debt_reference AS r
        SET debtor_id = u.debtor, portfolio_id = u.portfolio, currency = u.currency
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
             AS u(debt, debtor, portfolio, currency)
        WHERE r.debt_id = u.debt
        """,
        [d[0] for d in debts],
        [d[1] for d in debts],
        [d[2] for d in debts],
        [d[3] for d in debts],
    )


async def find_people(conn: Connection, digests: Sequence[Digest]) -> dict[tuple[str, bytes], UUID]:
    """Debtors by (tenant, digest); unknown ones are absent."""
    rows = await conn.fetch(
        """
        SELECT i.tenant_id, i.digest, i.debtor_id FROM identity i
        JOIN unnest($1::text[], $2::bytea[]) AS u(tenant, digest)
          ON i.tenant_id = u.tenant AND i.digest = u.digest
        """,
        [d.tenant_id for d in digests],
        [d.digest for d in digests],
    )
    return {(row["tenant_id"], row["digest"]): row["debtor_id"] for row in rows}


async def add_people(
    conn: Connection, digests: Sequence[Digest], debtor_ids: Sequence[UUID]
) -> int:
    """Insert identities; return how many (fewer: another transaction was quicker)."""
    rows = await conn.fetch(
        """
        INSERT INTO identity (tenant_id, digest, key_id, debtor_id)
        SELECT tenant, digest, key, debtor
        FROM unnest($1::text[], $2::bytea[], $3::text[], $4::uuid[])
             AS u(tenant, digest, key, debtor)
        ORDER BY tenant, digest
        ON CONFLICT (tenant_id, digest) DO NOTHING
        RETURNING 1
        """,
        [d.tenant_id for d in digests],
        [d.digest for d in digests],
        [d.key_id for d in digests],
        list(debtor_ids),
    )
    return len(rows)


async def merge_people(conn: Connection, tenant_id: str, *, merged: UUID, into: UUID) -> None:
    """Point every reference, document and debt of one debtor at another."""
    await conn.execute(
        """
        WITH people AS (
            UPDATE identity SET debtor_id = $3 WHERE tenant_id = $1 AND debtor_id = $2
        )
        UPDATE debt_reference SET debtor_id = $3 WHERE tenant_id = $1 AND debtor_id = $2
        """,
        tenant_id,
        merged,
        into,
    )


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
