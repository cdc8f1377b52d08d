"""Rate permits: one GCRA row per account and number, shared by every replica.

In: how many calls are about to be made. Out: how many are allowed now, or how long to wait. A
provider's "slow down" moves the row for everybody.
"""

from collections.abc import Sequence

from shared.postgres import Connection

PUSH_BACK = """
INSERT INTO throttle (key, tat)
VALUES ($1, platform.machine_now() + make_interval(secs => $2))
ON CONFLICT (key) DO UPDATE SET tat = greatest(throttle.tat, excluded.tat)
"""


async def take(
    conn: Connection,
    keys: Sequence[str],
    rates_per_second: Sequence[float],
    bursts: Sequence[int],
    wanted: int,
) -> tuple[int, float]:
    """Take up to `wanted` permits under every key at once; return (granted, seconds to wait)."""
    row = await conn.fetchrow(
        "SELECT granted, wait_seconds FROM take_permits($1, $2, $3, $4)",
        keys,
        rates_per_second,
        bursts,
        wanted,
    )
    if row is None:
        msg = "a function without a row"
        raise LookupError(msg)
    return row["granted"], row["wait_seconds"]


async def push_back(conn: Connection, key: str, seconds: float) -> None:
    """Grant nothing under `key` for the next `seconds`, to anybody."""
    await conn.execute(PUSH_BACK, key, seconds)
