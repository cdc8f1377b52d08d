"""Open stored entries for a reader: data keys in one query, bodies, rendered texts.

In: a page of entries. Out: their bodies, None where they were erased. A body that does not open
because somebody altered it is a fault worth a loud error: the reader gets it named, not hidden.
"""

from collections.abc import Sequence

from services.contact_ledger.sealing import (
    BodyUnreadable,
    KeyCache,
    KeyWrap,
    SealedBody,
    key_name,
    unseal,
)
from services.contact_ledger.store import keys
from services.contact_ledger.store.history import Entry
from services.contact_ledger.timeline import Line, line
from shared.postgres.connection import Connection
from shared.privacy import SealBroken, Sealer
from shared.telemetry import logs

_log = logs.get_logger(__name__)


class Opener:
    """Opens bodies and texts; shares the recorder's cache of keys."""

    def __init__(self, *, wrap: KeyWrap, cache: KeyCache, texts: Sealer) -> None:
        self._wrap = wrap
        self._cache = cache
        self._texts = texts

    async def lines(self, conn: Connection, entries: Sequence[Entry]) -> list[Line]:
        """Return `entries` as lines of a timeline."""
        names = {key_name(entry.tenant_id, entry.debtor_id) for entry in entries}
        found = await keys.find(conn, self._wrap, [n for n in names if n not in self._cache])
        for name, key in found.items():
            self._cache.put(name, key)
        return [line(entry, self._body(entry), self._text) for entry in entries]

    def _body(self, entry: Entry) -> bytes | None:
        name = key_name(entry.tenant_id, entry.debtor_id)
        if name not in self._cache:
            return None
        sealed = SealedBody(
            tenant_id=entry.tenant_id,
            debtor_id=entry.debtor_id,
            event_id=entry.event_id,
            event_time=entry.event_time,
            type=entry.type,
            sealed=entry.body_sealed,
        )
        try:
            return unseal(sealed, self._cache.get(name))
        except BodyUnreadable:
            _log.error("entry_altered", event_id=str(entry.event_id))
            raise

    def _text(self, sealed: str, context: str) -> str | None:
        try:
            return self._texts.open(sealed, context)
        except SealBroken as error:
            _log.warning("text_not_opened", reason=str(error))
            return None
