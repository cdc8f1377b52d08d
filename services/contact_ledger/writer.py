"""Write a batch of facts: sealed entries, and the projections of those that are new.

In: facts, inside the caller's transaction. Out: `Written`: what was new, to be reported, and the
keys that were made, to be remembered, once the transaction is committed. Used by the recorder
(events) and the hold recorder (holds), so that both keep the same promises.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from services.contact_ledger.facts import Fact
from services.contact_ledger.lookups import lookups_of
from services.contact_ledger.projections import fold
from services.contact_ledger.sealing import KeyCache, KeyName, KeyWrap, key_name, seal
from services.contact_ledger.store import entries, keys, lookups, months, projections
from services.contact_ledger.store.projections import Alarm
from shared.postgres.connection import Connection, Pool
from shared.privacy import Keyring


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch added; `keys` are to be remembered after the commit."""

    facts: list[Fact]
    known: int
    alarms: list[Alarm]
    keys: dict[KeyName, bytes | None]


class Writer:
    """Seals and stores facts; one per process."""

    def __init__(self, *, wrap: KeyWrap, keyring: Keyring, cache: KeyCache) -> None:
        self._wrap = wrap
        self._keyring = keyring
        self._cache = cache
        self._months: set[date] = set()

    async def prepare(self, pool: Pool, facts: Iterable[Fact]) -> list[date]:
        """Make the months that `facts` need, outside their transaction; return the new ones."""
        wanted = {months.month_of(fact.event_time) for fact in facts} - self._months
        if not wanted:
            return []
        async with pool.acquire() as conn:
            made = await months.make(conn, wanted)
        self._months |= wanted
        return made

    async def write(self, conn: Connection, facts: Sequence[Fact]) -> Written:
        """Append `facts` and project those that are new."""
        if not facts:
            return Written(facts=[], known=0, alarms=[], keys={})
        made = await self._keys_for(conn, facts)
        bodies = [seal(fact, self._key(fact, made)) for fact in facts]
        added = await entries.append(conn, facts, bodies)
        new = [fact for i, fact in enumerate(facts) if i in added]
        alarms: list[Alarm] = []
        if new:
            await lookups.add(conn, lookups_of(self._keyring, new))
            alarms = await projections.apply(conn, fold(new))
        return Written(facts=new, known=len(facts) - len(new), alarms=alarms, keys=made)

    def remember(self, written: Written) -> None:
        """Keep the keys of a committed batch."""
        for name, key in written.keys.items():
            self._cache.put(name, key)

    async def _keys_for(
        self, conn: Connection, facts: Sequence[Fact]
    ) -> dict[KeyName, bytes | None]:
        names = {key_name(fact.tenant_id, fact.debtor_id) for fact in facts}
        unknown = [name for name in names if name not in self._cache]
        return await keys.find_or_make(conn, self._wrap, unknown) if unknown else {}

    def _key(self, fact: Fact, made: dict[KeyName, bytes | None]) -> bytes | None:
        name = key_name(fact.tenant_id, fact.debtor_id)
        return made[name] if name in made else self._cache.get(name)
