"""Record every version of every hold: what was paused, why, since when, until when.

In: contact.holds.v1, read whole at each start and followed from there. Out: entries, once per
version. Holds travel on a lane of their own and may come before the debt they name; such an entry
carries the debt alone, and the history of its debtor finds it by that.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from services.contact_ledger.facts import Fact
from services.contact_ledger.store import holds as store
from services.contact_ledger.store.failures import UNSTORABLE_ERRORS
from services.contact_ledger.writer import Writer
from shared.events.envelope import Envelope, UnreadableEvent, decode
from shared.events.hold import COMPLETE_THROUGH_KEY, Hold
from shared.events.identities import fact_id
from shared.kafka.reader import CompactedReader
from shared.kafka.records import Record
from shared.postgres.connection import TRANSIENT_ERRORS, Pool
from shared.telemetry import logs, metrics

HOLD_CHANGED = "hold.changed.v1"
RETRY_SECONDS = 1.0

_log = logs.get_logger(__name__)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a hold as it arrived."""

    hold: Hold
    envelope: Envelope
    published: datetime


class HoldRecorder:
    """The loop that records holds. Every replica may run it: a version is recorded once."""

    def __init__(self, *, pool: Pool, reader: CompactedReader, writer: Writer) -> None:
        self._pool = pool
        self._reader = reader
        self._writer = writer
        self.entries_total = 0

    @property
    def caught_up(self) -> bool:
        """Whether all that was on the lane at the start is recorded."""
        return self._reader.caught_up.is_set()

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end_reading(stop, self._reader))
            async for records in self._reader.batches():
                changed = [change for record in records if (change := _read(record)) is not None]
                if changed:
                    await self._record(changed, stop)
            ending.cancel()

    async def _record(self, changed: Sequence[Changed], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._write(changed)
            except TRANSIENT_ERRORS as error:
                _log.warning("holds_failed", error_type=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            except UNSTORABLE_ERRORS as error:
                _log.error("holds_unstorable", error_type=type(error).__name__)
                await self._one_by_one(changed)
                return
            else:
                return

    async def _one_by_one(self, changed: Sequence[Changed]) -> None:
        """Find the hold that no column can hold, and pass it over."""
        for change in changed:
            try:
                await self._write([change])
            except UNSTORABLE_ERRORS:
                metrics.LEDGER_HOLDS_UNREADABLE.inc()

    async def _write(self, changed: Sequence[Changed]) -> None:
        async with self._pool.acquire() as conn:
            debts = [name for change in changed if (name := _debt_of(change.hold)) is not None]
            debtors = await store.debtors_of(conn, debts) if debts else {}
            facts = {
                (change.hold.hold_id, change.hold.version): _fact(change, debtors)
                for change in changed
            }
        await self._writer.prepare(self._pool, facts.values())
        async with self._pool.acquire() as conn, conn.transaction():
            new = await store.add(conn, [change.hold for change in changed])
            written = await self._writer.write(
                conn, [fact for version, fact in facts.items() if version in new]
            )
        self._writer.remember(written)
        self.entries_total += len(written.facts)
        metrics.LEDGER_ENTRIES.inc(len(written.facts))


async def end_reading(stop: asyncio.Event, reader: CompactedReader) -> None:
    """Let `reader` end once `stop` is set."""
    await stop.wait()
    await reader.stop()


def _read(record: Record) -> Changed | None:
    if record.value is None or (record.key or "").startswith(COMPLETE_THROUGH_KEY):
        return None
    try:
        envelope = Envelope.from_record(record.headers, record.value)
        if envelope.type != HOLD_CHANGED:
            return None
        hold = decode(envelope.data, Hold)
    except UnreadableEvent as error:
        metrics.LEDGER_HOLDS_UNREADABLE.inc()
        _log.error("hold_unreadable", reason=str(error))
        return None
    published = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return Changed(hold=hold, envelope=envelope, published=published)


def _fact(change: Changed, debtors: Mapping[tuple[str, UUID], UUID]) -> Fact:
    hold = change.hold
    debt = _debt_of(hold)
    debtor_id = _id_in(hold) if hold.scope == "debtor" else None
    if debt is not None:
        debtor_id = debtors.get(debt)
    return Fact(
        # Not the envelope's: a hold that is published again must stay the same entry.
        event_id=fact_id(hold.hold_id, HOLD_CHANGED, str(hold.version)),
        event_time=change.envelope.time,
        type=HOLD_CHANGED,
        source=change.envelope.source,
        tenant_id=hold.tenant_id,
        debtor_id=debtor_id,
        debt_id=debt[1] if debt is not None else None,
        contact_id=None,
        attempt_id=None,
        portfolio_id=_name_in(hold) if hold.scope == "portfolio" else None,
        channel=_name_in(hold) if hold.scope == "channel" else None,
        state=None,
        rules=(hold.reason,),
        at=change.envelope.time,
        machine_at=hold.lifted_at or hold.placed_at if hold.version == 1 else change.published,
        body=change.envelope.data,
        data=hold,
    )


def _name_in(hold: Hold) -> str:
    """Return what the subject names: `scope:tenant:name`."""
    return hold.subject.split(":", 2)[-1]


def _id_in(hold: Hold) -> UUID | None:
    try:
        return UUID(_name_in(hold))
    except ValueError:
        return None


def _debt_of(hold: Hold) -> tuple[str, UUID] | None:
    debt_id = _id_in(hold) if hold.scope == "debt" else None
    return None if debt_id is None else (hold.tenant_id, debt_id)
