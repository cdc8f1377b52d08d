"""What accounts may do to people and in a day: rests and uses, shared by every replica.

In: contacts about to be claimed, in the claim's transaction. Out: which of them may go, and
how long the others wait. Rows are taken in the order of their keys, rests before uses, so that
racing batches cannot deadlock; what did not reach a provider is given back. Law time: a day of
people, not of machines. Addresses come as keyed digests.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from shared.postgres import Connection

# A rest that would end long after one that began now is of other settings, or of a clock that went
# back: it holds nobody up. Racing replicas differ by less than the slack.
REST = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[])
        AS a (key, address_digest, seconds)
), taken AS (
    INSERT INTO pair_rest AS known (key, address_digest, free_at)
    SELECT key, address_digest, platform.law_now() + make_interval(secs => seconds)
    FROM asked ORDER BY key, address_digest
    ON CONFLICT (key, address_digest) DO UPDATE SET free_at = excluded.free_at
    WHERE known.free_at <= platform.law_now()
        OR known.free_at > excluded.free_at + interval '5 minutes'
    RETURNING key, address_digest, free_at
)
SELECT a.key, a.address_digest, t.free_at,
    extract(epoch FROM known.free_at - platform.law_now())::double precision AS wait_seconds
FROM asked a
LEFT JOIN taken t USING (key, address_digest)
LEFT JOIN pair_rest known USING (key, address_digest)
"""

END_RESTS = """
WITH mine AS MATERIALIZED (
    SELECT key, address_digest FROM pair_rest
    WHERE (key, address_digest, free_at)
        IN (SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[]))
    ORDER BY key, address_digest FOR UPDATE
)
DELETE FROM pair_rest USING mine
WHERE pair_rest.key = mine.key AND pair_rest.address_digest = mine.address_digest
"""

GIVE_BACK = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::integer[]) AS g (key, began_at, calls)
), mine AS MATERIALIZED (
    SELECT key, began_at FROM day_use JOIN given USING (key, began_at)
    ORDER BY key, began_at FOR UPDATE OF day_use
)
UPDATE day_use SET calls = day_use.calls - given.calls
FROM mine JOIN given USING (key, began_at)
WHERE day_use.key = mine.key AND day_use.began_at = mine.began_at
"""

# Rows that a claim holds are left for the next time: waiting for them in another order would lock
# both out.
TIDY_RESTS = """
DELETE FROM pair_rest WHERE (key, address_digest) IN (
    SELECT key, address_digest FROM pair_rest WHERE free_at <= platform.law_now()
    FOR UPDATE SKIP LOCKED
)
"""
TIDY_USES = "DELETE FROM day_use WHERE began_at <= platform.law_now() - interval '25 hours'"


class Pair(msgspec.Struct, frozen=True, order=True, gc=False):
    """One person, as one sender of ours writes to them."""

    key: str
    address_digest: str


class Rest(msgspec.Struct, frozen=True, order=True, gc=False):
    """A pair's rest as one contact began it; a later one's is not ours to end."""

    pair: Pair
    free_at: datetime


class Use(msgspec.Struct, frozen=True, order=True, gc=False):
    """The five minutes of an account in which a contact is counted."""

    key: str
    began_at: datetime


class Share(msgspec.Struct, frozen=True, gc=False):
    """What an account got of its day: so many contacts, counted in `use`.

    The others wait for so many seconds, until the oldest contacts in the way are a day old.
    """

    granted: int
    use: Use
    wait_seconds: float


async def rest(
    conn: Connection, wanted: Mapping[Pair, float]
) -> tuple[dict[Pair, float], dict[Pair, Rest]]:
    """Begin rests of so many seconds; return how long pairs rest already, and what was begun."""
    pairs = sorted(wanted)
    rows = await conn.fetch(
        REST,
        [each.key for each in pairs],
        [each.address_digest for each in pairs],
        [wanted[each] for each in pairs],
    )
    resting: dict[Pair, float] = {}
    begun: dict[Pair, Rest] = {}
    for row in rows:
        pair = Pair(row["key"], row["address_digest"])
        if row["free_at"] is not None:
            begun[pair] = Rest(pair, row["free_at"])
            continue
        # No row, or one that is over: another replica wrote to them while this statement ran.
        left = row["wait_seconds"]
        resting[pair] = left if left is not None and left > 0 else wanted[pair]
    return resting, begun


async def take(
    conn: Connection, wanted: Mapping[str, int], limits: Mapping[str, int]
) -> dict[str, Share]:
    """Count contacts into the days of accounts, as many as fit; other replicas wait their turn."""
    keys = sorted(wanted)
    rows = await conn.fetch(
        "SELECT key, granted, began_at, wait_seconds FROM take_day_use($1, $2, $3)",
        keys,
        [limits[each] for each in keys],
        [wanted[each] for each in keys],
    )
    return {
        row["key"]: Share(row["granted"], Use(row["key"], row["began_at"]), row["wait_seconds"])
        for row in rows
    }


async def give_back(conn: Connection, rests: Iterable[Rest], uses: Sequence[Use]) -> None:
    """End rests and uncount contacts that reached no provider."""
    ended = sorted(set(rests))
    if ended:
        await conn.execute(
            END_RESTS,
            [each.pair.key for each in ended],
            [each.pair.address_digest for each in ended],
            [each.free_at for each in ended],
        )
    places = sorted(set(uses))
    if places:
        await conn.execute(
            GIVE_BACK,
            [each.key for each in places],
            [each.began_at for each in places],
            [uses.count(each) for each in places],
        )


async def tidy(conn: Connection) -> None:
    """Delete what says nothing any more."""
    await conn.execute(TIDY_RESTS)
    await conn.execute(TIDY_USES)
