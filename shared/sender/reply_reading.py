"""Reading replies: the contact that each one answers, and what it says.

In: replies among webhooks in hand, and a transaction. Out: facts and marks in a `Reading`. A reply
that names its contact (a pressed button, a quoted message) answers that one; any other answers the
latest contact that may have reached one of the writer's addresses.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.events.hold import subject_of
from shared.postgres import Connection
from shared.privacy import Sealer
from shared.sender.buttons import reading_of
from shared.sender.callbacks import Callbacks
from shared.sender.channel import Channel
from shared.sender.facts import Facts, Said
from shared.sender.memory import Named
from shared.sender.pending import Pending, Reading, belongs
from shared.sender.people import People
from shared.sender.provider import InboundReply
from shared.sender.store import receipts
from shared.sender.store.receipts import RawReceipt, StoredAttempt
from shared.sender.task_traces import received
from shared.telemetry import metrics

QUOTED_DAYS = 30  # how far back a quoted message is searched: people scroll up


class _Case(msgspec.Struct):
    """One reply with the names of who wrote it."""

    pending: Pending
    reply: InboundReply
    digests: tuple[str, ...]


class ReplyReader:
    """Understands the replies of one channel."""

    def __init__(
        self,
        *,
        channel: Channel[Any],
        facts: Facts,
        sealer: Sealer,
        people: People,
        callbacks: Callbacks,
    ) -> None:
        self._channel = channel
        self._facts = facts
        self._sealer = sealer
        self._people = people
        self._callbacks = callbacks

    async def read(self, conn: Connection, batch: Sequence[Pending], reading: Reading) -> None:
        """Find the contact that each reply answers, and state what it says."""
        cases = [
            _Case(pending, event, self._people.digests(event))
            for pending in batch
            for event in pending.arrived.events
            if isinstance(event, InboundReply)
        ]
        if not cases:
            return
        answered = await self._named(conn, cases, reading.law)
        answered = await self._latest(conn, cases, answered)
        for position, case in enumerate(cases):
            stored = answered.get(position)
            if stored is None:
                reading.marks.setdefault(case.pending.arrived.raw.receipt_id, "unmatched")
            else:
                self._state(case, stored, reading)

    async def _named(
        self, conn: Connection, cases: Sequence[_Case], law: datetime
    ) -> dict[int, StoredAttempt]:
        """Return the attempts that replies name themselves: by our reference, or as quoted."""
        places: dict[int, receipts.Place] = {}
        quoted: dict[str, list[tuple[int, str]]] = {}
        for position, case in enumerate(cases):
            raw, reply = case.pending.arrived.raw, case.reply
            ours = (
                self._callbacks.read_reference(raw.tenant_id, raw.account_id, reply.our_reference)
                if reply.our_reference is not None
                else None
            )
            if ours is not None:
                places[position] = (ours.contact_id, ours.n, ours.ends_on)
            elif reply.answers is not None:
                quoted.setdefault(raw.provider, []).append((position, reply.answers))
        since = (law - timedelta(days=QUOTED_DAYS)).date()
        for provider, wanted in quoted.items():
            found = await receipts.find_by_reference(
                conn, [reference for _, reference in wanted], provider, since
            )
            places |= {at: found[reference] for at, reference in wanted if reference in found}
        if not places:
            return {}
        stored = await receipts.attempts_at(conn, list(places.values()))
        return {
            position: attempt
            for position, (contact, n, _) in places.items()
            if (attempt := stored.get((contact, n))) is not None
            and belongs(attempt, cases[position].pending.arrived.raw)
        }

    async def _latest(
        self, conn: Connection, cases: Sequence[_Case], answered: dict[int, StoredAttempt]
    ) -> dict[int, StoredAttempt]:
        """Add, for replies that name nothing, the latest contact to one of the writer's addresses.

        The names that the reply itself carries come first, then those that lead to others.
        """
        unnamed = [position for position in range(len(cases)) if position not in answered]
        found = answered | await self._latest_to(
            conn, [(at, cases[at], cases[at].digests) for at in unnamed]
        )
        aliased = []
        for position in unnamed:
            if position not in found:
                case = cases[position]
                tenant_id = case.pending.arrived.raw.tenant_id
                known = await self._people.known_as(conn, tenant_id, case.digests)
                aliased.append((position, case, known))
        return found | await self._latest_to(conn, aliased)

    async def _latest_to(
        self, conn: Connection, wanted: Sequence[tuple[int, _Case, Sequence[str]]]
    ) -> dict[int, StoredAttempt]:
        asked = [
            (position, (raw.tenant_id, raw.account_id, digest))
            for position, case, digests in wanted
            for raw in (case.pending.arrived.raw,)
            for digest in digests
        ]
        if not asked:
            return {}
        rows = await receipts.latest_to_addresses(conn, [each for _, each in asked])
        found: dict[int, StoredAttempt] = {}
        for number, (position, _) in enumerate(asked):
            if number in rows:
                found.setdefault(position, rows[number])
        return found

    def _state(self, case: _Case, stored: StoredAttempt, reading: Reading) -> None:
        raw = case.pending.arrived.raw
        said = self._said(raw, case.reply, stored, reading.law)
        metrics.SENDER_REPLIES.labels(said.reading.intent).inc()
        came = received(
            stored.attempt,
            "reply",
            raw.received_at,
            case.pending.arrived.traceparent,
            word=said.reading.intent,
        )
        reading.facts += self._facts.replied(came, said, law=reading.law, machine=reading.machine)
        reading.marks[raw.receipt_id] = "applied"
        others = tuple(each for each in case.digests if each != stored.address_digest)
        if others:
            reading.named.append(
                Named(tenant_id=raw.tenant_id, address_digest=stored.address_digest, others=others)
            )

    def _said(
        self, raw: RawReceipt, reply: InboundReply, stored: StoredAttempt, law: datetime
    ) -> Said:
        words = self._channel.read_reply(reply.text, law.date(), reply.from_address)
        # The subject is that of the address we wrote to: the person may answer under another name.
        name = f"{self._channel.name}:{stored.address_digest}"
        return Said(
            reply_id=raw.receipt_id,
            reading=reading_of(reply.button) or words,
            text_sealed=self._sealer.seal(reply.text, str(stored.attempt.contact_id)),
            address_subject=subject_of("address", raw.tenant_id, name),
        )
