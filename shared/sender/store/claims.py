"""The claim: one statement that decides who may call, and what ends without a call.

In: tasks about to be called (≤ one micro-batch). Out: one verdict per task. The row inserted here,
committed before the provider is called and never handed over, is the whole guarantee of "at most
once"; holds, the lawful interval and a stop's tombstone are decided by the same statement, under
the same key, by the database's clock. Tasks are sorted, so that racing batches cannot deadlock.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from shared.postgres import Connection
from shared.sender.attempts import N_MAX, Frame, Work, pack

SUBJECT_SEPARATOR = "\x1f"  # cannot occur in ids; keeps a task's subjects in one text column

# New day partitions have no statistics: left alone, the planner scans them whole. Every statement
# of the hot path finds its rows by key, so saying "never scan" costs nothing and cannot go stale.
HOT_PLAN = (
    "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL enable_bitmapscan = off"
)

CLAIM = """
WITH clock AS MATERIALIZED (
    SELECT platform.law_now() AS law, platform.machine_now() AS machine
), task AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::date[], $3::text[], $4::timestamptz[],
        $5::timestamptz[], $6::timestamptz[], $7::uuid[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::bytea[], $13::text[], $14::boolean[], $15::interval[])
    AS t (contact_id, ends_on, subjects, issued_at, not_before, not_after, debtor_id, tenant_id,
        account_id, provider, address_digest, frame, fault, is_retry, budget)
), judged AS MATERIALIZED (
    SELECT t.*, coalesce(last.n, 0) + 1 AS next_n, coalesce(last.tries, 0) AS tries,
        blocked.hold_id, blocked.scope, blocked.reason, blocked.version,
        CASE
            WHEN last.n IS NOT NULL
                AND NOT (last.state = 'REFUSED' AND last.retryable AND last.n < $17) THEN 'TAKEN'
            WHEN NOT t.is_retry
                AND EXISTS (SELECT FROM retry r WHERE r.contact_id = t.contact_id) THEN 'TAKEN'
            WHEN blocked.hold_id IS NOT NULL THEN 'CANCELLED'
            WHEN clock.law + t.budget >= t.not_after THEN 'EXPIRED'
            WHEN clock.law < t.not_before THEN 'EARLY'
            WHEN t.fault IS NOT NULL THEN 'INVALID'
            ELSE 'CLAIMED'
        END AS verdict
    FROM task t CROSS JOIN clock
    LEFT JOIN LATERAL (
        SELECT a.n, a.state, a.retryable, a.tries FROM attempt a
        WHERE a.contact_id = t.contact_id AND a.ends_on = t.ends_on
        ORDER BY a.n DESC LIMIT 1
    ) last ON true
    LEFT JOIN LATERAL (
        SELECT h.hold_id, h.scope, h.reason, h.version FROM hold h
        WHERE h.subject = ANY (string_to_array(t.subjects, E'\\x1f'))
            AND ((h.state = 'active' AND (h.until IS NULL OR h.until > clock.law))
                OR h.lifted_at > t.issued_at
                OR (h.state = 'active' AND h.until <= clock.law AND h.placed_at > t.issued_at))
        LIMIT 1
    ) blocked ON true
), inserted AS (
    INSERT INTO attempt (contact_id, n, ends_on, debtor_id, tenant_id, account_id, provider, state,
        owner, tries, claimed_at, not_after, address_digest, frame, outcome_at, outcome_law, error)
    SELECT contact_id, next_n, ends_on, debtor_id, tenant_id, account_id, provider, verdict,
        $16, tries, clock.machine, not_after, address_digest, frame,
        CASE WHEN verdict <> 'CLAIMED' THEN clock.machine END,
        CASE WHEN verdict <> 'CLAIMED' THEN clock.law END,
        CASE WHEN verdict = 'INVALID' THEN fault END
    FROM judged CROSS JOIN clock
    WHERE verdict IN ('CLAIMED', 'CANCELLED', 'EXPIRED', 'INVALID')
    ORDER BY contact_id
    ON CONFLICT DO NOTHING
    RETURNING contact_id
), cleared AS (
    DELETE FROM retry USING judged
    WHERE retry.contact_id = judged.contact_id AND judged.is_retry AND judged.verdict <> 'EARLY'
)
SELECT j.contact_id, j.next_n, j.tries, j.hold_id, j.scope, j.reason, j.version,
    CASE WHEN i.contact_id IS NULL AND j.verdict <> 'EARLY' THEN 'TAKEN' ELSE j.verdict END
        AS verdict,
    clock.law, clock.machine
FROM judged j CROSS JOIN clock LEFT JOIN inserted i USING (contact_id)
"""


class Candidate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task on its way into the claim, with what the runtime has looked up for it.

    `budget` is how long before the window's end a call must begin to be over in time.
    """

    work: Work
    provider: str
    address_digest: str
    template: str
    budget: timedelta


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the claim decided for one task: CLAIMED, TAKEN, EARLY, CANCELLED, EXPIRED, INVALID."""

    candidate: Candidate
    verdict: str
    n: int
    tries: int
    hold_id: UUID | None
    scope: str | None
    reason: str | None
    version: int | None
    law: datetime
    machine: datetime


@asynccontextmanager
async def hot_transaction(conn: Connection) -> AsyncIterator[None]:
    """Open a transaction whose plans always go by key."""
    await conn.execute(HOT_PLAN)
    try:
        yield
    except BaseException:
        await conn.execute("ROLLBACK")
        raise
    await conn.execute("COMMIT")


async def claim(conn: Connection, candidates: Sequence[Candidate], owner: UUID) -> list[Verdict]:
    """Decide for each candidate, inserting the rows of those decided now.

    Contact ids must be distinct. The caller commits, and only then calls the provider.
    """
    ordered = sorted(candidates, key=_contact_id)
    tasks = [each.work.task for each in ordered]
    rows = await conn.fetch(
        CLAIM,
        [task.contact_id for task in tasks],
        [each.work.ends_on for each in ordered],
        [SUBJECT_SEPARATOR.join(task.subjects) for task in tasks],
        [task.permit.issued_at for task in tasks],
        [task.permit.not_before for task in tasks],
        [task.permit.not_after for task in tasks],
        [task.debtor_id for task in tasks],
        [task.tenant_id for task in tasks],
        [task.account_id for task in tasks],
        [each.provider for each in ordered],
        [each.address_digest for each in ordered],
        [pack(frame_of(each)) for each in ordered],
        [each.work.fault for each in ordered],
        [each.work.retry for each in ordered],
        [each.budget for each in ordered],
        owner,
        N_MAX,
    )
    by_contact = {each.work.task.contact_id: each for each in ordered}
    return [
        Verdict(
            candidate=by_contact[row["contact_id"]],
            verdict=row["verdict"],
            n=row["next_n"],
            tries=row["tries"],
            hold_id=row["hold_id"],
            scope=row["scope"],
            reason=row["reason"],
            version=row["version"],
            law=row["law"],
            machine=row["machine"],
        )
        for row in rows
    ]


def frame_of(candidate: Candidate) -> Frame:
    """Return the frame that the candidate's attempt row keeps."""
    task = candidate.work.task
    return Frame(
        portfolio_id=task.portfolio_id,
        channel=task.channel,
        step_key=task.step_key,
        stage=task.stage,
        template=candidate.template,
        items=task.items,
        traceparent=candidate.work.traceparent,
    )


def _contact_id(candidate: Candidate) -> bytes:
    return candidate.work.task.contact_id.bytes
