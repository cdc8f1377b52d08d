"""Stop means stop: the holds lane, kept in this sender's table and, for a minute, in memory.

In: contact.holds.v1 (all partitions, by assignment) and opt-outs from this sender's own webhooks.
Out: `current` (may this sender claim at all), and `stopping` (is this task held by something newer
than its claim). A hold enters memory before the table: whichever a call meets last, it is seen.
"""

import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from shared.clock import Clock
from shared.events.contact import ContactTask
from shared.events.envelope import Envelope, UnreadableEvent, decode
from shared.events.hold import CompleteThrough, Hold
from shared.kafka.reader import CompactedReader
from shared.kafka.records import Record
from shared.postgres import Pool
from shared.sender.store import holds as store
from shared.telemetry import logs, metrics

FEED_AGE_MAX = timedelta(seconds=3)  # promise P5: a sender further behind claims nothing
RECENT_SECONDS = 60.0  # a call begins within 1 s of its claim: only newer holds must be looked up
HOLD_CHANGED = "hold.changed.v1"
COMPLETE_THROUGH = "hold.complete_through.v1"

_log = logs.get_logger(__name__)


class Holds:
    """What this process knows of holds."""

    def __init__(self, pool: Pool, clock: Clock, reader: CompactedReader) -> None:
        self._pool = pool
        self._clock = clock
        self._reader = reader
        self._recent: dict[str, dict[bytes, tuple[float, Hold]]] = {}
        self._arrived: deque[tuple[float, str, bytes]] = deque()
        self._complete: dict[int, datetime] = {}

    async def follow(self) -> None:
        """Keep up with the lane for ever."""
        async for records in self._reader.batches():
            await self.take(records)

    async def take(self, records: Iterable[Record]) -> None:
        """Apply one batch: memory, then the table, and only then the marks."""
        holds: list[Hold] = []
        marks: dict[int, datetime] = {}
        for record in records:
            if record.value is None:
                continue
            try:
                event = Envelope.from_record(record.headers, record.value)
                if event.type == HOLD_CHANGED:
                    holds.append(decode(event.data, Hold))
                elif event.type == COMPLETE_THROUGH:
                    marks[record.partition] = decode(event.data, CompleteThrough).at
            except UnreadableEvent as error:
                metrics.SENDER_HOLDS_UNREADABLE.inc()
                _log.error("hold_unreadable", error=str(error), partition=record.partition)
        if holds:
            self.remember(holds)
            async with self._pool.transaction() as conn:
                await store.upsert(conn, holds)
        for partition, at in marks.items():
            self._complete[partition] = max(at, self._complete.get(partition, at))

    def remember(self, holds: Iterable[Hold]) -> None:
        """Obey these at once, in memory."""
        now = time.monotonic()
        for hold in holds:
            by_id = self._recent.setdefault(hold.subject, {})
            known = by_id.get(hold.hold_id.bytes)
            if known is not None and known[1].version >= hold.version:
                continue
            by_id[hold.hold_id.bytes] = (now, hold)
            self._arrived.append((now, hold.subject, hold.hold_id.bytes))
        self._forget(now - RECENT_SECONDS)

    def age(self) -> timedelta | None:
        """Return how far the oldest partition of the feed is behind; None before its first mark."""
        partitions = self._reader.partitions
        if partitions == 0 or len(self._complete) < partitions:
            return None
        return max(timedelta(), self._clock.machine_now() - min(self._complete.values()))

    def current(self) -> bool:
        """Say whether this sender may claim: every partition is at most 3 s behind."""
        age = self.age()
        metrics.SENDER_HOLDS_AGE_SECONDS.set(-1 if age is None else age.total_seconds())
        return age is not None and age <= FEED_AGE_MAX

    def stopping(self, task: ContactTask, law: datetime) -> Hold | None:
        """Return a recent hold that forbids this task now, if any."""
        if not self._recent:
            return None
        for subject in task.subjects:
            for _, hold in self._recent.get(subject, {}).values():
                if forbids(hold, task.permit.issued_at, law):
                    return hold
        return None

    def _forget(self, before: float) -> None:
        while self._arrived and self._arrived[0][0] < before:
            arrived_at, subject, hold_id = self._arrived.popleft()
            by_id = self._recent.get(subject, {})
            known = by_id.get(hold_id)
            if known is not None and known[0] == arrived_at:
                del by_id[hold_id]
                if not by_id:
                    del self._recent[subject]


def forbids(hold: Hold, issued_at: datetime, law: datetime) -> bool:
    """Say whether a hold forbids a task permitted at `issued_at` (machine time), at `law` time.

    The claim statement says the same in SQL. A hold that was lifted, or ended, after the permit
    was issued still forbids it: what was planned before the pause is planned anew.
    """
    if hold.state == "active":
        if hold.until is None or hold.until > law:
            return True
        return hold.placed_at > issued_at
    return hold.lifted_at is not None and hold.lifted_at > issued_at
