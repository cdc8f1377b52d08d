"""Search keys: stored with the batch that brought them, asked for by digest."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.contact_ledger.lookups import Lookup
from shared.postgres.connection import Connection

FOUND_MAX = 100  # one phone may serve a household, not a city


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A debtor that a search key leads to, with the debt when the key names one."""

    debtor_id: UUID
    debt_id: UUID | None


async def add(conn: Connection, lookups: Sequence[Lookup]) -> None:
    """Store search keys; those that are known stay as they are."""
    if not lookups:
        return
    await conn.execute(
        """
        INSERT INTO lookup (tenant_id, digest, debtor_id, kind, key_id, debt_id)
        SELECT * FROM unnest($1::text[], $2::bytea[], $3::uuid[], $4::text[], $5::text[],
                             $6::uuid[])
                      AS new (tenant_id, digest, debtor_id, kind, key_id, debt_id)
        ORDER BY tenant_id, digest, debtor_id
        ON CONFLICT DO NOTHING
        """,
        [lookup.tenant_id for lookup in lookups],
        [lookup.digest for lookup in lookups],
        [lookup.debtor_id for lookup in lookups],
        [lookup.kind for lookup in lookups],
        [lookup.key_id for lookup in lookups],
        [lookup.debt_id for lookup in lookups],
    )


async def find(conn: Connection, tenant_id: str, digests: Sequence[bytes]) -> list[Found]:
    """Return the debtors of this tenant that any of `digests` leads to."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT debtor_id, debt_id FROM lookup
        WHERE tenant_id = $1 AND digest = ANY($2::bytea[])
        ORDER BY debtor_id, debt_id LIMIT $3
        """,
        tenant_id,
        list(digests),
        FOUND_MAX,
    )
    return [Found(debtor_id=row["debtor_id"], debt_id=row["debt_id"]) for row in rows]
