"""Reading a batch of webhooks: which attempts they speak of, and what follows.

In: webhooks in hand, and a transaction. Out: a `Reading`: attempts raised (locked in key order),
facts, and a mark per webhook. Nothing is written here but locks taken; `receipts` writes.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from shared.events.states import ContactState
from shared.postgres import Connection
from shared.sender import reports
from shared.sender.attempts import Attempt, State
from shared.sender.callbacks import Callbacks
from shared.sender.calling import Call
from shared.sender.facts import Facts
from shared.sender.memory import Named
from shared.sender.pending import UNFINISHED, Key, Pending, Place, Reading, belongs
from shared.sender.people import People
from shared.sender.provider import Notice, StatusReceipt
from shared.sender.reply_reading import ReplyReader
from shared.sender.reports import Effect
from shared.sender.store import receipts
from shared.sender.store.receipts import RawReceipt, StoredAttempt
from shared.sender.task_traces import received
from shared.telemetry import logs, metrics

# How long a receipt waits for our own record of its call; then it counts by itself.
OVERTAKING_SECONDS_MAX = 4.0
REFERENCE_DAYS = 3  # how far back a provider's reference is searched without a callback URL

_log = logs.get_logger(__name__)


class Reader:
    """Understands webhooks of one channel."""

    def __init__(
        self,
        *,
        facts: Facts,
        people: People,
        replies: ReplyReader,
        in_flight: Mapping[Key, Call],
        callbacks: Callbacks,
    ) -> None:
        self._callbacks = callbacks
        self._facts = facts
        self._people = people
        self._replies = replies
        self._in_flight = in_flight

    async def read(self, conn: Connection, batch: Sequence[Pending], reading: Reading) -> None:
        """Read a batch into `reading`: receipts first, then replies, then notices."""
        await self._read_receipts(conn, batch, reading)
        await self._replies.read(conn, batch, reading)
        await self._people.learn(conn, reading.named)
        _read_notices(batch, reading)

    async def _read_receipts(
        self, conn: Connection, batch: Sequence[Pending], reading: Reading
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
        self, conn: Connection, batch: Sequence[Pending], reading: Reading
    ) -> dict[tuple[UUID, str], Place]:
        """Return the attempt of each report: from callback URL or reference, else searched for."""
        named: dict[tuple[UUID, str], Place] = {}
        searched: dict[str, list[tuple[UUID, str]]] = {}
        for pending in batch:
            raw = pending.arrived.raw
            for event in pending.arrived.events:
                if not isinstance(event, StatusReceipt):
                    continue
                place = self._named(raw, event)
                if place is not None:
                    named[raw.receipt_id, event.provider_ref] = place
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

    def _named(self, raw: RawReceipt, event: StatusReceipt) -> Place | None:
        """Return the attempt that a report names itself, by its URL or by our reference in it."""
        if raw.contact_id is not None and raw.n is not None and raw.ends_on is not None:
            return raw.contact_id, raw.n, raw.ends_on
        if event.our_reference is None:
            return None
        read = self._callbacks.read_reference(raw.tenant_id, raw.account_id, event.our_reference)
        return None if read is None else (read.contact_id, read.n, read.ends_on)

    def _apply(
        self,
        pending: Pending,
        receipt: StatusReceipt,
        stored: StoredAttempt | None,
        reading: Reading,
    ) -> None:
        raw = pending.arrived.raw
        if stored is None or not belongs(stored, raw):
            reading.marks.setdefault(raw.receipt_id, "unmatched")
            return
        attempt = stored.attempt
        key = (attempt.contact_id, attempt.n)
        if stored.state == State.CLAIMED and _overtakes(pending):
            reading.marks[raw.receipt_id] = UNFINISHED
            return
        if stored.state in {State.UNKNOWN, State.UNKNOWN_FINAL}:
            reading.resolved.append(key)
        if receipt.other_addresses:
            others = self._people.digests(receipt)
            named = Named(
                tenant_id=raw.tenant_id, address_digest=stored.address_digest, others=others
            )
            reading.named.append(named)
        effect = reports.apply(stored, receipt, reading.law, reading.machine)
        reading.raised[key] = stored
        came = received(
            attempt,
            "receipt",
            raw.received_at,
            pending.arrived.traceparent,
            word=receipt.state.name.lower() if receipt.state is not None else "unknown",
            error=receipt.error,
        )
        self._state(stored, came, receipt, effect, reading)
        if reading.marks.get(raw.receipt_id) != UNFINISHED:
            reading.marks[raw.receipt_id] = effect.mark

    def _state(
        self,
        stored: StoredAttempt,
        attempt: Attempt,
        receipt: StatusReceipt,
        effect: Effect,
        reading: Reading,
    ) -> None:
        """State what a report proves: acceptance first, then the report itself."""
        law, machine = reading.law, reading.machine
        if effect.contradicts:
            metrics.SENDER_CONTRADICTIONS.inc()
            _log.error("evidence_contradicts_record", contact_id=str(attempt.contact_id))
        if effect.accepted:
            call = self._in_flight.get((attempt.contact_id, attempt.n))
            reading.facts.append(
                self._facts.attempted(
                    attempt,
                    State.ACCEPTED,
                    law=law,
                    machine=machine,
                    provider_ref=stored.provider_ref,
                    text_sealed=call.candidate.work.text_sealed if call else None,
                )
            )
        stated: list[ContactState | None] = [effect.report] if effect.report is not None else []
        if receipt.complained_by is not None:
            stated.append(None)
        for report in stated:
            reading.facts.append(
                self._facts.reported(
                    attempt,
                    report,
                    receipt,
                    law=law,
                    machine=machine,
                    late=effect.late,
                )
            )


def _read_notices(batch: Sequence[Pending], reading: Reading) -> None:
    """Tell operators what providers say of accounts: quality, limits, templates."""
    for pending in batch:
        raw = pending.arrived.raw
        for event in pending.arrived.events:
            if isinstance(event, Notice):
                reading.marks.setdefault(raw.receipt_id, "applied")
                metrics.SENDER_NOTICES.labels(raw.provider, event.what).inc()
                _log.warning(
                    "provider_notice",
                    provider=raw.provider,
                    account_id=raw.account_id,
                    what=event.what,
                    level=event.level,
                )


def _overtakes(pending: Pending) -> bool:
    """Say whether a receipt should wait for our own record of its call."""
    return time.monotonic() - pending.since < OVERTAKING_SECONDS_MAX
