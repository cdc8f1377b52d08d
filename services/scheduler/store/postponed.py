"""Contacts that are looked at again later: deferred, returned by their sender, or held.

In: a batch of them, in the caller's fenced transaction. Out: their rows' next instant, and why.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.postgres.connection import Connection


class Postponed(NamedTuple):
    """A contact to look at later: whether it is handed over again then, and how often its end was
    asked for; `held`: a hold is why, so its lift ends the wait.
    """

    contact_id: UUID
    wake_at: datetime | None
    again: bool = False
    closings: int = 0
    held: bool = False


async def postpone_contacts(conn: Connection, rows: Sequence[Postponed]) -> None:
    """Look at contacts again later."""
    await conn.execute(
        """
        UPDATE contact AS c SET wake_at = u.wake, again = u.again, closings = u.closings,
               held = u.held
        FROM unnest($1::uuid[], $2::timestamptz[], $3::bool[], $4::int[], $5::bool[])
             AS u(id, wake, again, closings, held)
        WHERE c.contact_id = u.id AND c.state < 30
        """,
        [r.contact_id for r in rows],
        [r.wake_at for r in rows],
        [r.again for r in rows],
        [r.closings for r in rows],
        [r.held for r in rows],
    )
