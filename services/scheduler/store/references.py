"""References and identities: what clients call debts and people, keyed, and whose they are.

In: digests from one intake transaction. Out: rows, always locked in sorted order, so that two
requests never wait for each other in a circle. Every function is one statement.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection


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


async def debtor_of_debt(conn: Connection, digests: Sequence[Digest]) -> UUID | None:
    """The debtor of a debt reference, without locking it."""
    debtor_id: UUID | None = await conn.fetchval(
        """
        SELECT r.debtor_id FROM debt_reference r
        JOIN unnest($1::text[], $2::bytea[]) AS u(tenant, digest)
          ON r.tenant_id = u.tenant AND r.digest = u.digest
        WHERE r.debtor_id IS NOT NULL LIMIT 1
        """,
        [d.tenant_id for d in digests],
        [d.digest for d in digests],
    )
    return debtor_id


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
