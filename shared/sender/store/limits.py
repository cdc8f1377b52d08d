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
    RETURNING key, address_digest
)
SELECT a.key, a.address_digest, t.key IS NOT NULL AS taken,
    extract(epoch FROM known.free_at - platform.law_now())::double precision AS wait_seconds
FROM asked a
LEFT JOIN taken t USING (key, address_digest)
LEFT JOIN pair_rest known USING (key, address_digest)
"""

END_RESTS = """
WITH mine AS MATERIALIZED (
    SELECT key, address_digest FROM pair_rest
    WHERE (key, address_digest) IN (SELECT * FROM unnest($1::text[], $2::text[]))
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

TIDY_RESTS = "DELETE FROM pair_rest WHERE free_at <= platform.law_now()"
TIDY_USES = "DELETE FROM day_use WHERE began_at <= platform.law_now() - interval '25 hours'"


class Pair(msgspec.Struct, frozen=True, order=True, gc=False):
    """One person, as one sender of ours writes to them."""

    key: str
    address_digest: str


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


async def rest(conn: Connection, wanted: Mapping[Pair, float]) -> dict[Pair, float]:
    """Begin rests of so many seconds; return the pairs that rest already, and for how long."""
    pairs = sorted(wanted)
    rows = await conn.fetch(
        REST,
        [each.key for each in pairs],
        [each.address_digest for each in pairs],
        [wanted[each] for each in pairs],
    )
    resting = {}
    for row in rows:
        if not row["taken"]:
            pair = Pair(row["key"], row["address_digest"])
            # None: another replica wrote to them while this statement ran.
            left = row["wait_seconds"]
            resting[pair] = wanted[pair] if left is None else max(0.0, left)
    return resting


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


async def give_back(conn: Connection, pairs: Iterable[Pair], uses: Sequence[Use]) -> None:
    """End rests and uncount contacts that reached no provider."""
    ended = sorted(set(pairs))
    if ended:
        await conn.execute(
            END_RESTS, [each.key for each in ended], [each.address_digest for each in ended]
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
