"""What a call came to, written back to its row; and refusals that wait for their next attempt.

In: outcomes of calls that this process made. Out: the rows that really changed: only those may be
stated as facts. A row leaves CLAIMED only by the process that claimed it, by evidence (receipts)
or by the sweeper; an acceptance also lifts a row that the sweeper has given up on.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from shared.postgres import Connection
from shared.sender.attempts import Attempt, pack

RECORD = """
WITH clock AS MATERIALIZED (
    SELECT platform.law_now() AS law, platform.machine_now() AS machine
)
UPDATE attempt a
SET state = o.state, outcome_at = clock.machine, outcome_law = clock.law,
    provider_ref = coalesce(o.provider_ref, a.provider_ref), code = o.code, error = o.error,
    tries = o.tries, retryable = o.retryable AND NOT a.closing
FROM unnest($1::uuid[], $2::smallint[], $3::date[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::smallint[], $9::boolean[])
    AS o (contact_id, n, ends_on, state, provider_ref, code, error, tries, retryable), clock
WHERE a.contact_id = o.contact_id AND a.n = o.n AND a.ends_on = o.ends_on AND a.owner = $10
    AND (a.state = 'CLAIMED'
        OR (a.state IN ('UNKNOWN', 'UNKNOWN_FINAL') AND o.state = 'ACCEPTED'))
RETURNING a.contact_id, a.n, a.closing, clock.law, clock.machine
"""

WAIT_FOR_EVIDENCE = """
INSERT INTO unknown_attempt (contact_id, n, ends_on, resolve_by)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::date[], $4::timestamptz[])
ON CONFLICT DO NOTHING
"""

EVIDENCE_CAME = """
DELETE FROM unknown_attempt u USING unnest($1::uuid[], $2::smallint[]) AS o (contact_id, n)
WHERE u.contact_id = o.contact_id AND u.n = o.n
"""

KEEP_FRAMES = """
UPDATE attempt a SET frame = o.frame
FROM unnest($1::uuid[], $2::smallint[], $3::date[], $4::bytea[])
    AS o (contact_id, n, ends_on, frame)
WHERE a.contact_id = o.contact_id AND a.n = o.n AND a.ends_on = o.ends_on
"""

RETRY_LATER = """
INSERT INTO retry (contact_id, due_at, owner, tenant_id, traceparent, task)
SELECT contact_id, platform.machine_now() + make_interval(secs => wait), $6, tenant_id,
    traceparent, task
FROM unnest($1::uuid[], $2::double precision[], $3::text[], $4::text[], $5::bytea[])
    AS r (contact_id, wait, tenant_id, traceparent, task)
ON CONFLICT (contact_id) DO NOTHING
"""

# A retry belongs to the process that was refused; another takes it only when that one seems gone.
RETRIES_DUE = """
SELECT contact_id, tenant_id, traceparent, task FROM retry
WHERE (owner = $1 AND due_at <= platform.machine_now())
    OR due_at <= platform.machine_now() - make_interval(secs => $2)
ORDER BY due_at LIMIT $3
"""


class OutcomeRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One outcome to record: the attempt's key, its new state, and why."""

    contact_id: UUID
    n: int
    ends_on: date
    state: str
    tries: int
    provider_ref: str | None = None
    code: str | None = None
    error: str | None = None
    retryable: bool = False


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt whose row changed. `closing` says that the scheduler asked to end the contact."""

    closing: bool
    law: datetime
    machine: datetime


class RetryRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task waiting for attempt n+1; `wait_seconds` from now, by the machine clock."""

    contact_id: UUID
    tenant_id: str
    traceparent: str | None
    task: bytes
    wait_seconds: float = 0.0


async def record(
    conn: Connection, outcomes: Sequence[OutcomeRow], owner: UUID
) -> dict[tuple[UUID, int], Recorded]:
    """Write outcomes of calls this process owns; return those whose row changed, by key."""
    ordered = sorted(outcomes, key=lambda each: each.contact_id.bytes)
    rows = await conn.fetch(
        RECORD,
        [each.contact_id for each in ordered],
        [each.n for each in ordered],
        [each.ends_on for each in ordered],
        [each.state for each in ordered],
        [each.provider_ref for each in ordered],
        [each.code for each in ordered],
        [each.error for each in ordered],
        [each.tries for each in ordered],
        [each.retryable for each in ordered],
        owner,
    )
    return {
        (row["contact_id"], row["n"]): Recorded(
            closing=row["closing"], law=row["law"], machine=row["machine"]
        )
        for row in rows
    }


async def wait_for_evidence(
    conn: Connection, unknown: Sequence[tuple[UUID, int, date, datetime]]
) -> None:
    """Remember unknown attempts (contact, n, partition date, resolve-by in law time)."""
    if unknown:
        await conn.execute(
            WAIT_FOR_EVIDENCE,
            [each[0] for each in unknown],
            [each[1] for each in unknown],
            [each[2] for each in unknown],
            [each[3] for each in unknown],
        )


async def evidence_came(conn: Connection, keys: Sequence[tuple[UUID, int]]) -> None:
    """Forget unknown attempts that are known now."""
    if keys:
        await conn.execute(EVIDENCE_CAME, [key[0] for key in keys], [key[1] for key in keys])


async def keep_frames(conn: Connection, told: Sequence[Attempt]) -> None:
    """Write the frames of these attempts anew: what comes back for them goes on in their trace."""
    if told:
        ordered = sorted(told, key=lambda each: each.contact_id.bytes)
        await conn.execute(
            KEEP_FRAMES,
            [each.contact_id for each in ordered],
            [each.n for each in ordered],
            [each.ends_on for each in ordered],
            [pack(each.frame) for each in ordered],
        )


async def retry_later(conn: Connection, rows: Sequence[RetryRow], owner: UUID) -> None:
    """Keep refused tasks until their next attempt is due."""
    if rows:
        await conn.execute(
            RETRY_LATER,
            [row.contact_id for row in rows],
            [row.wait_seconds for row in rows],
            [row.tenant_id for row in rows],
            [row.traceparent for row in rows],
            [row.task for row in rows],
            owner,
        )


async def retries_due(
    conn: Connection, owner: UUID, *, orphaned_after_seconds: float, limit: int
) -> list[RetryRow]:
    """Return retries that are due: our own, and those whose process has let them lie."""
    rows = await conn.fetch(RETRIES_DUE, owner, orphaned_after_seconds, limit)
    return [
        RetryRow(
            contact_id=row["contact_id"],
            tenant_id=row["tenant_id"],
            traceparent=row["traceparent"],
            task=row["task"],
        )
        for row in rows
    ]


async def retries_waiting(conn: Connection) -> int:
    """Count the retries that wait (a small table)."""
    return int(await conn.fetchval("SELECT count(*) FROM retry"))


async def forget_retries(conn: Connection, contact_ids: Sequence[UUID]) -> None:
    """Drop retries that were handed back to the scheduler in the same transaction."""
    await conn.execute("DELETE FROM retry WHERE contact_id = ANY ($1::uuid[])", contact_ids)
