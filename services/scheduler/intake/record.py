"""Recording: everything one request changes, in one transaction.

In: drafts of one request, or of a group of single posts (any tenants). Out: one outcome per draft,
and rows: identities, events seen, outbox, holds on their lane, parked events, work items. The
first write locks the debt references in sorted order, so that a payment never stays parked behind
a registration it did not see. A lost race (same new person, same event elsewhere) starts over.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from services.scheduler.intake.draft import Draft
from services.scheduler.intake.refusal import conflict
from services.scheduler.intake.resolve import Accepted, Parked, Resolver
from services.scheduler.intake.transaction import Intake, Raced
from shared.events.topics import DEBT_EVENTS
from shared.http.problems import Problem
from shared.postgres.connection import TRANSIENT_ERRORS, Connection, Pool
from shared.privacy import Keyring
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger
from shared.telemetry.messaging import Traceparents, message_spans

TRIES_MAX = 5  # a race is lost to somebody who then has committed: more than twice is a storm
RETRY_SECONDS = 0.01
UNAVAILABLE = 503

log = get_logger(__name__)
RETRIED: tuple[type[Exception], ...] = (Raced, *TRANSIENT_ERRORS)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one draft: `status` is accepted, duplicate, parked or refused."""

    status: str
    event_id: UUID
    problem: Problem | None = None


Finish = Callable[[Connection, list[Outcome]], Awaitable[None]]


class Recorder:
    """Writes drafts; one per process. `wake` tells the relays to look at once."""

    def __init__(
        self, pool: Pool, *, keyring: Keyring, address_key: bytes, wake: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._address_key = address_key
        self._wake = wake
        self.accepted_total = 0

    async def record(
        self, drafts: Sequence[Draft], finish: Finish | None = None, cause: str | None = None
    ) -> list[Outcome]:
        """Record drafts; `finish` joins the same transaction. Raise 503 when the database is away.

        The answer is given only after the commit: what is answered is never lost. `cause` is the
        trace of the one request that brought them all.
        """
        for attempt in range(1, TRIES_MAX + 1):
            try:
                outcomes = await self._once(drafts, finish, cause)
            except RETRIED as error:
                metrics.INTAKE_RETRIES.inc()
                if attempt == TRIES_MAX or isinstance(error, OSError):
                    raise _unavailable() from error
                await asyncio.sleep(RETRY_SECONDS * attempt * random.random())  # noqa: S311
                continue
            self._count(outcomes)
            return outcomes
        raise _unavailable()

    async def _once(
        self, drafts: Sequence[Draft], finish: Finish | None, cause: str | None
    ) -> list[Outcome]:
        traces = [draft.traceparent for draft in drafts]
        with message_spans("create", DEBT_EVENTS.name, traces, cause=cause) as going_on:
            outcomes = await self._transaction(_traced(drafts, traces, going_on), finish)
        self._wake()
        return outcomes

    async def _transaction(self, drafts: Sequence[Draft], finish: Finish | None) -> list[Outcome]:
        async with self._pool.transaction() as conn:
            intake = Intake(conn, keyring=self._keyring, address_key=self._address_key)
            resolver, seen = await intake.read(drafts)
            outcomes, accepted, parked = _decide(drafts, resolver, seen)
            await intake.write(resolver, accepted, parked)
            if finish is not None:
                await finish(conn, outcomes)
        return outcomes

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        counts = Counter(outcome.status for outcome in outcomes)
        for status, count in counts.items():
            metrics.INTAKE_EVENTS.labels(status).inc(count)
        self.accepted_total += counts["accepted"] + counts["parked"]
        log.info("record_events", **counts)


def _traced(
    drafts: Sequence[Draft], given: Traceparents, going_on: Traceparents
) -> Sequence[Draft]:
    """Return the drafts with the traces they go on with: the same ones unless one is sampled."""
    if going_on is given:
        return drafts
    return [
        draft
        if draft.traceparent == trace
        else msgspec.structs.replace(draft, traceparent=trace or "")
        for draft, trace in zip(drafts, going_on, strict=True)
    ]


def _decide(
    drafts: Sequence[Draft], resolver: Resolver, seen: dict[UUID, bytes]
) -> tuple[list[Outcome], list[Accepted], list[Parked]]:
    """Resolve drafts in order; then those that had to wait, as long as that frees another."""
    outcomes: dict[int, Outcome] = {}
    accepted: list[Accepted] = []
    waiting: dict[int, Parked] = {}
    for index, draft in enumerate(drafts):
        before = seen.get(draft.event_id)
        if before is not None:
            outcomes[index] = _repeated(draft, same=before == draft.body_hash)
            continue
        try:
            resolved = resolver.resolve(draft)
        except Problem as problem:
            outcomes[index] = Outcome(status="refused", event_id=draft.event_id, problem=problem)
            continue
        seen[draft.event_id] = draft.body_hash
        outcomes[index] = _taken(resolved)
        if isinstance(resolved, Parked):
            waiting[index] = resolved
        else:
            accepted.append(resolved)
    while freed := _free(waiting, resolver):
        for index, resolved in freed.items():
            accepted.append(resolved)
            outcomes[index] = _taken(resolved)
            del waiting[index]
    return [outcomes[index] for index in range(len(drafts))], accepted, list(waiting.values())


def _free(waiting: dict[int, Parked], resolver: Resolver) -> dict[int, Accepted]:
    """Try waiting events once more; a contradiction leaves one waiting (for a person)."""
    freed: dict[int, Accepted] = {}
    for index, parked in waiting.items():
        try:
            resolved = resolver.resolve(parked.draft)
        except Problem:
            continue
        if isinstance(resolved, Accepted):
            freed[index] = resolved
        else:
            waiting[index] = resolved
    return freed


def _taken(resolved: Accepted | Parked) -> Outcome:
    status = "parked" if isinstance(resolved, Parked) else "accepted"
    return Outcome(status=status, event_id=resolved.draft.event_id)


def _repeated(draft: Draft, *, same: bool) -> Outcome:
    if same:
        return Outcome(status="duplicate", event_id=draft.event_id)
    return Outcome(status="refused", event_id=draft.event_id, problem=conflict())


def _unavailable() -> Problem:
    detail = "The service cannot store events now. Repeat the request: nothing counts twice."
    return Problem(
        UNAVAILABLE, "Not available", detail, "not-available", headers={"Retry-After": "1"}
    )
