"""Endings without a call: the sweeper's, and those the scheduler asks for.

In: time, and requests to close. Out: rows that changed, for facts. The sweeper turns a claim
whose process is gone into UNKNOWN (never into a retry) and an UNKNOWN past its date into
UNKNOWN_FINAL. A close writes a tombstone under the next n, or tells what the highest n came to.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from shared.events.contact import CloseRequested
from shared.postgres import Connection
from shared.sender.attempts import Frame, ends_on, pack
from shared.sender.store.receipts import ATTEMPT_COLUMNS, StoredAttempt, stored_attempt

SWEEP_LOCK = 0x5E4D_0002
# A claim is visible at the latest when its statement times out (30 s): look back twice that.
SWEEP_OVERLAP_SECONDS = 60

TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1, current_schema()::regnamespace::oid::integer)"

SWEEP = f"""
WITH bounds AS MATERIALIZED (
    SELECT claimed_through - make_interval(secs => {SWEEP_OVERLAP_SECONDS}) AS low,
        platform.machine_now() - make_interval(secs => $1) AS high,
        platform.machine_now() AS machine, platform.law_now() AS law
    FROM sweep
), moved AS (
    UPDATE sweep SET claimed_through = greatest(claimed_through, bounds.high) FROM bounds
)
UPDATE attempt a
SET state = 'UNKNOWN', error = 'no_outcome', outcome_at = bounds.machine,
    outcome_law = bounds.law
FROM bounds
WHERE a.claimed_at >= bounds.low AND a.claimed_at < bounds.high AND a.state = 'CLAIMED'
RETURNING {ATTEMPT_COLUMNS}
"""  # noqa: S608 - constants of ours

GIVE_UP = f"""
WITH due AS (
    DELETE FROM unknown_attempt WHERE (contact_id, n) IN (
        SELECT contact_id, n FROM unknown_attempt
        WHERE resolve_by < platform.law_now() ORDER BY resolve_by LIMIT $1)
    RETURNING contact_id, n, ends_on
)
UPDATE attempt a
SET state = 'UNKNOWN_FINAL', outcome_at = platform.machine_now(),
    outcome_law = platform.law_now()
FROM due
WHERE a.contact_id = due.contact_id AND a.n = due.n AND a.ends_on = due.ends_on
    AND a.state = 'UNKNOWN'
RETURNING {ATTEMPT_COLUMNS}
"""  # noqa: S608 - a constant of ours

NEXT_RESOLVE_BY = """
SELECT min(resolve_by) AS due, platform.law_now() AS law FROM unknown_attempt
"""

# Only what the next sweep will newly look at: seconds of claims, by an index on their time.
ABANDONED = """
SELECT count(*) FROM attempt a, sweep s
WHERE a.claimed_at >= s.claimed_through AND a.state = 'CLAIMED'
    AND a.claimed_at < platform.machine_now() - make_interval(secs => $1 / 2)
"""

# Only unresolved attempts have a row there; beyond the bound "many" is all anyone needs to know.
UNKNOWN_BY_AGE = """
SELECT CASE WHEN u.age < interval '1 hour' THEN 'under_1h'
        WHEN u.age < interval '6 hours' THEN '1h_to_6h'
        WHEN u.age < interval '24 hours' THEN '6h_to_24h' ELSE 'over_24h' END AS age,
    count(*) AS attempts
FROM (
    SELECT platform.machine_now() - a.claimed_at AS age
    FROM (SELECT * FROM unknown_attempt LIMIT $1) w JOIN attempt a USING (contact_id, n, ends_on)
) u GROUP BY 1
"""
UNKNOWN_AGES = ("under_1h", "1h_to_6h", "6h_to_24h", "over_24h")
UNKNOWN_COUNTED_MAX = 10_000

CLOSE = """
WITH clock AS MATERIALIZED (
    SELECT platform.law_now() AS law, platform.machine_now() AS machine
), request AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::date[], $3::timestamptz[], $4::uuid[], $5::text[],
        $6::bytea[]) AS r (contact_id, ends_on, not_after, debtor_id, tenant_id, frame)
), judged AS MATERIALIZED (
    SELECT r.*, coalesce(last.n, 0) AS n, coalesce(last.tries, 0) AS tries, last.state,
        coalesce(last.account_id, '') AS account_id, coalesce(last.provider, '') AS provider,
        coalesce(last.address_digest, '') AS address_digest,
        last.n IS NULL OR (last.state = 'REFUSED' AND last.retryable) AS open
    FROM request r
    LEFT JOIN LATERAL (
        SELECT a.n, a.state, a.retryable, a.tries, a.account_id, a.provider, a.address_digest
        FROM attempt a WHERE a.contact_id = r.contact_id AND a.ends_on = r.ends_on
        ORDER BY a.n DESC LIMIT 1
    ) last ON true
), tombstone AS (
    INSERT INTO attempt (contact_id, n, ends_on, debtor_id, tenant_id, account_id, provider, state,
        owner, tries, claimed_at, not_after, address_digest, frame, outcome_at, outcome_law, error)
    SELECT contact_id, n + 1, ends_on, debtor_id, tenant_id, account_id, provider,
        CASE WHEN clock.law >= not_after THEN 'EXPIRED' ELSE 'CANCELLED' END, $7, tries,
        clock.machine, not_after, address_digest, frame, clock.machine, clock.law, 'closed'
    FROM judged CROSS JOIN clock WHERE open ORDER BY contact_id
    ON CONFLICT DO NOTHING
), cleared AS (
    DELETE FROM retry USING judged WHERE retry.contact_id = judged.contact_id AND judged.open
)
UPDATE attempt a SET closing = true FROM judged
WHERE a.contact_id = judged.contact_id AND a.n = judged.n AND a.ends_on = judged.ends_on
    AND a.state = 'CLAIMED'
