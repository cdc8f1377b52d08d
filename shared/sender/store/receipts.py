"""Webhooks as they came, and what they prove about attempts.

In: raw webhooks (stored before they are answered) and what they were understood to say. Out: the
attempts they belong to, locked in key order, raised and never lowered. A webhook names its attempt
by the key in its callback URL; one without (an account-wide webhook) is matched by the provider's
reference, on a slow path that scans the recent partitions.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from shared.events import identities
from shared.postgres import Connection, Row
from shared.sender.attempts import Attempt, unpack

ATTEMPT_COLUMNS = """a.contact_id, a.n, a.ends_on, a.debtor_id, a.tenant_id, a.account_id,
    a.provider, a.state, a.tries, a.not_after, a.frame, a.outcome_at, a.outcome_law,
    a.provider_ref, a.code, a.error, a.retryable, a.reported, a.owner, a.address_digest"""

STORE = """
INSERT INTO receipt (receipt_id, received_on, received_at, tenant_id, account_id, provider,
    contact_id, n, ends_on, body)
SELECT * FROM unnest($1::uuid[], $2::date[], $3::timestamptz[], $4::text[], $5::text[],
    $6::text[], $7::uuid[], $8::smallint[], $9::date[], $10::bytea[])
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING receipt_id
"""

MARK = """
UPDATE receipt r SET state = m.state
FROM unnest($1::uuid[], $2::date[], $3::text[]) AS m (receipt_id, received_on, state)
WHERE r.receipt_id = m.receipt_id AND r.received_on = m.received_on
"""

LOCK_BY_KEY = f"""
SELECT {ATTEMPT_COLUMNS}
FROM unnest($1::uuid[], $2::smallint[], $3::date[]) AS k (contact_id, n, ends_on)
JOIN attempt a ON a.contact_id = k.contact_id AND a.n = k.n AND a.ends_on = k.ends_on
ORDER BY a.contact_id, a.n
FOR UPDATE OF a
"""  # noqa: S608 - a constant of ours

AT_KEYS = f"""
SELECT {ATTEMPT_COLUMNS}
FROM unnest($1::uuid[], $2::smallint[], $3::date[]) AS k (contact_id, n, ends_on)
JOIN attempt a ON a.contact_id = k.contact_id AND a.n = k.n AND a.ends_on = k.ends_on
"""  # noqa: S608 - a constant of ours

FIND_BY_REFERENCE = """
SELECT a.contact_id, a.n, a.ends_on, a.provider_ref FROM attempt a
WHERE a.provider_ref = ANY ($1::text[]) AND a.provider = $2 AND a.ends_on >= $3
"""

RAISE = """
UPDATE attempt a
SET state = o.state, reported = o.reported, outcome_at = o.outcome_at,
    outcome_law = o.outcome_law, provider_ref = coalesce(a.provider_ref, o.provider_ref)
FROM unnest($1::uuid[], $2::smallint[], $3::date[], $4::text[], $5::smallint[], $6::timestamptz[],
    $7::timestamptz[], $8::text[])
    AS o (contact_id, n, ends_on, state, reported, outcome_at, outcome_law, provider_ref)
WHERE a.contact_id = o.contact_id AND a.n = o.n AND a.ends_on = o.ends_on
"""

# The contact a person answers: the latest that may have reached this address from this account,
# or, when that account wrote nothing, from any account of the tenant on this channel.
LATEST_TO_ADDRESS = f"""
SELECT q.position, {ATTEMPT_COLUMNS}
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
    AS q (tenant_id, account_id, address_digest, position)
JOIN LATERAL (
    SELECT * FROM attempt t
    WHERE t.address_digest = q.address_digest AND t.tenant_id = q.tenant_id
        AND t.state IN ('CLAIMED', 'ACCEPTED', 'UNKNOWN', 'UNKNOWN_FINAL')
    ORDER BY (t.account_id = q.account_id) DESC, t.claimed_at DESC LIMIT 1
) a ON true
"""  # noqa: S608 - a constant of ours


Place = tuple[UUID, int, date]  # contact, n, day: the key of an attempt


class RawReceipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One authentic webhook; contact, n and date are there when its callback URL named them."""

    receipt_id: UUID
    received_on: date
    received_at: datetime
    tenant_id: str
    account_id: str
    provider: str
    contact_id: UUID | None
    n: int | None
    ends_on: date | None
    body: bytes


class StoredAttempt(msgspec.Struct, kw_only=True, gc=False):
    """An attempt row in hand, locked. `reported` is the rank of the best receipt so far (or 0)."""

    attempt: Attempt
    state: str
    outcome_at: datetime | None
    outcome_law: datetime | None
    provider_ref: str | None
    code: str | None
    error: str | None
    retryable: bool
    reported: int
    owner: UUID
    address_digest: str


