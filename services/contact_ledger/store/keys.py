"""Data keys: found, or made, for a whole batch at once; stored wrapped only.

In: whose keys are wanted. Out: the keys, unwrapped; None for a key that was destroyed. New keys
belong to the caller's transaction: it may remember them only after its commit.
"""

from collections.abc import Collection

from services.contact_ledger.sealing import KeyName, KeyWrap
from shared.postgres.connection import Connection


async def find(
    conn: Connection, wrap: KeyWrap, names: Collection[KeyName]
) -> dict[KeyName, bytes | None]:
    """Return the keys of `names` that exist."""
    if not names:
        return {}
    ordered = sorted(names)
    rows = await conn.fetch(
        """
        SELECT k.tenant_id, k.debtor_id, k.kek_id, k.wrapped
        FROM unnest($1::text[], $2::uuid[]) AS wanted (tenant_id, debtor_id)
        JOIN debtor_key k USING (tenant_id, debtor_id)
        """,
        [tenant_id for tenant_id, _ in ordered],
        [debtor_id for _, debtor_id in ordered],
    )
    found: dict[KeyName, bytes | None] = {}
    for row in rows:
        name = (row["tenant_id"], row["debtor_id"])
        wrapped = row["wrapped"]
        found[name] = None if wrapped is None else wrap.unwrap(name, row["kek_id"], wrapped)
    return found


async def find_or_make(
    conn: Connection, wrap: KeyWrap, names: Collection[KeyName]
) -> dict[KeyName, bytes | None]:
    """Return the keys of all `names`, making those that are missing."""
    found = await find(conn, wrap, names)
    missing = sorted(set(names) - found.keys())
    if not missing:
        return found
    made = {name: wrap.new_key(name) for name in missing}
    rows = await conn.fetch(
        """
        INSERT INTO debtor_key (tenant_id, debtor_id, kek_id, wrapped)
        SELECT tenant_id, debtor_id, $3, wrapped
        FROM unnest($1::text[], $2::uuid[], $4::bytea[]) AS new (tenant_id, debtor_id, wrapped)
        ORDER BY tenant_id, debtor_id
        ON CONFLICT (tenant_id, debtor_id) DO NOTHING
        RETURNING tenant_id, debtor_id
        """,
        [tenant_id for tenant_id, _ in missing],
        [debtor_id for _, debtor_id in missing],
        wrap.current_id,
        [made[name][1] for name in missing],
    )
    for row in rows:
        name = (row["tenant_id"], row["debtor_id"])
        found[name] = made[name][0]
    # Another process was quicker with the rest: theirs are the keys.
    return found | await find(conn, wrap, set(names) - found.keys())


async def a_kek_in_use(conn: Connection) -> str | None:
    """Return the id of a key-encryption key that wraps some data key; None in a new ledger."""
    found = await conn.fetchval("SELECT kek_id FROM debtor_key WHERE wrapped IS NOT NULL LIMIT 1")
    return None if found is None else str(found)
