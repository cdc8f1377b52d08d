"""From outcomes to durable truth: rows and facts in one transaction, per batch.

In: what calls came to. Out: attempt rows, retries, attempts waiting for evidence, and facts in the
outbox. `decide` is pure: it says what an outcome means for the contact; `Recorder` writes it.
"""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec

from shared.events.contact import Reason
from shared.postgres import Connection, Pool, outbox
from shared.sender import attempts
from shared.sender.attempts import N_MAX, TRIES_MAX, Attempt, State, Work
from shared.sender.errors import ErrorKind, SendError
from shared.sender.facts import Fact, Facts
from shared.sender.provider import Accepted, Refused, SendResult, Unknown
from shared.sender.store import outcomes
from shared.sender.store.claims import hot_transaction
from shared.sender.store.outcomes import OutcomeRow, Recorded, RetryRow
from shared.telemetry import tracing

BACKOFF_SECONDS_FIRST = 1.0  # before the second attempt; four times longer before the third
BACKOFF_GROWTH = 4.0
NOT_STARTED_SECONDS = 0.2  # nobody was asked: try again almost at once
RETRY_HERE_SECONDS_MAX = 30.0  # longer waits are the scheduler's: the task is handed back
RETRIES_WAITING_MAX = 10_000  # beyond it refusals are handed back, too


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Certain, and nobody was asked: a hold or the window's end came between claim and call."""

    state: State
    reason: Reason


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claimed attempt."""

    attempt: Attempt
    work: Work
    result: SendResult | Ended
    segments: int | None = None


Learning = Callable[[Connection, Sequence[Outcome]], Awaitable[None]]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an outcome means: the row, and (refused only) how long until the next attempt.

    `wait_seconds` None ends the contact.
    """

    row: OutcomeRow
    wait_seconds: float | None = None


def decide(outcome: Outcome, law: datetime, budget: timedelta, jitter: float) -> Decision:
    """Say what an outcome means. `jitter` is a random number from 0 to 1."""
    attempt, result = outcome.attempt, outcome.result
    row_of = partial(
        OutcomeRow, contact_id=attempt.contact_id, n=attempt.n, ends_on=attempt.ends_on
    )
    if isinstance(result, Accepted):
        ref = result.provider_ref
        return Decision(row=row_of(state=State.ACCEPTED, tries=attempt.tries, provider_ref=ref))
    if isinstance(result, Unknown):
        why = result.why
        return Decision(row=row_of(state=State.UNKNOWN, tries=attempt.tries, error=why))
    if isinstance(result, Ended):
        why = result.reason.rule
        return Decision(row=row_of(state=result.state, tries=attempt.tries, error=why))
    error = result.error
    tries = attempt.tries + int(error.row.spends_attempt)
    wait = backoff(error, tries, jitter)
    again = (
        error.row.retryable
        and tries < TRIES_MAX
        and attempt.n < N_MAX
        and law + timedelta(seconds=wait) + budget < attempt.not_after
    )
    row = row_of(
        state=State.REFUSED,
        tries=tries,
        code=error.code,
        error=error.kind.value,
        retryable=again,
    )
    return Decision(row=row, wait_seconds=wait if again else None)


def backoff(error: SendError, tries: int, jitter: float) -> float:
    """Return the seconds until the next attempt: what the provider asked, else jittered growth."""
    if error.retry_after_seconds is not None:
        return error.retry_after_seconds * (1 + 0.1 * jitter)
    if error.kind is ErrorKind.NOT_STARTED:
        return NOT_STARTED_SECONDS * (1 + jitter)
    ceiling = BACKOFF_SECONDS_FIRST * BACKOFF_GROWTH ** max(0, tries - 1)
    return ceiling * (0.5 + jitter / 2)


