"""Endings: the sweeper, requests to close, and refusals that are due for another try.

In: the database's clocks, close requests, and the retry table. Out: facts, and tasks back in their
lanes. The sweeper never queues anything again: a claim without an outcome becomes unknown, an
unknown past its date becomes final.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from uuid import UUID

from shared.clock import Clock
from shared.events.contact import ContactTask
from shared.events.envelope import decode
from shared.postgres import TRANSIENT_ERRORS, Pool, outbox
from shared.sender import attempts, call_traces
from shared.sender.attempts import Attempt, State, Ticket, Work
from shared.sender.facts import Facts
from shared.sender.lanes import Lanes
from shared.sender.memory import Memory
from shared.sender.recording import Recorder
from shared.sender.store import endings, limits, outcomes, partitions
from shared.sender.store.claims import hot_transaction
from shared.sender.store.endings import Close
from shared.sender.store.receipts import StoredAttempt
from shared.telemetry import logs, metrics

SWEEP_SECONDS = 2.0  # an abandoned claim is at least half a minute old already
GIVE_UP_MAX = 500  # unknown attempts made final in one transaction
# Beyond the longest a live process may take to record an outcome: its call and a slow commit.
ABANDONED_GRACE_SECONDS = 10.0
RETRY_POLL_SECONDS = 0.2  # as long as the shortest wait before another attempt
RETRIES_MAX = 500  # taken up at once
ORPHANED_SECONDS = 10.0  # a retry that its own process has not taken up belongs to anybody
UPKEEP_SECONDS = 60.0
DAYS_AHEAD = 3  # partitions made before they are needed; a claim makes any other by itself
RETRY_PARTITION = ("retry", 0)

_log = logs.get_logger(__name__)


class Sweeper:
    """Turns what nobody will finish into what it is: unknown."""

    def __init__(
        self,
        pool: Pool,
        facts: Facts,
        abandoned_after_seconds: float,
        published: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._facts = facts
        self._abandoned_after_seconds = abandoned_after_seconds
        self._published = published
        self.swept_total = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Sweep every few seconds; one replica at a time."""
        while not stop.is_set():
            try:
                await self.sweep()
            except TRANSIENT_ERRORS as error:
                _log.warning("sweep_postponed", error_type=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Sweep once; return how many attempts changed."""
        async with self._pool.acquire() as conn, hot_transaction(conn):
            if not await endings.sweeping(conn):
                return 0
            abandoned = await endings.sweep(conn, self._abandoned_after_seconds)
            await outcomes.keep_frames(conn, _told(abandoned))
            await outcomes.wait_for_evidence(
                conn,
                [
                    (
                        each.attempt.contact_id,
                        each.attempt.n,
                        each.attempt.ends_on,
                        attempts.resolve_by(each.attempt.not_after),
                    )
                    for each in abandoned
                ],
            )
            final = await endings.give_up(conn, GIVE_UP_MAX)
            facts = [fact for each in (*abandoned, *final) for fact in self._facts.restated(each)]
            await outbox.append(conn, facts)
        if facts:
            self._published()
            _log.warning("attempts_swept", unknown=len(abandoned), unknown_final=len(final))
        metrics.SENDER_SWEPT.labels(State.UNKNOWN.lower()).inc(len(abandoned))
        metrics.SENDER_SWEPT.labels(State.UNKNOWN_FINAL.lower()).inc(len(final))
        self.swept_total += len(facts)
        return len(facts)


def _told(abandoned: Sequence[StoredAttempt]) -> list[Attempt]:
    """Tell of calls that nobody finished; return those whose facts go on in another trace."""
    told = []
    for stored in abandoned:
        before, stored.attempt = stored.attempt, call_traces.abandoned(stored.attempt)
        if stored.attempt is not before:
            told.append(stored.attempt)
    return told


class Closer:
    """Ends contacts that the scheduler asks to end, as far as that is certain."""

    def __init__(
        self, pool: Pool, facts: Facts, owner: UUID, published: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._facts = facts
        self._owner = owner
        self._published = published

    async def close(self, closes: list[Close]) -> None:
        """Tombstone what is open, state again what is final or unknown; one transaction."""
        by_contact = {each.request.contact_id: each for each in closes}
        days = {attempts.ends_on(each.request.permit.not_after) for each in closes}
        async with self._pool.acquire() as conn:
            async with conn.transaction():
                await partitions.ensure(conn, "attempt", days)
            async with hot_transaction(conn):
                stored = await endings.close(conn, list(by_contact.values()), self._owner)
                facts = [fact for each in stored for fact in self._facts.restated(each)]
                await outbox.append(conn, facts)
        self._published()


class Retries:
    """Puts refused tasks back in their lanes when their next attempt is due."""

    def __init__(
        self, pool: Pool, lanes: Lanes, recorder: Recorder, owner: UUID, arrived: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._lanes = lanes
        self._recorder = recorder
        self._owner = owner
        self._arrived = arrived
        self._in_hand: dict[UUID, Ticket] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look for due retries until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
            except TRANSIENT_ERRORS as error:
                _log.warning("retries_postponed", error_type=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_POLL_SECONDS)

    async def look(self) -> None:
        """Take up what is due and not in hand already."""
        async with self._pool.acquire() as conn:
            due = await outcomes.retries_due(
                conn, self._owner, orphaned_after_seconds=ORPHANED_SECONDS, limit=RETRIES_MAX
            )
            self._recorder.retries_waiting = await outcomes.retries_waiting(conn)
        self._in_hand = {key: each for key, each in self._in_hand.items() if not each.settled}
        for row in due:
            if row.contact_id in self._in_hand:
                continue
            ticket = Ticket(RETRY_PARTITION, 0)
            self._in_hand[row.contact_id] = ticket
            self._lanes.add(
                Work(
                    task=decode(row.task, ContactTask),
                    raw=row.task,
                    traceparent=row.traceparent,
                    received_at=time.monotonic(),
                    ticket=ticket,
                    retry=True,
                )
            )
        if due:
            self._arrived()


class Upkeep:
    """Keeps day partitions ahead of both clocks, drops those beyond retention, tidies memories."""

    def __init__(
        self, pool: Pool, clock: Clock, retention: timedelta, memory: Memory | None
    ) -> None:
        self._memory = memory
        self._pool = pool
        self._clock = clock
        self._retention = retention

    async def run(self, stop: asyncio.Event) -> None:
        """Look after the partitions once a minute."""
        while not stop.is_set():
            try:
                await self.once()
            except TRANSIENT_ERRORS as error:
                _log.warning("upkeep_postponed", error_type=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), UPKEEP_SECONDS)

    async def once(self) -> None:
        """Make and drop partitions: attempts by law time, receipts by machine time."""
        for table, now in (
            ("attempt", self._clock.law_now()),
            ("receipt", self._clock.machine_now()),
        ):
            async with self._pool.transaction() as conn:
                await partitions.ensure(conn, table, _ahead(now))
            async with self._pool.transaction() as conn:
                await conn.execute("SET LOCAL lock_timeout = '1s'")
                await partitions.drop_before(conn, table, (now - self._retention).date())
        async with self._pool.transaction() as conn:
            await limits.tidy(conn)
            if self._memory is not None:
                await self._memory.tidy(conn)


def _ahead(now: datetime) -> list[date]:
    return [(now + timedelta(days=number)).date() for number in range(-1, DAYS_AHEAD + 1)]
