"""Reading a batch of webhooks: which attempts they speak of, and what follows.

In: webhooks in hand, and a transaction. Out: a `Reading`: attempts raised (locked in key order),
facts, and a mark per webhook. Nothing is written here but locks taken; `receipts` writes.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from shared.events.states import ContactState
from shared.postgres import Connection
from shared.privacy import Sealer, address_digest, address_subject
from shared.sender import reports
from shared.sender.attempts import Attempt, State
from shared.sender.callbacks import Callbacks
from shared.sender.calling import Call
from shared.sender.channel import Channel
from shared.sender.facts import Fact, Facts, Said
from shared.sender.provider import InboundReply, StatusReceipt
from shared.sender.reports import Effect
from shared.sender.store import receipts
from shared.sender.store.receipts import RawReceipt, StoredAttempt
from shared.sender.task_traces import received
from shared.sender.webhooks import Arrived
from shared.telemetry import logs, metrics

# How long a receipt waits for our own record of its call; then it counts by itself.
OVERTAKING_SECONDS_MAX = 4.0
REFERENCE_DAYS = 3  # how far back a provider's reference is searched without a callback URL
UNFINISHED = "unfinished"

Key = tuple[UUID, int]
Place = tuple[UUID, int, date]

_log = logs.get_logger(__name__)


class Pending(msgspec.Struct, kw_only=True):
    """A webhook in hand; `since` is monotonic seconds."""

    arrived: Arrived
    since: float
    rematching: bool = False


class Reading:
    """What one batch comes to, before it is written; times are the transaction's."""

    def __init__(self, law: datetime, machine: datetime) -> None:
        self.law = law
        self.machine = machine
        self.raised: dict[Key, StoredAttempt] = {}
        self.resolved: list[Key] = []
        self.facts: list[Fact] = []
        self.marks: dict[UUID, str] = {}


class Reader:
    """Understands webhooks of one channel."""

    def __init__(
        self,
        *,
        channel: Channel[Any],
        facts: Facts,
        sealer: Sealer,
        address_key: bytes,
        in_flight: Mapping[Key, Call],
        callbacks: Callbacks,
    ) -> None:
        self._callbacks = callbacks
        self._channel = channel
        self._facts = facts
        self._sealer = sealer
        self._address_key = address_key
        self._in_flight = in_flight

    async def read(self, conn: Connection, batch: Sequence[Pending], reading: Reading) -> None:
        """Read a batch into `reading`: receipts first, then replies."""
        await self._read_receipts(conn, batch, reading)
        await self._read_replies(conn, batch, reading)

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
        if stored is None or not _belongs(stored, raw):
            reading.marks.setdefault(raw.receipt_id, "unmatched")
            return
        attempt = stored.attempt
        key = (attempt.contact_id, attempt.n)
        if stored.state == State.CLAIMED and _overtakes(pending):
            reading.marks[raw.receipt_id] = UNFINISHED
            return
        if stored.state in {State.UNKNOWN, State.UNKNOWN_FINAL}:
            reading.resolved.append(key)
        effect = reports.apply(stored, receipt, reading.law, reading.machine)
        reading.raised[key] = stored
        came = received(
            attempt,
            "receipt",
            raw.received_at,
            pending.arrived.traceparent,
            word=receipt.state.name.lower() if receipt.state is not None else "unknown",
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
                    word=receipt.provider_word,
                    law=law,
                    machine=machine,
                    provider_ref=receipt.provider_ref,
                    provider_at=receipt.provider_at,
                    code=receipt.code,
                    error=receipt.error,
                    late=effect.late,
                )
            )

    async def _read_replies(
        self, conn: Connection, batch: Sequence[Pending], reading: Reading
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
            came = received(
                stored.attempt,
                "reply",
                raw.received_at,
                pending.arrived.traceparent,
                word=said.reading.intent,
            )
            reading.facts += self._facts.replied(
                came, said, law=reading.law, machine=reading.machine
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


def _belongs(stored: StoredAttempt, raw: RawReceipt) -> bool:
    """Say whether a webhook may speak about an attempt: same tenant, same provider."""
    attempt = stored.attempt
    return attempt.tenant_id == raw.tenant_id and attempt.provider == raw.provider


def _overtakes(pending: Pending) -> bool:
    """Say whether a receipt should wait for our own record of its call."""
    return time.monotonic() - pending.since < OVERTAKING_SECONDS_MAX
