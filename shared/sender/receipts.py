"""What came back, understood: stored webhooks become receipts, replies and facts.

In: stored webhooks, from the door and (after a crash, or unmatched) from the table. Out: attempts
raised, facts in the outbox, and every webhook marked with what became of it; one transaction per
batch. A receipt that overtakes our own record of its call waits a moment for it; one that fits no
attempt waits, and is matched again for a quarter of an hour.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from shared.postgres import TRANSIENT_ERRORS, Pool, engine, outbox
from shared.sender.batch_metrics import observe_batch
from shared.sender.channel import Channel, events_in
from shared.sender.pending import UNFINISHED, Pending, Reading
from shared.sender.provider import UnreadableWebhookError, WebhookEvent
from shared.sender.reading import Reader
from shared.sender.rematching import Rematching
from shared.sender.store import outcomes, receipts, unfinished
from shared.sender.store.claims import hot_transaction
from shared.sender.store.receipts import RawReceipt
from shared.sender.webhooks import Arrived
from shared.telemetry import logs, metrics

BATCH_MAX = 500  # webhooks of one transaction
IN_HAND_MAX = 20_000  # some 40 MB; a flood beyond it is taken up from the table
# Under load webhooks are gathered: a batch costs some ten round trips whatever it carries. Facts of
# delivery may come a twentieth of a second later; stops have been obeyed at the door.
LINGER_SECONDS = 0.05
BUSY_WEBHOOKS = 16  # in hand: fewer wait for nobody
IDLE_SECONDS = 0.25  # how often the table and the order to stop are looked at
OVERTAKING_PAUSE_SECONDS = 0.05
REMATCH_SECONDS = 2.0  # how often the table is looked at for webhooks that nobody finished
REMATCH_WINDOW = timedelta(minutes=15)  # then a webhook that fits nothing is left alone
LEFT_BEHIND = timedelta(seconds=10)  # no living process takes so long to understand a webhook
OUTAGE_SECONDS = 0.5

_log = logs.get_logger(__name__)


class Interpreter:
    """The loop that understands webhooks."""

    def __init__(
        self,
        *,
        pool: Pool,
        channel: Channel[Any],
        reader: Reader,
        published: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._reader = reader
        self._published = published
        self._queue: deque[Pending] = deque()
        self._overtaking: list[Pending] = []
        self._in_hand: set[UUID] = set()
        self._came = asyncio.Event()
        self._rematching = Rematching()
        self.interpreted_total = 0

    def take(self, arrived: Arrived) -> None:
        """Take over a webhook that has been stored; beyond the bound it waits in its table."""
        if len(self._in_hand) < IN_HAND_MAX:
            self._add(Pending(arrived=arrived, since=time.monotonic()))

    def pending(self) -> dict[str, int]:
        """Webhooks not understood yet, and unmatched ones that may still find their attempt."""
        return {
            "receipts_uninterpreted": len(self._in_hand),
            "receipts_unmatched": self._rematching.fresh,
        }

    async def run(self, stop: asyncio.Event) -> None:
        """Interpret until `stop`; what is left is in the table for the next process."""
        looked_at = 0.0
        while not stop.is_set() or self._queue:
            try:
                if time.monotonic() - looked_at > REMATCH_SECONDS and not stop.is_set():
                    looked_at = time.monotonic()
                    await self._look_again()
                await self._interpret()
            except TRANSIENT_ERRORS as error:
                metrics.SENDER_DATABASE_FAILURES.inc()
                _log.warning("receipts_postponed", error_type=type(error).__name__)
                if stop.is_set():
                    return
                await asyncio.sleep(OUTAGE_SECONDS)
            await self._rest(busy=len(self._in_hand) >= BUSY_WEBHOOKS)

    def _add(self, pending: Pending) -> None:
        self._in_hand.add(pending.arrived.raw.receipt_id)
        self._queue.append(pending)
        self._came.set()

    async def _rest(self, *, busy: bool) -> None:
        """Wait for more; what overtook our own record goes first again, so that order holds."""
        if busy and len(self._queue) < BATCH_MAX:
            await asyncio.sleep(LINGER_SECONDS)
        if not self._queue:
            self._came.clear()
            with suppress(TimeoutError):
                seconds = OVERTAKING_PAUSE_SECONDS if self._overtaking else IDLE_SECONDS
                await asyncio.wait_for(self._came.wait(), seconds)
        self._queue.extendleft(reversed(self._overtaking))
        self._overtaking = []

    async def _interpret(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))]
        try:
            await self._understand(batch)
        except BaseException:
            left = [each for each in batch if self._is_waiting(each)]
            self._queue.extendleft(reversed(left))
            raise

    def _is_waiting(self, pending: Pending) -> bool:
        return pending.arrived.raw.receipt_id in self._in_hand and pending not in self._overtaking

    async def _understand(self, batch: Sequence[Pending]) -> None:
        """Understand a batch; when it fails by what is in it, find the webhook to blame."""
        if not batch:
            return
        began = time.monotonic()
        try:
            reading = await self._write(batch)
        except TRANSIENT_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, one webhook must not stop them all
            if len(batch) == 1:
                await self._give_up(batch[0], error)
                return
            middle = len(batch) // 2
            await self._understand(batch[:middle])
            await self._understand(batch[middle:])
            return
        observe_batch("interpret", len(batch), began)
        self._done(batch, reading)

    async def _write(self, batch: Sequence[Pending]) -> Reading:
        async with self._pool.acquire() as conn, hot_transaction(conn):
            law, machine = await engine.now(conn)
            reading = Reading(law, machine)
            await self._reader.read(conn, batch, reading)
            marks = marks_of(batch, reading)
            await receipts.raise_attempts(conn, list(reading.raised.values()))
            await outcomes.evidence_came(conn, reading.resolved)
            await receipts.mark(conn, marks)
            await outbox.append(conn, reading.facts)
        return reading

    async def _give_up(self, pending: Pending, error: Exception) -> None:
        """Leave alone a webhook that nobody can understand; it is kept, raw, with that mark."""
        raw = pending.arrived.raw
        async with self._pool.transaction() as conn:
            await receipts.mark(conn, [(raw.receipt_id, raw.received_on, "unreadable")])
        self._in_hand.discard(raw.receipt_id)
        self.interpreted_total += 1
        metrics.SENDER_RECEIPTS.labels("unreadable").inc()
        kind = type(error).__name__
        _log.error("webhook_not_understood", provider=raw.provider, error_type=kind)

    def _done(self, batch: Sequence[Pending], reading: Reading) -> None:
        if reading.facts:
            self._published()
        for each in batch:
            receipt_id = each.arrived.raw.receipt_id
            mark = reading.marks.get(receipt_id, UNFINISHED)
            if mark == UNFINISHED:
                self._overtaking.append(each)
                continue
            self._in_hand.discard(receipt_id)
            self.interpreted_total += 1
            metrics.SENDER_RECEIPTS.labels(mark).inc()
            age = reading.machine - each.arrived.raw.received_at
            metrics.SENDER_RECEIPT_AGE_SECONDS.observe(age.total_seconds())

    async def _look_again(self) -> None:
        """Take up webhooks that a process left behind, and unmatched ones."""
        async with self._pool.acquire() as conn, hot_transaction(conn):
            _, machine = await engine.now(conn)
            left = await unfinished.left_behind(conn, before=machine - LEFT_BEHIND, limit=BATCH_MAX)
            unmatched = await self._rematching.page(conn, machine)
        for found, rematching in ((left, False), (unmatched, True)):
            for raw in found:
                if raw.receipt_id not in self._in_hand:
                    arrived = Arrived(raw=raw, events=self._events(raw))
                    # Others have given up on overtaking calls: only our own record counts now.
                    self._add(Pending(arrived=arrived, since=0.0, rematching=rematching))

    def _events(self, raw: RawReceipt) -> tuple[WebhookEvent, ...]:
        provider = self._channel.providers.get(raw.provider)
        if provider is None:
            return ()
        try:
            return events_in(self._channel, provider, raw.body)
        except UnreadableWebhookError:
            return ()


def marks_of(batch: Sequence[Pending], reading: Reading) -> list[tuple[UUID, Any, str]]:
    """Return what to write on each webhook; unmatched ones are left alone after their time."""
    rows = []
    for pending in batch:
        raw = pending.arrived.raw
        mark = reading.marks.setdefault(raw.receipt_id, "unreadable")
        if mark == "unmatched" and reading.machine - raw.received_at > REMATCH_WINDOW:
            mark = reading.marks[raw.receipt_id] = "never_matched"
            _log.warning("webhook_never_matched", provider=raw.provider)
        if mark != UNFINISHED and not (mark == "unmatched" and pending.rematching):
            rows.append((raw.receipt_id, raw.received_on, mark))
    return rows