class Recorder:
    """Writes outcomes of this process's calls."""

    def __init__(
        self, pool: Pool, facts: Facts, owner: UUID, budget: timedelta, learn: Learning
    ) -> None:
        """`learn` hears of every batch, in its transaction (`People.learn_from_calls`)."""
        self._learn = learn
        self._pool = pool
        self._facts = facts
        self._owner = owner
        self._budget = budget
        self.retries_waiting = 0

    async def record(self, batch: Sequence[Outcome], law: datetime) -> None:
        """Write a batch: rows, retries, facts; one transaction. Safe to repeat after a failure."""
        decided = [
            (outcome, decide(outcome, law, self._budget, random.random()))  # noqa: S311
            for outcome in batch
        ]
        async with self._pool.acquire() as conn, hot_transaction(conn):
            changed = await outcomes.record(conn, [each.row for _, each in decided], self._owner)
            facts: list[Fact] = []
            retries: list[RetryRow] = []
            told: list[Attempt] = []
            unknown = []
            for outcome, decision in decided:
                attempt = outcome.attempt
                recorded = changed.get((attempt.contact_id, attempt.n))
                if recorded is None:
                    continue  # evidence or the sweeper came first: that was stated already
                if decision.row.state == State.UNKNOWN:
                    by = attempts.resolve_by(attempt.not_after)
                    unknown.append((attempt.contact_id, attempt.n, attempt.ends_on, by))
                facts += self._stated(outcome, decision, recorded, retries)
                if is_told(outcome):
                    told.append(attempt)
            await outcomes.keep_frames(conn, told)
            await outcomes.wait_for_evidence(conn, unknown)
            await outcomes.retry_later(conn, retries, self._owner)
            await self._learn(conn, batch)
            await outbox.append(conn, facts)
        self.retries_waiting += len(retries)

    def _stated(
        self, outcome: Outcome, decision: Decision, recorded: Recorded, retries: list[RetryRow]
    ) -> list[Fact]:
        attempt, work, row = outcome.attempt, outcome.work, decision.row
        law, machine = recorded.law, recorded.machine
        if isinstance(outcome.result, Ended):
            reason = outcome.result.reason
            return [
                self._facts.ended(attempt, outcome.result.state, reason, law=law, machine=machine)
            ]
        wait = None if recorded.closing else decision.wait_seconds
        reached = row.state != State.REFUSED
        fact = self._facts.attempted(
            attempt,
            State(row.state),
            law=law,
            machine=machine,
            provider_ref=row.provider_ref,
            code=row.code,
            error=row.error,
            retryable=wait is not None,
            segments=outcome.segments if reached else None,
            text_sealed=work.text_sealed if reached else None,
        )
        if wait is None:
            return [fact]
        if wait <= RETRY_HERE_SECONDS_MAX and self.retries_waiting < RETRIES_WAITING_MAX:
            retries.append(
                RetryRow(
                    contact_id=attempt.contact_id,
                    tenant_id=attempt.tenant_id,
                    traceparent=attempt.frame.traceparent,
                    task=work.raw,
                    wait_seconds=wait,
                )
            )
            return [fact]
        return [fact, self._handed_back(outcome, row, wait, recorded)]

    def _handed_back(
        self, outcome: Outcome, row: OutcomeRow, wait: float, recorded: Recorded
    ) -> Fact:
        return self._facts.deferred(
            outcome.work.task,
            Reason(rule="provider_asked_to_wait", verdict=row.error or "", inputs={}),
            until=recorded.law + timedelta(seconds=wait),
            law=recorded.law,
            machine=recorded.machine,
            traceparent=outcome.attempt.frame.traceparent,
        )


def is_told(outcome: Outcome) -> bool:
    """Say whether a call was told of although its trace was not sampled: it failed."""
    after = outcome.attempt.frame.traceparent
    return after is not outcome.work.traceparent and (
        tracing.is_sampled(after) and not tracing.is_sampled(outcome.work.traceparent)
    )


def is_refused(result: SendResult | Ended) -> SendError | None:
    """Return the error of a refusal, None for anything else."""
    return result.error if isinstance(result, Refused) else None
