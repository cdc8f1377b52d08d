"""Alarms: contacts whose facts contradict the promises; raised once per contact and kind."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.postgres.connection import Connection

SHOWN_MAX = 1_000  # there should be none; with more, the first thousand say enough


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: accepted_after_non_send or accepted_twice; `raised_at` is machine time."""

    contact_id: UUID
    kind: str
    raised_at: datetime


async def newest(conn: Connection, tenant_id: str) -> list[Alarm]:
    """Return the tenant's alarms, newest first."""
    rows = await conn.fetch(
        """
        SELECT contact_id, kind, raised_at FROM alarm WHERE tenant_id = $1
        ORDER BY raised_at DESC, contact_id LIMIT $2
        """,
        tenant_id,
        SHOWN_MAX,
    )
    return [msgspec.convert(dict(row.items()), Alarm) for row in rows]
