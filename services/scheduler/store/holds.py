"""Holds: placed by intake and operators, confirmed or lifted by the planner, read by everybody.

In: holds and changes inside the caller's transaction. Out: rows of `hold`, and for each row that
really changed one record on the holds' own lane (`hold_outbox`), which publishes as soon as the
transaction commits. Versions order the records; a lift is a version, never a deletion.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.drafts import HoldChange
from shared.events.envelope import Envelope, encode
from shared.events.hold import Hold, subject_of
from shared.events.identities import fact_id
from shared.postgres import outbox
from shared.postgres.connection import Connection, Row

SOURCE = "regua/scheduler"
ACTIVE = "active"
LIFTED = "lifted"
PAGE_HOLDS_MAX = 500  # holds per page of the API and of a re-publication

_COLUMNS = """hold_id, tenant_id, scope, subject, reason, version, state, placed_at, until,
    lifted_at, origin"""
_RETURNED = """h.hold_id, h.tenant_id, h.scope, h.subject, h.reason, h.version, h.state,
    h.placed_at, h.until, h.lifted_at, h.origin, platform.law_now() AS law_now"""


class NewHold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold to place. `hold_id` is `identities.hold_id(cause, scope, subject)`; `until` is law."""

    hold_id: UUID
    tenant_id: str
    scope: str
    subject: str
    reason: str
    until: datetime | None = None
    origin: str = "scheduler"


async def place(conn: Connection, holds: Sequence[NewHold]) -> list[Hold]:
    """Place holds as version 1; those that exist already stay as they are. Return the new ones."""
    if not holds:
        return []
    rows = await conn.fetch(
        f"""
        INSERT INTO hold AS h (hold_id, tenant_id, scope, subject, reason, version, state,
                               placed_at, until, origin)
        SELECT id, tenant, scope, subject, reason, 1, 'active', platform.machine_now(), until,
               origin
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                    $6::timestamptz[], $7::text[])
             AS u(id, tenant, scope, subject, reason, until, origin)
        ORDER BY id
        ON CONFLICT (hold_id) DO NOTHING
        RETURNING {_RETURNED}
        """,  # noqa: S608 - a constant column list
        [h.hold_id for h in holds],
        [h.tenant_id for h in holds],
        [h.scope for h in holds],
        [h.subject for h in holds],
        [h.reason for h in holds],
        [h.until for h in holds],
        [h.origin for h in holds],
    )
    return await _publish(conn, rows)


async def change(conn: Connection, changes: Sequence[HoldChange]) -> list[Hold]:
    """Confirm, narrow or lift exactly these holds; return those that really changed.

    A hold that is lifted stays lifted (a new reason is a new hold), and confirming a hold with
    what it says already makes no new version.
    """
    if not changes:
        return []
    last = {c.hold_id: c for c in changes}
    ordered = [last[hold_id] for hold_id in sorted(last)]
    rows = await conn.fetch(
        f"""
        WITH wanted AS (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
                     AS u(id, state, reason, until)
        ), locked AS (
            SELECT h.hold_id FROM hold h JOIN wanted w ON w.id = h.hold_id
            ORDER BY h.hold_id FOR NO KEY UPDATE OF h
        )
        UPDATE hold AS h SET
            version = h.version + 1, state = w.state, reason = w.reason, until = w.until,
            lifted_at = CASE WHEN w.state = 'lifted' THEN platform.machine_now() END
        FROM wanted w JOIN locked l ON l.hold_id = w.id
        WHERE h.hold_id = w.id AND h.state = 'active'
          AND (w.state, w.reason, w.until) IS DISTINCT FROM (h.state, h.reason, h.until)
        RETURNING {_RETURNED}
        """,  # noqa: S608 - a constant column list
        [c.hold_id for c in ordered],
        [c.state for c in ordered],
        [c.reason for c in ordered],
        [c.until for c in ordered],
    )
    return await _publish(conn, rows)


