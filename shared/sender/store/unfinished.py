"""Stored webhooks that nobody has finished with: left behind, or still without their attempt.

In: instants, and whose turn it is. Out: pages of bounded size, read by key. What a process left
behind comes oldest first, because it always goes on; what fits no attempt comes account by account,
because a pile of it stays for a quarter of an hour and nobody else shall stand behind it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from shared.postgres import Connection, Row
from shared.sender.store.receipts import RawReceipt

RECEIPT_COLUMNS = """r.receipt_id, r.received_on, r.received_at, r.tenant_id, r.account_id,
    r.provider, r.contact_id, r.n, r.ends_on, r.body"""

LEFT_BEHIND = f"""
SELECT {RECEIPT_COLUMNS} FROM receipt r
WHERE r.state = 'new' AND r.received_at < $1
ORDER BY r.received_at LIMIT $2
"""  # noqa: S608 - a constant of ours

# From one account to the next by the index: as many steps as accounts, however much each has.
ACCOUNTS = """
WITH RECURSIVE named AS (
    (SELECT r.tenant_id, r.account_id FROM receipt r
     WHERE r.state = 'unmatched' AND (r.tenant_id, r.account_id) > ($1, $2)
     ORDER BY r.tenant_id, r.account_id LIMIT 1)
    UNION ALL
    SELECT following.tenant_id, following.account_id
    FROM named CROSS JOIN LATERAL (
        SELECT r.tenant_id, r.account_id FROM receipt r
        WHERE r.state = 'unmatched'
            AND (r.tenant_id, r.account_id) > (named.tenant_id, named.account_id)
        ORDER BY r.tenant_id, r.account_id LIMIT 1
    ) following
)
SELECT a.tenant_id, a.account_id, (
    SELECT count(*) FROM (
        SELECT FROM receipt r
        WHERE r.state = 'unmatched' AND r.tenant_id = a.tenant_id
            AND r.account_id = a.account_id AND r.received_at > $3
        LIMIT $5
    ) fresh
) AS fresh
FROM (SELECT * FROM named LIMIT $4) a
"""

UNMATCHED = f"""
SELECT page.* FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::uuid[])
    AS turn (tenant_id, account_id, after_at, after_id)
CROSS JOIN LATERAL (
    SELECT {RECEIPT_COLUMNS} FROM receipt r
    WHERE r.state = 'unmatched' AND r.tenant_id = turn.tenant_id
        AND r.account_id = turn.account_id AND r.received_at < $5
        AND (r.received_at, r.receipt_id) > (turn.after_at, turn.after_id)
    ORDER BY r.received_at, r.receipt_id LIMIT $6
) page
"""  # noqa: S608 - a constant of ours


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account with unmatched receipts, and how many of them are fresh (up to a bound)."""

    tenant_id: str
    account_id: str
    fresh: int


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """After which of its receipts an account's next page begins."""

    tenant_id: str
    account_id: str
    after_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    after_id: UUID = UUID(int=0)


async def left_behind(conn: Connection, *, before: datetime, limit: int) -> list[RawReceipt]:
    """Return webhooks received before an instant that no living process has in hand."""
    return [_receipt(row) for row in await conn.fetch(LEFT_BEHIND, before, limit)]


async def accounts(
    conn: Connection, *, after: tuple[str, str], fresh_from: datetime, limit: int, fresh_max: int
) -> list[Account]:
    """Return accounts with unmatched receipts beyond `after` (tenant, account), in that order."""
    rows = await conn.fetch(ACCOUNTS, *after, fresh_from, limit, fresh_max)
    return [
        Account(tenant_id=row["tenant_id"], account_id=row["account_id"], fresh=row["fresh"])
        for row in rows
    ]


async def unmatched(
    conn: Connection, turns: Sequence[Turn], *, before: datetime, share: int
) -> list[RawReceipt]:
    """Return, for each turn, at most `share` of its receipts received before an instant."""
    rows = await conn.fetch(
        UNMATCHED,
        [each.tenant_id for each in turns],
        [each.account_id for each in turns],
        [each.after_at for each in turns],
        [each.after_id for each in turns],
        before,
        share,
    )
    return [_receipt(row) for row in rows]


def _receipt(row: Row) -> RawReceipt:
    return RawReceipt(
        receipt_id=row["receipt_id"],
        received_on=row["received_on"],
        received_at=row["received_at"],
        tenant_id=row["tenant_id"],
        account_id=row["account_id"],
        provider=row["provider"],
        contact_id=row["contact_id"],
        n=row["n"],
        ends_on=row["ends_on"],
        body=row["body"],
    )