def stored_attempt(row: Row) -> StoredAttempt:
    """Return a row of `ATTEMPT_COLUMNS` as a value."""
    return StoredAttempt(
        attempt=Attempt(
            attempt_id=identities.attempt_id(row["contact_id"], row["n"]),
            contact_id=row["contact_id"],
            n=row["n"],
            ends_on=row["ends_on"],
            debtor_id=row["debtor_id"],
            tenant_id=row["tenant_id"],
            account_id=row["account_id"],
            provider=row["provider"],
            frame=unpack(row["frame"]),
            tries=row["tries"],
            not_after=row["not_after"],
        ),
        state=row["state"],
        outcome_at=row["outcome_at"],
        outcome_law=row["outcome_law"],
        provider_ref=row["provider_ref"],
        code=row["code"],
        error=row["error"],
        retryable=row["retryable"],
        reported=row["reported"],
        owner=row["owner"],
        address_digest=row["address_digest"],
    )


async def store(conn: Connection, receipts: Sequence[RawReceipt]) -> set[UUID]:
    """Store webhooks; return the ids of those that had not come before."""
    rows = await conn.fetch(
        STORE,
        [each.receipt_id for each in receipts],
        [each.received_on for each in receipts],
        [each.received_at for each in receipts],
        [each.tenant_id for each in receipts],
        [each.account_id for each in receipts],
        [each.provider for each in receipts],
        [each.contact_id for each in receipts],
        [each.n for each in receipts],
        [each.ends_on for each in receipts],
        [each.body for each in receipts],
    )
    return {row["receipt_id"] for row in rows}


async def mark(conn: Connection, marks: Sequence[tuple[UUID, date, str]]) -> None:
    """Write what became of stored webhooks: (receipt id, day, state)."""
    ordered = sorted(marks, key=lambda each: each[0].bytes)
    await conn.execute(
        MARK,
        [each[0] for each in ordered],
        [each[1] for each in ordered],
        [each[2] for each in ordered],
    )


async def lock_attempts(
    conn: Connection, keys: Sequence[tuple[UUID, int, date]]
) -> dict[tuple[UUID, int], StoredAttempt]:
    """Lock the attempts of these keys, in key order; absent ones are not in the answer.

    PostgreSQL (seen with 18.6) leaves rows out of a locking read over several partitions when they
    were changed while it waited for them. They are locked all the same, so that reading once more
    finds them as they are and will stay.
    """
    distinct = sorted(set(keys), key=lambda key: (key[0].bytes, key[1]))
    rows = await conn.fetch(
        LOCK_BY_KEY,
        [key[0] for key in distinct],
        [key[1] for key in distinct],
        [key[2] for key in distinct],
    )
    if len(rows) < len(distinct):
        return await attempts_at(conn, distinct)
    return {(row["contact_id"], row["n"]): stored_attempt(row) for row in rows}


async def attempts_at(
    conn: Connection, keys: Sequence[Place]
) -> dict[tuple[UUID, int], StoredAttempt]:
    """Return the attempts of these keys, without locking them."""
    rows = await conn.fetch(
        AT_KEYS, [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
    )
    return {(row["contact_id"], row["n"]): stored_attempt(row) for row in rows}


async def find_by_reference(
    conn: Connection, references: Sequence[str], provider: str, ends_from: date
) -> dict[str, tuple[UUID, int, date]]:
    """Return the keys of attempts by the provider's reference (slow: scans recent partitions)."""
    rows = await conn.fetch(FIND_BY_REFERENCE, references, provider, ends_from)
    return {row["provider_ref"]: (row["contact_id"], row["n"], row["ends_on"]) for row in rows}


async def raise_attempts(conn: Connection, attempts: Sequence[StoredAttempt]) -> None:
    """Write back locked attempts that evidence has raised."""
    await conn.execute(
        RAISE,
        [each.attempt.contact_id for each in attempts],
        [each.attempt.n for each in attempts],
        [each.attempt.ends_on for each in attempts],
        [each.state for each in attempts],
        [each.reported for each in attempts],
        [each.outcome_at for each in attempts],
        [each.outcome_law for each in attempts],
        [each.provider_ref for each in attempts],
    )


async def latest_to_addresses(
    conn: Connection, senders: Sequence[tuple[str, str, str]]
) -> dict[int, StoredAttempt]:
    """Return, per position in `senders` (tenant, account, address digest), the contact answered."""
    rows = await conn.fetch(
        LATEST_TO_ADDRESS,
        [each[0] for each in senders],
        [each[1] for each in senders],
        [each[2] for each in senders],
    )
    return {row["position"] - 1: stored_attempt(row) for row in rows}