"""

LAST_OF_CONTACTS = f"""
SELECT {ATTEMPT_COLUMNS} FROM unnest($1::uuid[], $2::date[]) AS r (contact_id, ends_on)
JOIN LATERAL (
    SELECT * FROM attempt t WHERE t.contact_id = r.contact_id AND t.ends_on = r.ends_on
    ORDER BY t.n DESC LIMIT 1
) a ON true
"""  # noqa: S608 - a constant of ours


class Close(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request to end a dispatched contact, with the trace it belongs to."""

    request: CloseRequested
    traceparent: str | None = None


async def sweeping(conn: Connection) -> bool:
    """Take the sweeper's lock for this transaction; False when another replica sweeps."""
    return bool(await conn.fetchval(TRY_LOCK, SWEEP_LOCK))


async def sweep(conn: Connection, abandoned_after_seconds: float) -> list[StoredAttempt]:
    """Turn claims older than that into UNKNOWN; return them."""
    return [stored_attempt(row) for row in await conn.fetch(SWEEP, abandoned_after_seconds)]


async def give_up(conn: Connection, limit: int) -> list[StoredAttempt]:
    """Turn unknown attempts past their resolve-by date (law time) into UNKNOWN_FINAL."""
    return [stored_attempt(row) for row in await conn.fetch(GIVE_UP, limit)]


async def next_resolve_by(conn: Connection) -> tuple[datetime | None, datetime]:
    """Return when the next unknown attempt becomes final, if any waits, and law time now."""
    row = await conn.fetchrow(NEXT_RESOLVE_BY)
    if row is None:
        msg = "an aggregate without a row"
        raise LookupError(msg)
    return row["due"], row["law"]


async def abandoned(conn: Connection, abandoned_after_seconds: float) -> int:
    """Count claims that no living process can still be calling for, and that were not swept yet."""
    return int(await conn.fetchval(ABANDONED, abandoned_after_seconds))


async def close(conn: Connection, closes: Sequence[Close], owner: UUID) -> list[StoredAttempt]:
    """End these contacts as far as is certain; return the highest attempt of each as it is now."""
    ordered = sorted(closes, key=lambda each: each.request.contact_id.bytes)
    requests = [each.request for each in ordered]
    await conn.execute(
        CLOSE,
        [each.contact_id for each in requests],
        [ends_on(each.permit.not_after) for each in requests],
        [each.permit.not_after for each in requests],
        [each.debtor_id for each in requests],
        [each.tenant_id for each in requests],
        [pack(_frame_of(each)) for each in ordered],
        owner,
    )
    rows = await conn.fetch(
        LAST_OF_CONTACTS,
        [each.contact_id for each in requests],
        [ends_on(each.permit.not_after) for each in requests],
    )
    return [stored_attempt(row) for row in rows]


def _frame_of(close: Close) -> Frame:
    request = close.request
    lead = request.items[0] if request.items else None
    return Frame(
        portfolio_id=request.portfolio_id,
        channel=request.channel,
        step_key=lead.step_key if lead else "",
        stage=lead.stage if lead else 0,
        template="",
        items=request.items,
        traceparent=close.traceparent,
    )


async def unknown_by_age(conn: Connection) -> dict[str, int]:
    """Count attempts that wait for evidence, by how long ago they were claimed (at most 10,000)."""
    rows = await conn.fetch(UNKNOWN_BY_AGE, UNKNOWN_COUNTED_MAX)
    return dict.fromkeys(UNKNOWN_AGES, 0) | {row["age"]: int(row["attempts"]) for row in rows}
