"""The feed: a tenant's entries in the order of their transactions, none skipped, none moved.

In: where the reader stopped. Out: what was committed since. Ids alone would skip late commits, so
the feed ends below the oldest transaction still running (the snapshot's xmin). A restored dump
starts its transaction ids anew: then the generation rises, and older generations are all committed.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from services.contact_ledger.store.history import Entry, to_entries
from shared.postgres.connection import Connection

Integer = Annotated[int, msgspec.Meta(ge=-1, le=2**31 - 1)]
TransactionId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a page of the feed ended; bounded, because a caller may make one up."""

    generation: Integer
    xid: TransactionId
    ordinal: Integer


BEGINNING = Mark(generation=0, xid=0, ordinal=-1)


def statement(*, of_types: bool) -> str:
    """Return the query of one page; it must stay an ordered index scan (a test asks the planner).

    The upper end is one row comparison: an OR would sort all that is left, for every page.
    """
    only = "AND type = ANY ($5::text[])" if of_types else "AND $5::text[] = '{}'"
    return f"""
        SELECT event_time, event_id, tenant_id, debtor_id, debt_id, contact_id, portfolio_id,
               channel, type, source, state, at, machine_at, recorded_at, body_sealed,
               generation, xid, ordinal
        FROM entry
        WHERE tenant_id = $1 AND (generation, xid, ordinal) > ($2, $3::xid8, $4)
          AND (generation, xid, ordinal)
              < ((SELECT number FROM generation), pg_snapshot_xmin(pg_current_snapshot()), 0)
          {only}
        ORDER BY generation, xid, ordinal LIMIT $6
    """  # noqa: S608 - constant parts


async def ensure_generation(conn: Connection) -> int:
    """Raise the generation if this is another database cluster; return the one in force."""
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext('contact_ledger generation'))")
        number = await conn.fetchval(
            """
            INSERT INTO generation AS g (number, system_identifier)
            SELECT 1, system_identifier FROM pg_control_system()
            ON CONFLICT (one_row) DO UPDATE SET
                number = g.number + (g.system_identifier <> excluded.system_identifier)::int,
                system_identifier = excluded.system_identifier
            RETURNING number
            """
        )
    return int(number)


async def page(
    conn: Connection, tenant_id: str, *, after: Mark, limit: int, types: Sequence[str]
) -> tuple[list[Entry], Mark]:
    """Return up to `limit` entries after the mark, of these types (all when none), and the end."""
    rows = await conn.fetch(
        statement(of_types=bool(types)),
        tenant_id,
        after.generation,
        after.xid,
        after.ordinal,
        list(types),
        limit,
    )
    if not rows:
        return [], after
    last = rows[-1]
    mark = Mark(generation=last["generation"], xid=int(last["xid"]), ordinal=last["ordinal"])
    return to_entries(rows), mark
