"""The statements themselves: one winner per key, the rate to the permit, plans that never scan."""

import asyncio
import json
import time
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from shared.postgres import Connection, Pool
from shared.sender.attempts import State, Work, ends_on
from shared.sender.holds import forbids
from shared.sender.store import claims, holds, partitions, permits, receipts
from shared.sender.store.claims import Candidate, Verdict
from tests.support.contacts import a_hold, a_permit, a_task, now

BUDGET = timedelta(seconds=4)


async def test_racing_claims_have_one_winner_each(pool: Pool) -> None:
    tasks = [a_task() for _ in range(200)]

    async def claim_all() -> list[Verdict]:
        verdicts = []
        for start in range(0, len(tasks), 20):
            verdicts += await _claim(pool, [_candidate(task) for task in tasks[start : start + 20]])
        return verdicts

    won = [
        verdict.candidate.work.task.contact_id
        for verdicts in await asyncio.gather(*(claim_all() for _ in range(6)))
        for verdict in verdicts
        if verdict.verdict == State.CLAIMED
    ]
    assert len(won) == len(set(won)) == len(tasks)


async def test_a_refused_contact_may_be_claimed_again_and_others_may_not(pool: Pool) -> None:
    for state, retryable, expected in (
        ("REFUSED", True, "CLAIMED"),
        ("REFUSED", False, "TAKEN"),
        ("UNKNOWN", False, "TAKEN"),
        ("ACCEPTED", False, "TAKEN"),
        ("CLAIMED", False, "TAKEN"),
    ):
        task = a_task()
        await _claim(pool, [_candidate(task)])
        await pool.execute(
            "UPDATE attempt SET state = $2, retryable = $3 WHERE contact_id = $1",
            task.contact_id,
            state,
            retryable,
        )
        (again,) = await _claim(pool, [_candidate(task)])
        assert (again.verdict, again.n) == (expected, 2), state


async def test_sql_and_memory_agree_about_every_hold(pool: Pool) -> None:
    """The claim anti-joins in SQL, the last look is Python: one truth table for both."""
    at = now()
    hour = timedelta(hours=1)
    law = await pool.fetchval("SELECT platform.law_now()")
    for state in ("active", "lifted"):
        for until in (None, at - hour, at + hour):
            for placed in (at - 2 * hour, at + hour):
                for lifted in (None, at - hour, at + hour):
                    task = a_task(permit=a_permit(issued_at=at))
                    hold = a_hold(
                        task.subjects[3], state=state, until=until, placed_at=placed,
                        lifted_at=lifted if state == "lifted" else None,
                    )  # fmt: skip
                    async with pool.acquire() as conn:
                        await holds.upsert(conn, [hold])
                    (verdict,) = await _claim(pool, [_candidate(task)])
                    held = verdict.verdict == State.CANCELLED
                    assert held == forbids(hold, at, law), hold


async def test_the_newest_version_of_a_hold_wins_in_any_order(pool: Pool) -> None:
    placed = a_hold("debt:acme:1")
    lifted = a_hold("debt:acme:1", hold_id=placed.hold_id, version=2, state="lifted")
    for order in ([placed, lifted], [lifted, placed], [lifted], [placed]):
        async with pool.acquire() as conn:
            await holds.upsert(conn, order)
        assert await pool.fetchval("SELECT state FROM hold") == "lifted"


async def test_the_rate_holds_over_several_processes(pool: Pool) -> None:
    """Three replicas, leases of a twentieth: within 1 % of the rate, no burst beyond a lease."""
    rate, lease = 200.0, 10
    granted: list[tuple[float, int]] = []
    until = time.monotonic() + 4.0

    async def replica() -> None:
        while time.monotonic() < until:
            async with pool.acquire() as conn:
                count, wait = await permits.take(
                    conn, ["account:a", "number:n"], [rate, rate], [lease, lease], lease
                )
            granted.append((time.monotonic(), count))
            await asyncio.sleep(wait)

    await asyncio.gather(*(replica() for _ in range(3)))
    begin = granted[0][0]
    total = sum(count for _, count in granted)
    took = until - begin
    assert abs(total - lease - rate * took) <= 0.02 * rate * took + lease
    for second in range(int(took)):
        inside = [c for at, c in granted if begin + second <= at < begin + second + 1]
        assert sum(inside) <= rate + 2 * lease


