"""Holds that people place and lift, and holds that senders published.

In: the API's requests, and contact.holds.v1. Out: rows of `hold`, published on their own lane. An
emergency stop is a hold of wide scope: everything, a tenant, a portfolio, a channel, a template.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from services.scheduler.policy.drafts import HoldChange
from services.scheduler.store import holds as store
from services.scheduler.store import lifts
from services.scheduler.store.holds import NewHold
from shared.events.envelope import UnreadableEvent, decode
from shared.events.hold import Hold
from shared.events.identities import hold_id, time_ordered_id
from shared.kafka.reader import CompactedReader
from shared.kafka.records import Record
from shared.postgres.connection import Pool
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

HELD = b"hold.changed.v1"
OURS = "scheduler"
OPERATOR = "operator"

log = get_logger(__name__)


class Holds:
    """Places and lifts. `wake` tells the lane's relay to publish at once."""

    def __init__(self, pool: Pool, *, wake: Callable[[], None]) -> None:
        self._pool = pool
        self._wake = wake

    async def place(
        self, *, tenant_id: str, scope: str, subject: str, reason: str, until: datetime | None
    ) -> Hold:
        """Place one hold; each call is a cause of its own, lifted by its own id."""
        new = NewHold(
            hold_id=hold_id(time_ordered_id(), scope, subject),
            tenant_id=tenant_id,
            scope=scope,
            subject=subject,
            reason=reason,
            until=until,
            origin=OPERATOR,
        )
        async with self._pool.transaction() as conn:
            placed = await store.place(conn, [new])
            await lifts.ask(conn, placed[0])  # what people outside have in hand is taken back
        self._wake()
        log.info("place_hold", hold_id=str(new.hold_id), scope=scope, reason=reason)
        return placed[0]

    async def lift(self, *, tenant_id: str, hold_id: UUID, reason: str) -> Hold | None:
        """Lift one hold of this tenant; None when there is none. Lifting twice changes nothing."""
        async with self._pool.transaction() as conn:
            known = await store.find(conn, tenant_id=tenant_id, hold_id=hold_id)
            if known is None:
                return None
            change = HoldChange(
                hold_id=hold_id, state=store.LIFTED, reason=reason, until=known.until
            )
            changed = await store.change(conn, [change])
            for hold in changed:
                await lifts.ask(conn, hold)
        self._wake()
        log.info("lift_hold", hold_id=str(hold_id), scope=known.scope, reason=reason)
        return changed[0] if changed else known

    async def republish(self) -> None:
        """Put every hold on the lane again: the broker lost its log."""
        after: UUID | None = None
        while True:
            async with self._pool.transaction() as conn:
                after = await store.republish(conn, after=after)
            if after is None:
                return

    async def follow(self, reader: CompactedReader) -> None:
        """Take over what senders publish, for ever."""
        async for records in reader.batches():
            holds = [hold for record in records if (hold := _read(record)) is not None]
            if holds:
                await self._learn(holds)

    async def _learn(self, holds: Sequence[Hold]) -> None:
        """Store senders' holds; the reader starts over from its beginning when this fails."""
        async with self._pool.transaction() as conn:
            count = await store.learn(conn, holds)
        if count:
            metrics.HOLDS_LEARNED.inc(count)


def _read(record: Record) -> Hold | None:
    """A sender's hold; None for our own, for marks and for what nobody can read."""
    if record.value is None or record.headers.get("ce_type") != HELD:
        return None
    try:
        hold = decode(record.value, Hold)
    except UnreadableEvent as error:
        metrics.HOLDS_UNREADABLE.inc()
        log.warning("hold_unreadable", error=str(error))
        return None
    return None if hold.origin in (OURS, OPERATOR) else hold
