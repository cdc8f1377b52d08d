"""Acquaintances and aliases: read and written in batches, one statement each.

In: digests of addresses, numbers of ours. Out: what is remembered. Law time throughout: the
provider counts its windows in the days its people live in.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from shared.postgres import Connection, Row

# A message opens the window under every name we know the person by. The provider's own time
# counts, but never the future: a webhook may come days late, or from a clock that is wrong.
HEAR = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
        AS g (tenant_id, number_id, digest, at)
), named AS (
    SELECT tenant_id, number_id, digest, at FROM given
    UNION ALL
    SELECT g.tenant_id, g.number_id, a.address_digest, g.at
    FROM given g JOIN address_alias a
        ON a.tenant_id = g.tenant_id AND a.alias_digest = g.digest
)
INSERT INTO acquaintance AS known (tenant_id, number_id, address_digest, heard_at)
SELECT tenant_id, number_id, digest,
    max(least(coalesce(at, platform.law_now()), platform.law_now()))
FROM named GROUP BY tenant_id, number_id, digest ORDER BY tenant_id, number_id, digest
ON CONFLICT (tenant_id, number_id, address_digest)
DO UPDATE SET heard_at = greatest(known.heard_at, excluded.heard_at)
"""

LEARN = """
INSERT INTO address_alias AS known (tenant_id, alias_digest, address_digest, seen_on)
SELECT DISTINCT tenant_id, alias_digest, address_digest, platform.law_now()::date
FROM unnest($1::text[], $2::text[], $3::text[]) AS n (tenant_id, alias_digest, address_digest)
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, alias_digest, address_digest)
DO UPDATE SET seen_on = excluded.seen_on WHERE known.seen_on < excluded.seen_on
"""

KNOWN_AS = """
SELECT DISTINCT address_digest FROM address_alias
WHERE tenant_id = $1 AND alias_digest = ANY ($2::text[])
"""

STANDINGS = """
SELECT q.position, k.heard_at, k.begun_at, platform.law_now() AS law
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
    AS q (tenant_id, number_id, address_digest, position)
LEFT JOIN acquaintance k ON k.tenant_id = q.tenant_id AND k.number_id = q.number_id
    AND k.address_digest = q.address_digest
"""

BEGUN = """
SELECT count(DISTINCT address_digest) FROM acquaintance
WHERE tenant_id = $1 AND business_id = $2
    AND begun_at > platform.law_now() - interval '24 hours'
"""

BEGIN = """
INSERT INTO acquaintance AS known (tenant_id, number_id, address_digest, business_id, begun_at)
SELECT tenant_id, number_id, address_digest, business_id, platform.law_now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    AS w (tenant_id, number_id, address_digest, business_id)
ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, number_id, address_digest)
DO UPDATE SET business_id = excluded.business_id, begun_at = excluded.begun_at
"""

# Nothing here says anything after a day; an alias is kept while receipts are.
TIDY_ACQUAINTANCES = """
DELETE FROM acquaintance WHERE (tenant_id, number_id, address_digest) IN (
    SELECT tenant_id, number_id, address_digest FROM acquaintance
    WHERE greatest(heard_at, written_at, begun_at) < platform.law_now() - interval '2 days'
    LIMIT $1
)
"""
TIDY_ALIASES = "DELETE FROM address_alias WHERE seen_on < platform.law_now()::date - $1::integer"
TIDIED_ROWS_MAX = 20_000  # of one pass, a minute apart: faster than any number writes
ALIAS_DAYS = 400  # people answer old messages; a name seen again counts anew


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One person at one number of ours."""

    tenant_id: str
    number_id: str
    address_digest: str


class Remembered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is remembered of a place, and law time as it was read."""

    heard_at: datetime | None
    begun_at: datetime | None
    law: datetime


class Begun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that goes to this place now begins a conversation of ours."""

    place: Place
    business_id: str


async def hear(conn: Connection, heard: Sequence[tuple[Place, datetime | None]]) -> None:
    """Open the service window of everybody who wrote."""
    await conn.execute(
        HEAR,
        [place.tenant_id for place, _ in heard],
        [place.number_id for place, _ in heard],
        [place.address_digest for place, _ in heard],
        [at for _, at in heard],
    )


async def learn(conn: Connection, aliases: Sequence[tuple[str, str, str]]) -> None:
    """Note (tenant, other name, address)."""
    await conn.execute(
        LEARN,
        [each[0] for each in aliases],
        [each[1] for each in aliases],
        [each[2] for each in aliases],
    )


async def known_as(conn: Connection, tenant_id: str, digests: Sequence[str]) -> list[str]:
    """Return the addresses behind names."""
    rows = await conn.fetch(KNOWN_AS, tenant_id, list(digests))
    return [row["address_digest"] for row in rows]


async def standings(conn: Connection, places: Sequence[Place]) -> list[Remembered]:
    """Return what is remembered of each place, in their order."""
    rows = await conn.fetch(
        STANDINGS,
        [each.tenant_id for each in places],
        [each.number_id for each in places],
        [each.address_digest for each in places],
    )
    found: dict[int, Row] = {row["position"]: row for row in rows}
    return [_remembered(found[number]) for number in range(1, len(places) + 1)]


async def begun(conn: Connection, tenant_id: str, business_id: str) -> int:
    """Return with how many people a business began to write in the last 24 hours."""
    row = await conn.fetchrow(BEGUN, tenant_id, business_id)
    return 0 if row is None else int(row["count"])


async def begin(conn: Connection, begun: Sequence[Begun]) -> None:
    """Note that conversations begin now."""
    await conn.execute(
        BEGIN,
        [each.place.tenant_id for each in begun],
        [each.place.number_id for each in begun],
        [each.place.address_digest for each in begun],
        [each.business_id for each in begun],
    )


async def tidy(conn: Connection) -> None:
    """Delete what says nothing any more, some of it at a time."""
    await conn.execute(TIDY_ACQUAINTANCES, TIDIED_ROWS_MAX)
    await conn.execute(TIDY_ALIASES, ALIAS_DAYS)


def _remembered(row: Row) -> Remembered:
    return Remembered(
        heard_at=row["heard_at"],
        begun_at=row["begun_at"],
        law=row["law"],
    )