async def learn(conn: Connection, holds: Sequence[Hold]) -> int:
    """Take over holds that senders published (newer versions only); they are on the topic already.

    Return how many were news.
    """
    newest = {h.hold_id: h for h in sorted(holds, key=lambda h: h.version)}
    if not newest:
        return 0
    ordered = [newest[hold_id] for hold_id in sorted(newest)]
    rows = await conn.fetch(
        """
        INSERT INTO hold AS h (hold_id, tenant_id, scope, subject, reason, version, state,
                               placed_at, until, lifted_at, origin)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[],
                             $6::int[], $7::text[], $8::timestamptz[], $9::timestamptz[],
                             $10::timestamptz[], $11::text[])
        ON CONFLICT (hold_id) DO UPDATE SET
            reason = EXCLUDED.reason, version = EXCLUDED.version, state = EXCLUDED.state,
            until = EXCLUDED.until, lifted_at = EXCLUDED.lifted_at
        WHERE EXCLUDED.version > h.version
        RETURNING h.hold_id
        """,
        [h.hold_id for h in ordered],
        [h.tenant_id for h in ordered],
        [h.scope for h in ordered],
        [h.subject for h in ordered],
        [h.reason for h in ordered],
        [h.version for h in ordered],
        [h.state for h in ordered],
        [h.placed_at for h in ordered],
        [h.until for h in ordered],
        [h.lifted_at for h in ordered],
        [h.origin for h in ordered],
    )
    return len(rows)


async def active_for(conn: Connection, subjects: Sequence[str]) -> list[Hold]:
    """Active holds on any of these subjects, and on their tenants, and on everything.

    A hold whose `until` has passed in law time is no longer active.
    """
    wide = {subject_of("everything")}
    wide.update(subject_of("tenant", s.split(":", 2)[1]) for s in subjects if ":" in s)
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM hold
        WHERE state = 'active' AND subject = ANY($1::text[])
          AND (until IS NULL OR until > platform.law_now())
        ORDER BY hold_id
        """,  # noqa: S608 - a constant column list
        sorted(wide.union(subjects)),
    )
    return [_hold(row) for row in rows]


async def find(conn: Connection, *, tenant_id: str, hold_id: UUID) -> Hold | None:
    """One hold of this tenant (tenant "*" sees them all)."""
    row = await conn.fetchrow(
        f"SELECT {_COLUMNS} FROM hold WHERE hold_id = $2 AND ($1 = '*' OR tenant_id = $1)",  # noqa: S608
        tenant_id,
        hold_id,
    )
    return None if row is None else _hold(row)


async def page(
    conn: Connection, *, tenant_id: str, state: str, after: UUID | None, limit: int
) -> list[Hold]:
    """One page of a tenant's holds in one state, by id (tenant "*" sees them all)."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM hold
        WHERE ($1 = '*' OR tenant_id = $1) AND state = $2 AND hold_id > $3
        ORDER BY hold_id LIMIT $4
        """,  # noqa: S608 - a constant column list
        tenant_id,
        state,
        after or UUID(int=0),
        min(limit, PAGE_HOLDS_MAX),
    )
    return [_hold(row) for row in rows]


async def republish(conn: Connection, *, after: UUID | None) -> UUID | None:
    """Put one page of stored holds on the lane again (the broker lost its log); return the last.

    None means that there are no more.
    """
    rows = await conn.fetch(
        f"""
        SELECT {_RETURNED} FROM hold h WHERE hold_id > $1 ORDER BY hold_id LIMIT $2
        """,  # noqa: S608 - a constant column list
        after or UUID(int=0),
        PAGE_HOLDS_MAX,
    )
    published = await _publish(conn, rows)
    return published[-1].hold_id if published else None


async def _publish(conn: Connection, rows: Sequence[Row]) -> list[Hold]:
    """Put each row on the lane and return it as a hold."""
    holds = [_hold(row) for row in rows]
    await outbox.append_to_lane(
        conn,
        [_envelope(hold, row["law_now"]) for hold, row in zip(holds, rows, strict=True)],
    )
    return holds


def _envelope(hold: Hold, law_now: datetime) -> Envelope:
    return Envelope(
        id=fact_id(hold.hold_id, "hold.changed.v1", str(hold.version)),
        type="hold.changed.v1",
        source=SOURCE,
        time=law_now,
        key=str(hold.hold_id),
        tenant_id=hold.tenant_id,
        data=encode(hold),
    )


def _hold(row: Row) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__struct_fields__})
