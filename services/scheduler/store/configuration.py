"""Configuration's rows: every version of every entry, appended and never changed.

In: whole entries inside the caller's transaction. Out: rows, and the newest version of entries.
"""

from collections.abc import Sequence

import msgspec

from shared.events.configuration import ConfigEntry
from shared.postgres.connection import Connection, Row

CONFIG_LOCK = 0x7265_6775_6366  # advisory lock: changes are rare and check each other's references
PAGE_ENTRIES_MAX = 500  # one page of a listing, a history or a re-publication

_COLUMNS = "kind, tenant_id, id, version, body, changed_at, changed_by, deleted"


async def lock(conn: Connection) -> None:
    """Change configuration one at a time, so that what was checked still holds at commit."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", CONFIG_LOCK)


async def append(conn: Connection, entry: ConfigEntry) -> ConfigEntry:
    """Store the next version of an entry; `changed_at` becomes the machine clock's time."""
    row = await conn.fetchrow(
        f"""
        INSERT INTO config_version ({_COLUMNS})
        VALUES ($1, $2, $3, $4, $5, platform.machine_now(), $6, $7)
        RETURNING {_COLUMNS}
        """,  # noqa: S608 - a constant column list
        entry.kind,
        entry.tenant_id,
        entry.id,
        entry.version,
        bytes(entry.body),
        entry.changed_by,
        entry.deleted,
    )
    if row is None:
        msg = "an inserted row came back empty"
        raise LookupError(msg)
    return _entry(row)


async def newest(conn: Connection, kind: str, tenant_id: str, entry_id: str) -> ConfigEntry | None:
    """The newest version of an entry, deleted or not."""
    row = await conn.fetchrow(
        f"""
        SELECT {_COLUMNS} FROM config_version
        WHERE kind = $1 AND tenant_id = $2 AND id = $3 ORDER BY version DESC LIMIT 1
        """,  # noqa: S608 - a constant column list
        kind,
        tenant_id,
        entry_id,
    )
    return None if row is None else _entry(row)


async def newest_of(
    conn: Connection, kind: str, tenant_id: str, ids: Sequence[str]
) -> list[ConfigEntry]:
    """The newest versions of these entries; deleted and unknown ones are left out."""
    rows = await conn.fetch(
        f"""
        SELECT * FROM (
            SELECT DISTINCT ON (id) {_COLUMNS} FROM config_version
            WHERE kind = $1 AND tenant_id = $2 AND id = ANY($3::text[])
            ORDER BY id, version DESC
        ) AS newest WHERE NOT deleted
        """,  # noqa: S608 - a constant column list
        kind,
        tenant_id,
        list(ids),
    )
    return [_entry(row) for row in rows]


async def page(
    conn: Connection, *, after: tuple[str, str, str], limit: int = PAGE_ENTRIES_MAX
) -> list[ConfigEntry]:
    """The newest version of every entry of every tenant, a page at a time, by key."""
    rows = await conn.fetch(
        f"""
        SELECT DISTINCT ON (kind, tenant_id, id) {_COLUMNS} FROM config_version
        WHERE (kind, tenant_id, id) > ($1, $2, $3)
        ORDER BY kind, tenant_id, id, version DESC LIMIT $4
        """,  # noqa: S608 - a constant column list
        *after,
        limit,
    )
    return [_entry(row) for row in rows]


async def of_kind(
    conn: Connection, kind: str, tenant_id: str, *, after: str = "", limit: int = PAGE_ENTRIES_MAX
) -> list[ConfigEntry]:
    """The newest version of a tenant's entries of one kind (deleted ones left out), by id."""
    rows = await conn.fetch(
        f"""
        SELECT * FROM (
            SELECT DISTINCT ON (id) {_COLUMNS} FROM config_version
            WHERE kind = $1 AND tenant_id = $2 AND id > $3
            ORDER BY id, version DESC
        ) AS newest WHERE NOT deleted ORDER BY id LIMIT $4
        """,  # noqa: S608 - a constant column list
        kind,
        tenant_id,
        after,
        limit,
    )
    return [_entry(row) for row in rows]


async def history(
    conn: Connection, kind: str, tenant_id: str, entry_id: str, *, before: int, limit: int
) -> Sequence[ConfigEntry]:
    """Versions of one entry, newest first."""
    rows = await conn.fetch(
        f"""
        SELECT {_COLUMNS} FROM config_version
        WHERE kind = $1 AND tenant_id = $2 AND id = $3 AND version < $4
        ORDER BY version DESC LIMIT $5
        """,  # noqa: S608 - a constant column list
        kind,
        tenant_id,
        entry_id,
        before,
        min(limit, PAGE_ENTRIES_MAX),
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> ConfigEntry:
    values = dict(row.items())
    values["body"] = msgspec.Raw(values["body"])
    return ConfigEntry(**values)
