"""Monthly partitions of `entry`: made ahead, and on demand when law time jumps.

In: the instants of a batch, or now. Out: partitions that exist before anything is written to them.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from shared.postgres.connection import Connection

MONTHS_AHEAD = 2  # nobody has to be there at midnight of the first
FIRST_OF_NEXT = timedelta(days=32)


def month_of(instant: datetime) -> date:
    """Return the first day of the (UTC) month that holds `instant`."""
    return instant.astimezone(UTC).date().replace(day=1)


def ahead_of(instant: datetime) -> list[date]:
    """Return the month of `instant` and those that are made ahead of it."""
    months = [month_of(instant)]
    for _ in range(MONTHS_AHEAD):
        months.append((months[-1] + FIRST_OF_NEXT).replace(day=1))
    return months


async def make(conn: Connection, months: Iterable[date]) -> list[date]:
    """Make the partitions of `months` that are missing; return those that were made."""
    rows = await conn.fetch(
        "SELECT month FROM unnest($1::date[]) AS month WHERE make_entry_month(month)",
        sorted(months),
    )
    return [row["month"] for row in rows]


async def analyse(conn: Connection, months: Iterable[date]) -> None:
    """Give new partitions statistics: without, the feed sorts a whole partition per page."""
    for month in months:
        await conn.execute(f"ANALYZE entry_{month:%Y_%m}")
