"""What came back, understood: stored webhooks become receipts, replies and facts.

In: stored webhooks, from the door and (after a crash, or unmatched) from the table. Out: attempts
raised, facts in the outbox, and every webhook marked with what became of it; one transaction per
batch. A receipt that overtakes our own record of its call waits a moment for it; one that fits no
attempt waits, and is matched again for a quarter of an hour.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from shared.postgres import TRANSIENT_ERRORS, Connection, Pool, engine, outbox
from shared.privacy import Sealer, address_digest, address_subject
from shared.sender import reports
from shared.sender.attempts import State
from shared.sender.batch_metrics import observe_batch
from shared.sender.calling import Call
from shared.sender.channel import Channel
from shared.sender.facts import Fact, Facts, Said
from shared.sender.provider import InboundReply, StatusReceipt, UnreadableWebhookError
from shared.sender.store import outcomes, receipts
from shared.sender.store.claims import hot_transaction
from shared.sender.store.receipts import RawReceipt, StoredAttempt
from shared.sender.webhooks import Arrived
from shared.telemetry import logs, metrics

BATCH_MAX = 500  # webhooks of one transaction
LINGER_SECONDS = 0.01
IDLE_SECONDS = 0.25  # how often the table and the order to stop are looked at
OVERTAKING_SECONDS_MAX = (
    4.0  # a receipt waits so long for our own record of the call; then it counts
)
OVERTAKING_PAUSE_SECONDS = 0.05
REMATCH_SECONDS = 2.0  # how often the table is looked at for webhooks that nobody finished
REMATCH_WINDOW = timedelta(minutes=15)  # then a webhook that fits nothing is left alone
FRESH = timedelta(seconds=5)  # an unmatched webhook counts as pending for so long
LEFT_BEHIND = timedelta(seconds=10)  # no living process takes so long to understand a webhook
REFERENCE_DAYS = 3  # how far back a provider's reference is searched without a callback URL
OUTAGE_SECONDS = 0.5
UNFINISHED = "unfinished"

Key = tuple[UUID, int]

_log = logs.get_logger(__name__)


class Pending(msgspec.Struct, kw_only=True):
    """A webhook in hand; `since` is monotonic seconds."""

    arrived: Arrived
    since: float
    rematching: bool = False


class Interpreter:
    """The loop that understands webhooks."""

    def __init__(
        self,
        *,
        pool: Pool,
        channel: Channel[Any],
        facts: Facts,
        sealer: Sealer,
        address_key: bytes,
        in_flight: Mapping[Key, Call],
        published: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._facts = facts
        self._sealer = sealer
        self._address_key = address_key
        self._in_flight = in_flight
        self._published = published
        self._queue: deque[Pending] = deque()
        self._overtaking: list[Pending] = []
        self._in_hand: set[UUID] = set()
        self._came = asyncio.Event()
        self._unmatched_fresh = 0
        self.interpreted_total = 0

    def take(self, arrived: Arrived) -> None:
        """Take over a webhook that has been stored."""
        self._add(Pending(arrived=arrived, since=time.monotonic()))

    def pending(self) -> dict[str, int]:
        """Webhooks not understood yet, and unmatched ones that may still find their attempt."""
        return {
            "receipts_uninterpreted": len(self._in_hand),
            "receipts_unmatched": self._unmatched_fresh,
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
            await self._rest(busy=bool(self._in_hand))

    def _add(self, pending: Pending) -> None:
        self._in_hand.add(pending.arrived.raw.receipt_id)
        self._queue.append(pending)
        self._came.set()

    async def _rest(self, *, busy: bool) -> None:
        if busy and len(self._queue) < BATCH_MAX:
            await asyncio.sleep(LINGER_SECONDS)  # under load: fewer, larger transactions
        if self._queue:
            return
        self._came.clear()
        with suppress(TimeoutError):
            seconds = OVERTAKING_PAUSE_SECONDS if self._overtaking else IDLE_SECONDS
            await asyncio.wait_for(self._came.wait(), seconds)
        self._queue.extend(self._overtaking)
        self._overtaking = []

    async def _interpret(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))]
        if not batch:
            return
        began = time.monotonic()
        try:
            async with self._pool.acquire() as conn, hot_transaction(conn):
                law, machine = await engine.now(conn)
                reading = _Reading(law, machine)
                await self._read_receipts(conn, batch, reading)
                await self._read_replies(conn, batch, reading)
                marks = self._marks(batch, reading)
                await receipts.raise_attempts(conn, list(reading.raised.values()))
                await outcomes.evidence_came(conn, reading.resolved)
                await receipts.mark(conn, marks)
                await outbox.append(conn, reading.facts)
        except BaseException:
            self._queue.extendleft(reversed(batch))
            raise
        observe_batch("interpret", len(batch), began)
        self._done(batch, reading)

    def _done(self, batch: Sequence[Pending], reading: "_Reading") -> None:
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

    async def _read_receipts(
        self, conn: Connection, batch: Sequence[Pending], reading: "_Reading"
    ) -> None:
        """Apply delivery reports to their attempts, in the order in which they came."""
        named = await self._keys(conn, batch, reading)
        keys = [(contact, n, day) for contact, n, day in named.values()]
        attempts = await receipts.lock_attempts(conn, keys) if keys else {}
        for pending in batch:
            for event in pending.arrived.events:
                if isinstance(event, StatusReceipt):
                    where = named.get((pending.arrived.raw.receipt_id, event.provider_ref))
                    stored = attempts.get((where[0], where[1])) if where else None
                    self._apply(pending, event, stored, reading)

    async def _keys(
        self, conn: Connection, batch: Sequence[Pending], reading: "_Reading"
    ) -> dict[tuple[UUID, str], tuple[UUID, int, Any]]:
        """Return the attempt of each report: from the callback URL, else by the reference."""
        named: dict[tuple[UUID, str], tuple[UUID, int, Any]] = {}
        searched: dict[str, list[tuple[UUID, str]]] = {}
        for pending in batch:
            raw = pending.arrived.raw
            for event in pending.arrived.events:
                if not isinstance(event, StatusReceipt):
                    continue
                if raw.contact_id is not None and raw.n is not None and raw.ends_on is not None:
                    named[raw.receipt_id, event.provider_ref] = (raw.contact_id, raw.n, raw.ends_on)
                else:
                    searched.setdefault(raw.provider, []).append(
                        (raw.receipt_id, event.provider_ref)
                    )
        since = (reading.law - timedelta(days=REFERENCE_DAYS)).date()
        for provider, wanted in searched.items():
            found = await receipts.find_by_reference(
                conn, [reference for _, reference in wanted], provider, since
            )
            named |= {each: found[each[1]] for each in wanted if each[1] in found}
        return named

    def _apply(
        self,
        pending: Pending,
        receipt: StatusReceipt,
        stored: StoredAttempt | None,
        reading: "_Reading",
    ) -> None:
        raw = pending.arrived.raw
        if stored is None or not _belongs(stored, raw):
            reading.marks.setdefault(raw.receipt_id, "unmatched")
            return
        attempt = stored.attempt
        key = (attempt.contact_id, attempt.n)
        if stored.state == State.CLAIMED and _overtakes(pending):
            reading.marks[raw.receipt_id] = UNFINISHED
            return
        was_unknown = stored.state in {State.UNKNOWN, State.UNKNOWN_FINAL}
        effect = reports.apply(stored, receipt, reading.law, reading.machine)
        reading.raised[key] = stored
        if was_unknown:
            reading.resolved.append(key)
        if effect.contradicts:
            metrics.SENDER_CONTRADICTIONS.inc()
            _log.error("evidence_contradicts_record", contact_id=str(attempt.contact_id))
        if effect.accepted:
            call = self._in_flight.get(key)
            reading.facts.append(
                self._facts.attempted(
                    attempt,
                    State.ACCEPTED,
                    law=reading.law,
                    machine=reading.machine,
                    provider_ref=stored.provider_ref,
                    text_sealed=call.candidate.work.text_sealed if call else None,
                )
            )
        if effect.report is not None:
            reading.facts.append(
                self._facts.reported(
                    attempt,
                    effect.report,
                    word=receipt.provider_word,
                    law=reading.law,
                    machine=reading.machine,
                    provider_ref=receipt.provider_ref,
                    provider_at=receipt.provider_at,
                    code=receipt.code,
                    error=receipt.error,
                    late=effect.late,
                )
            )
        if reading.marks.get(raw.receipt_id) != UNFINISHED:
            reading.marks[raw.receipt_id] = effect.mark

    async def _read_replies(
        self, conn: Connection, batch: Sequence[Pending], reading: "_Reading"
    ) -> None:
        """Find the contact that each reply answers, and state what it says."""
        replies = [
            (pending, event)
            for pending in batch
            for event in pending.arrived.events
            if isinstance(event, InboundReply)
        ]
        if not replies:
            return
        answered = await receipts.latest_to_addresses(
            conn,
            [
                (each.arrived.raw.tenant_id, each.arrived.raw.account_id, self._digest(event))
                for each, event in replies
            ],
        )
        for position, (pending, event) in enumerate(replies):
            stored = answered.get(position)
            raw = pending.arrived.raw
            if stored is None:
                reading.marks.setdefault(raw.receipt_id, "unmatched")
                continue
            said = self._said(raw, event, stored, reading.law)
            metrics.SENDER_REPLIES.labels(said.reading.intent).inc()
            reading.facts += self._facts.replied(
                stored.attempt, said, law=reading.law, machine=reading.machine
            )
            reading.marks[raw.receipt_id] = "applied"

    def _said(
        self, raw: RawReceipt, reply: InboundReply, stored: StoredAttempt, law: datetime
    ) -> Said:
        context = str(stored.attempt.contact_id)
        return Said(
            reply_id=raw.receipt_id,
            reading=self._channel.read_reply(reply.text, law.date(), reply.from_address),
            text_sealed=self._sealer.seal(reply.text, context),
            address_subject=address_subject(
                self._address_key, raw.tenant_id, self._channel.name, reply.from_address
            ),
        )

    def _digest(self, reply: InboundReply) -> str:
        return address_digest(self._address_key, self._channel.name, reply.from_address)

    def _marks(self, batch: Sequence[Pending], reading: "_Reading") -> list[tuple[UUID, Any, str]]:
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

    async def _look_again(self) -> None:
        """Take up webhooks that a process left behind, and unmatched ones."""
        async with self._pool.acquire() as conn:
            _, machine = await engine.now(conn)
            found = await receipts.waiting(
                conn,
                unmatched_before=machine - timedelta(seconds=REMATCH_SECONDS),
                left_before=machine - LEFT_BEHIND,
                limit=BATCH_MAX,
            )
        self._unmatched_fresh = sum(
            state == "unmatched" and machine - raw.received_at < FRESH for raw, state in found
        )
        for raw, state in found:
            if raw.receipt_id not in self._in_hand:
                arrived = Arrived(raw=raw, events=self._events(raw))
                # Others have given up on overtaking calls: only our own record counts now.
                self._add(Pending(arrived=arrived, since=0.0, rematching=state == "unmatched"))

    def _events(self, raw: RawReceipt) -> tuple[StatusReceipt | InboundReply, ...]:
        provider = self._channel.providers.get(raw.provider)
        if provider is None:
            return ()
        try:
            return tuple(provider.read_webhook(raw.body))
        except UnreadableWebhookError:
            return ()


class _Reading:
    """What one batch comes to, before it is written."""

    def __init__(self, law: datetime, machine: datetime) -> None:
        self.law = law
        self.machine = machine
        self.raised: dict[Key, StoredAttempt] = {}
        self.resolved: list[Key] = []
        self.facts: list[Fact] = []
        self.marks: dict[UUID, str] = {}


def _belongs(stored: StoredAttempt, raw: RawReceipt) -> bool:
    """Say whether a webhook may speak about an attempt: same tenant, same provider."""
    attempt = stored.attempt
    return attempt.tenant_id == raw.tenant_id and attempt.provider == raw.provider


def _overtakes(pending: Pending) -> bool:
    """Say whether a receipt should wait for our own record of its call."""
    return time.monotonic() - pending.since < OVERTAKING_SECONDS_MAX
