"""Accounts (debts) of debtors, and who a merged debtor is by now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.contact_ledger.store.history import MERGES_DEEP_MAX
from shared.postgres.connection import Connection

ACCOUNTS_MAX = 1_000  # a person with more debts than that is a test


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One debt as an account; instants are law time."""

    debt_id: UUID
    debtor_id: UUID
    portfolio_id: str | None
    currency: str | None
    stage: int | None
    entered_at: datetime | None
    left_at: datetime | None


async def of_debtors(conn: Connection, tenant_id: str, debtors: Sequence[UUID]) -> list[Account]:
    """Return what these debtors owe or owed."""
    rows = await conn.fetch(
        """
        SELECT debt_id, debtor_id, portfolio_id, currency, stage, entered_at, left_at FROM account
        WHERE tenant_id = $1 AND debtor_id = ANY ($2::uuid[])
        ORDER BY debtor_id, entered_at, debt_id LIMIT $3
        """,
        tenant_id,
        list(debtors),
        ACCOUNTS_MAX,
    )
    return [msgspec.convert(dict(row.items()), Account) for row in rows]


async def surviving(
    conn: Connection, tenant_id: str, debtors: Sequence[UUID]
) -> Mapping[UUID, UUID]:
    """Return, for each debtor, the one that they were merged into, or themselves."""
    rows = await conn.fetch(
        """
        WITH RECURSIVE later AS (
            SELECT asked, asked AS debtor_id, 0 AS depth FROM unnest($2::uuid[]) AS asked
            UNION
            SELECT later.asked, m.debtor_id, later.depth + 1
            FROM later JOIN debtor_merge m
              ON m.tenant_id = $1 AND m.merged_debtor_id = later.debtor_id AND later.depth < $3
        )
        SELECT DISTINCT ON (asked) asked, debtor_id FROM later ORDER BY asked, depth DESC
        """,
        tenant_id,
        list(debtors),
        MERGES_DEEP_MAX,
    )
    return {row["asked"]: row["debtor_id"] for row in rows}