async def test_a_push_back_holds_everybody_back(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert (await permits.take(conn, ["account:b"], [100.0], [5], 5))[0] == 5
        await permits.push_back(conn, "account:b", 30.0)
        count, wait = await permits.take(conn, ["account:b"], [100.0], [5], 5)
    assert count == 0
    assert 28.0 < wait <= 30.0


async def test_the_claim_finds_its_rows_by_key_whatever_the_statistics_say(pool: Pool) -> None:
    async with pool.acquire() as conn:
        plan = await _plan(conn, a_task().contact_id)
    scans = [node for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert [node["Relation Name"] for node in scans] == []


async def test_a_receipt_finds_attempts_of_several_days_that_change_meanwhile(pool: Pool) -> None:
    """PostgreSQL leaves such rows out of a locking read over partitions: they are read again."""
    until = now() + timedelta(hours=1)
    tasks = [
        a_task(permit=a_permit(not_after=until + timedelta(days=number % 2))) for number in range(6)
    ]
    claimed = await _claim(pool, [_candidate(task) for task in tasks])
    assert {each.verdict for each in claimed} == {State.CLAIMED}
    keys = [(task.contact_id, 1, ends_on(task.permit.not_after)) for task in tasks]
    async with pool.acquire() as writer, pool.acquire() as reader:
        await writer.execute("BEGIN; UPDATE attempt SET state = 'ACCEPTED'")
        async with claims.hot_transaction(reader):
            locked, _ = await asyncio.gather(
                receipts.lock_attempts(reader, keys), _commit_when_waited_for(pool, writer)
            )
            assert {key: each.state for key, each in locked.items()} == {
                (contact, n): State.ACCEPTED for contact, n, _ in keys
            }
            free = await writer.fetch("SELECT FROM attempt FOR UPDATE SKIP LOCKED")
            assert free == []  # what was read again is locked, too


async def test_partitions_are_made_once_and_dropped_when_nothing_waits_in_them(pool: Pool) -> None:
    old, older = date(2026, 1, 2), date(2026, 1, 1)
    for _ in range(2):
        async with pool.transaction() as conn:
            await partitions.ensure(conn, "attempt", [old, older])
    await pool.execute("INSERT INTO unknown_attempt VALUES ($1, 1, $2, $3)", uuid4(), old, now())
    async with pool.transaction() as conn:
        dropped = await partitions.drop_before(conn, "attempt", date(2026, 1, 3))
        left = await partitions.existing(conn, "attempt")
    assert dropped == [older]
    assert old in left
    assert now().date() in left


async def _commit_when_waited_for(pool: Pool, writer: Connection) -> None:
    """Commit once a statement waits for a row that this transaction holds."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while not await pool.fetchval(waits):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
    await writer.execute("COMMIT")


async def _claim(pool: Pool, candidates: list[Candidate]) -> list[Verdict]:
    async with pool.acquire() as conn, claims.hot_transaction(conn):
        return await claims.claim(conn, candidates, uuid4())


def _candidate(task: Any) -> Candidate:
    work = Work(task=task, raw=b"", traceparent=None, received_at=0.0)
    return Candidate(
        work=work, provider="twilio", address_digest="d", template="t@1", budget=BUDGET
    )


async def _plan(conn: Connection, contact_id: Any) -> Any:
    query = f"""
        EXPLAIN (FORMAT JSON) SELECT a.n FROM unnest(
            ARRAY['{contact_id}'::uuid], ARRAY['{now().date()}'::date]
        ) AS t (contact_id, ends_on)
        LEFT JOIN LATERAL (
            SELECT a.n FROM attempt a
            WHERE a.contact_id = t.contact_id AND a.ends_on = t.ends_on
            ORDER BY a.n DESC LIMIT 1
        ) a ON true
    """  # noqa: S608 - ids made here
    async with claims.hot_transaction(conn):
        return json.loads(await conn.fetchval(query))[0]["Plan"]


def _nodes(plan: Any) -> list[Any]:
    return [plan] + [node for child in plan.get("Plans", []) for node in _nodes(child)]
