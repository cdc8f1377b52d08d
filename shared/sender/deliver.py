"""Deliver: tasks from their lanes, claimed in one statement, called, recorded.

In: lanes of tasks. Out: provider calls, each behind a committed row, and their outcomes. One loop
claims as many tasks as there are free calls now, so that each call begins within a second of its
claim and a kill leaves few unknowns; calls run beside it without a barrier; a second loop records
whatever has finished. Under load both take larger batches by themselves.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from uuid import UUID

from shared.clock import Clock
from shared.postgres import TRANSIENT_ERRORS, Connection, Pool, outbox
from shared.sender.attempts import State
from shared.sender.batch_metrics import observe_batch
from shared.sender.calling import Call, Caller
from shared.sender.facts import Facts
from shared.sender.holds import Holds
from shared.sender.judging import Judge
from shared.sender.lanes import Lanes
from shared.sender.limits import Limits
from shared.sender.picking import HandBack, Picker
from shared.sender.provider import Account
from shared.sender.recording import Outcome, Recorder
from shared.sender.store import claims, outcomes, partitions
from shared.sender.store.claims import Candidate, Verdict
from shared.sender.task_traces import processing
from shared.sender.throttle import Throttle
from shared.sender.verdicts import attempt_of, stated, too_early
from shared.telemetry import logs, metrics

IDLE_SECONDS = 0.05  # how often lanes that wait for a permit or a hold feed are looked at
BUSY_SECONDS = 0.05  # outcomes that come so soon after the last batch are gathered a moment
LINGER_SECONDS = 0.03  # a tenth of what a provider takes to answer; a lone outcome waits for none
OUTAGE_SECONDS = 0.5  # a database that is away is asked again

Picks = Sequence[tuple[Candidate, Account | None]]

_log = logs.get_logger(__name__)


class Deliverer:
    """The two loops that turn tasks into contacts."""

    def __init__(
        self,
        *,
        pool: Pool,
        clock: Clock,
        picker: Picker,
        caller: Caller,
        recorder: Recorder,
        throttle: Throttle,
        holds: Holds,
        facts: Facts,
        lanes: Lanes,
        judge: Judge,
        limits: Limits,
        owner: UUID,
        calls_max: int,
        published: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._picker = picker
        self._caller = caller
        self._recorder = recorder
        self._throttle = throttle
        self._holds = holds
        self._facts = facts
        self._lanes = lanes
        self._judge = judge
        self._limits = limits
        self._owner = owner
        self._calls_max = calls_max
        self._published = published
        self._work = asyncio.Event()
        self._finished = asyncio.Event()
        self._outcomes: list[Outcome] = []
        self._calling = 0
        self._days: set[date] = set()
        self.in_flight: dict[tuple[UUID, int], Call] = {}
        self.called_total = 0
        self.settled_total = 0

    def wake(self) -> None:
        """Look at the lanes now."""
        self._work.set()

    def pending(self) -> int:
        """Calls in flight and outcomes not recorded yet."""
        return len(self.in_flight)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; then let calls in flight end, and record them."""
        async with asyncio.TaskGroup() as group:
            ended = asyncio.Event()
            recording = group.create_task(self._record_all(ended))
            try:
                while not stop.is_set():
                    if not await self._cycle_safely(group):
                        await self._rest()
                while self._calling:
                    await self._rest()
            finally:
                ended.set()
                self._finished.set()
            await recording

    async def _rest(self) -> None:
        self._work.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._work.wait(), IDLE_SECONDS)

    async def _cycle_safely(self, group: asyncio.TaskGroup) -> bool:
        if not self._lanes.waiting:
            return False
        try:
            return await self._cycle(group)
        except TRANSIENT_ERRORS as error:
            metrics.SENDER_DATABASE_FAILURES.inc()
            _log.warning("claim_postponed", error_type=type(error).__name__)
            await asyncio.sleep(OUTAGE_SECONDS)
            return False

    async def _cycle(self, group: asyncio.TaskGroup) -> bool:
        """Hand back what waited too long, claim what can be called; say if anything moved."""
        picked = await self._picker.pick(
            free=self._calls_max - self._calling,
            calls_max=self._calls_max,
            gate_open=self._holds.current(),
        )
        try:
            await self._judge.apply(picked)
            await self._hand_back(picked.backs)
            picked.backs = []
            claimed_at = time.monotonic()
            verdicts, backs = await self._decide(picked.candidates)
        except BaseException:
            self._limits.forget(each for each, _ in picked.candidates)
            self._picker.undo(picked)
            raise
        self._start(group, verdicts, picked.candidates, claimed_at)
        backs += [too_early(each) for each in verdicts if each.verdict == "EARLY"]
        try:
            await self._hand_back(backs)
        except BaseException:
            self._lanes.put_back([each.work for each in backs])
            raise
        return bool(verdicts or backs)

    async def _decide(self, picks: Picks) -> tuple[list[Verdict], list[HandBack]]:
        """Claim in one statement, with the facts of what the claim itself ends.

        What its account's limits hold back is not claimed, and returned.
        """
        if not picks:
            return [], []
        began = time.monotonic()
        candidates = [each for each, _ in picks]
        works = [each.work for each in candidates]
        with processing(works):
            async with self._pool.acquire() as conn:
                await self._ensure_days(conn, candidates)
                async with claims.hot_transaction(conn):
                    free, backs = await self._limits.reserve(conn, picks)
                    verdicts = await claims.claim(conn, free, self._owner) if free else []
                    await self._limits.claimed(conn, verdicts)
                    await outbox.append(conn, stated(self._facts, verdicts))
        observe_batch("claim", len(candidates), began)
        if verdicts:
            self._clock.observe(verdicts[0].law, verdicts[0].machine)
        return verdicts, backs

    async def _ensure_days(self, conn: Connection, candidates: Iterable[Candidate]) -> None:
        days = {each.work.ends_on for each in candidates}
        if not days <= self._days:
            async with conn.transaction():
                await partitions.ensure(conn, "attempt", days)
            self._days |= days

    def _start(
        self, group: asyncio.TaskGroup, verdicts: Sequence[Verdict], picks: Picks, claimed_at: float
    ) -> None:
        """Start the calls of what was claimed; settle the rest."""
        accounts = {each.work.task.contact_id: account for each, account in picks}
        ended = False
        for verdict in verdicts:
            account = accounts[verdict.candidate.work.task.contact_id]
            metrics.SENDER_CLAIMS.labels(verdict.verdict.lower()).inc()
            if verdict.verdict != "EARLY":
                verdict.candidate.work.settle()
                self.settled_total += 1
            if verdict.verdict == State.CLAIMED and account is not None:
                call = Call(attempt_of(verdict), verdict.candidate, account, claimed_at)
                self.in_flight[call.attempt.contact_id, call.attempt.n] = call
                self._calling += 1
                self._lanes.lane(account.tenant_id, account.account_id).calling += 1
                group.create_task(self._call(call))
                continue
            ended = True
            if account is not None:
                self._throttle.give_back(account, 1)
                self._lanes.lane(account.tenant_id, account.account_id).breaker.abandon_probe()
        if ended:
            self._published()

    async def _call(self, call: Call) -> None:
        result = await self._caller.call(call)
        work = call.candidate.work
        segments = work.message.segments if work.message is not None else None
        self._outcomes.append(
            Outcome(attempt=call.attempt, work=work, result=result, segments=segments)
        )
        self._calling -= 1
        self._lanes.lane(call.account.tenant_id, call.account.account_id).calling -= 1
        self._finished.set()
        self._work.set()
        await self._caller.slow_down(call, result)

    async def _record_all(self, ended: asyncio.Event) -> None:
        recorded_at = 0.0
        while not ended.is_set() or self._outcomes:
            await self._finished.wait()
            if time.monotonic() - recorded_at < BUSY_SECONDS and not ended.is_set():
                await asyncio.sleep(LINGER_SECONDS)  # under load: fewer, larger transactions
            self._finished.clear()
            batch, self._outcomes = self._outcomes, []
            if batch:
                await self._record(batch)
                recorded_at = time.monotonic()

    async def _record(self, batch: list[Outcome]) -> None:
        """Record a batch, however long the database is away: outcomes are never dropped."""
        began = time.monotonic()
        while True:
            try:
                await self._recorder.record(batch, self._clock.law_now())
            except TRANSIENT_ERRORS as error:
                metrics.SENDER_DATABASE_FAILURES.inc()
                _log.warning(
                    "outcomes_postponed", count=len(batch), error_type=type(error).__name__
                )
                await asyncio.sleep(OUTAGE_SECONDS)
            else:
                break
        observe_batch("record", len(batch), began)
        await self._limits.settle(batch)
        for outcome in batch:
            self.in_flight.pop((outcome.attempt.contact_id, outcome.attempt.n), None)
        self.called_total += len(batch)
        self._published()

    async def _hand_back(self, backs: Sequence[HandBack]) -> None:
        """State `contact.deferred`: the task stays dispatched and comes again with its permit."""
        if not backs:
            return
        law, machine = self._clock.law_now(), self._clock.machine_now()
        facts = [
            self._facts.deferred(
                each.work.task,
                each.reason,
                # Past its permit it can only be closed, and at once.
                until=min(law + timedelta(seconds=each.seconds), each.work.task.permit.not_after),
                law=law,
                machine=machine,
                traceparent=each.work.traceparent,
            )
            for each in backs
        ]
        retried = [each.work.task.contact_id for each in backs if each.work.retry]
        async with self._pool.transaction() as conn:
            await outbox.append(conn, facts)
            if retried:
                await outcomes.forget_retries(conn, retried)
        self._published()
        for each in backs:
            each.work.settle()
            metrics.SENDER_HANDED_BACK.labels(each.reason.rule).inc()
        self.settled_total += len(backs)
