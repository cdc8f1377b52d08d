"""What an account may do to one person and in a day: exact, whoever asks, and given back."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from deploy.local import databases
from deploy.local.databases import Database
from shared.events.contact import ContactTask
from shared.postgres import Pool
from shared.sender.store import limits
from shared.sender.store.limits import Pair, Rest, Share, Use
from tests.support.bus import until
from tests.support.contacts import TENANT, a_permit, a_task, now
from tests.support.sending import Stage
from tests.support.wire import Script

ACCOUNT = "limited"
MARIA, JOAO = Pair("number:acme", "maria"), Pair("number:acme", "joao")


async def test_racing_replicas_never_go_beyond_a_day(pool: Pool) -> None:
    async def take(count: int) -> int:
        async with pool.transaction() as conn:
            share = (await limits.take(conn, {"a": count, "b": 1}, {"a": 100, "b": 1_000}))["a"]
        return share.granted

    granted = await asyncio.gather(*(take(7) for _ in range(30)))
    assert sum(granted) == 100
    assert sorted(granted, reverse=True) == [7] * 14 + [2] + [0] * 15
    assert await pool.fetchval("SELECT sum(calls) FROM day_use WHERE key = 'b'") == 30


async def test_one_of_many_at_once_may_write_to_a_person(pool: Pool) -> None:
    async def write() -> dict[Pair, float]:
        async with pool.transaction() as conn:
            return (await limits.rest(conn, {MARIA: 60.0, JOAO: 60.0}))[0]

    resting = await asyncio.gather(*(write() for _ in range(20)))
    assert Counter(len(each) for each in resting) == {0: 1, 2: 19}
    waits = [wait for each in resting for wait in each.values()]
    assert 50.0 < min(waits) <= max(waits) <= 60.0


async def test_a_day_is_any_24_hours(pool: Pool, fresh_database: Database) -> None:
    """Room comes back as the contacts of the day before become a day old, and not sooner."""
    start = await _freeze(fresh_database, now())
    assert (await _take(pool, 6)).granted == 6
    await _step(fresh_database, start + timedelta(hours=20))
    assert (await _take(pool, 6)).granted == 4
    refused = await _take(pool, 1)
    assert refused.granted == 0
    four_hours = timedelta(hours=4).total_seconds()
    assert four_hours <= refused.wait_seconds <= four_hours + 300
    longer = await _take(pool, 7)  # the seventh waits for the second burst to grow old
    assert longer.wait_seconds >= timedelta(hours=24).total_seconds()
    await _step(fresh_database, start + timedelta(hours=23, minutes=59))
    assert (await _take(pool, 1)).granted == 0
    await _step(fresh_database, start + timedelta(hours=20, seconds=refused.wait_seconds))
    assert (await _take(pool, 9)).granted == 6
    await _step(fresh_database, start + timedelta(hours=60))
    async with pool.transaction() as conn:
        await limits.tidy(conn)
    assert await pool.fetchval("SELECT count(*) FROM day_use") == 0


async def test_what_a_batch_takes_itself_is_in_the_way_of_its_rest(pool: Pool) -> None:
    share = await _take(pool, 15)
    assert share.granted == 10
    assert share.wait_seconds > timedelta(hours=23).total_seconds()


async def test_a_lower_limit_counts_at_once(pool: Pool) -> None:
    assert (await _take(pool, 8)).granted == 8
    refused = await _take(pool, 1, most=5)
    assert refused.granted == 0
    assert refused.wait_seconds > timedelta(hours=23).total_seconds()


async def test_rests_end_and_are_forgotten(pool: Pool, fresh_database: Database) -> None:
    start = await _freeze(fresh_database, now())
    assert await _rest(pool, 60.0) == {}
    await _step(fresh_database, start + timedelta(seconds=20))
    assert await _rest(pool, 60.0) == {MARIA: 40.0}
    await _step(fresh_database, start + timedelta(seconds=60))
    assert await _rest(pool, 60.0) == {}
    assert await _rest(pool, 86_400.0) == {MARIA: 60.0}
    await _step(fresh_database, start + timedelta(seconds=121))
    async with pool.transaction() as conn:
        await limits.tidy(conn)
    assert await pool.fetchval("SELECT count(*) FROM pair_rest") == 0
    assert await _rest(pool, 86_400.0) == {}
    assert await _rest(pool, 6.0) == {}  # a rest of settings that are no more


async def test_what_is_given_back_may_be_taken_again(pool: Pool) -> None:
    share = await _take(pool, 10)
    async with pool.transaction() as conn:
        begun = (await limits.rest(conn, {MARIA: 60.0}))[1][MARIA]
        unknown = Use("never", share.use.began_at)
        never = Rest(JOAO, begun.free_at)
        await limits.give_back(conn, [begun, never], [share.use, share.use, unknown])
    assert (await _take(pool, 10)).granted == 2
    assert await _rest(pool, 60.0) == {}


async def test_a_late_give_back_ends_nobody_elses_rest(
    pool: Pool, fresh_database: Database
) -> None:
    start = await _freeze(fresh_database, now())
    async with pool.transaction() as conn:
        begun = (await limits.rest(conn, {MARIA: 6.0}))[1][MARIA]
    await _step(fresh_database, start + timedelta(seconds=7))
    assert await _rest(pool, 60.0) == {}  # another contact's
    async with pool.transaction() as conn:
        await limits.give_back(conn, [begun], [])
    assert await _rest(pool, 60.0) == {MARIA: 60.0}


async def test_tidying_waits_for_no_claim(pool: Pool, fresh_database: Database) -> None:
    start = await _freeze(fresh_database, now())
    async with pool.transaction() as conn:
        await limits.rest(conn, {MARIA: 6.0, JOAO: 6.0})
    await _step(fresh_database, start + timedelta(seconds=7))
    async with pool.transaction() as claim, asyncio.timeout(5):
        await limits.rest(claim, {MARIA: 6.0})
        async with pool.transaction() as conn:
            await limits.tidy(conn)
    assert await pool.fetchval("SELECT array_agg(address_digest) FROM pair_rest") == ["maria"]


async def test_a_duplicate_gives_nothing_of_its_twin_back(stage: Stage) -> None:
    """The day is full while the twin's call is under way: what it took stays taken."""
    await stage.configure(account_id=ACCOUNT, day_limit=1)
    task, other = _task(1), _task(2)
    answer = asyncio.Event()
    stage.provider.scripts = [Script(gate=answer)]
    async with stage.running():
        await stage.dispatch(task)
        await until(lambda: _used(stage, 1))
        await stage.dispatch(task)
        await stage.fact(task, "deferred")
        answer.set()
        await stage.fact(task, "accepted")
        await stage.dispatch(other)
        assert (await stage.fact(other, "deferred")).reasons[0].rule == "day_limit"
    assert len(stage.provider.requests) == 1


async def test_two_replicas_keep_one_day_limit(stage: Stage) -> None:
    await stage.configure(account_id=ACCOUNT, day_limit=20)
    tasks = [_task(n) for n in range(60)]
    async with stage.running(), stage.running():
        await stage.dispatch(*tasks)
        facts: list[tuple[str, Any]] = []

        async def stated() -> bool:
            facts[:] = await stage.facts()
            return len({body.contact_id for _, body in facts}) == len(tasks)

        await until(stated, 20.0)
    assert Counter(kind for kind, _ in facts) == {"accepted": 20, "deferred": 40}
    assert len(stage.provider.requests) == 20
    backs = [body for kind, body in facts if kind == "deferred"]
    assert {body.reasons[0].rule for body in backs} == {"day_limit"}
    # Room comes tomorrow, but the permit ends today: then the contact is closed and planned anew.
    assert {body.until for body in backs} == {PERMIT.not_after}
    assert await stage.rows("SELECT sum(calls) FROM day_use") == [(20,)]


async def test_what_reached_no_provider_is_not_counted(stage: Stage) -> None:
    """A refusal leaves the day and the person free; a time-out may have reached them."""
    await stage.configure(account_id=ACCOUNT, day_limit=3, pair_rate_per_minute=0.1)
    refused, unknown, again, accepted = (_task(n) for n in (1, 2, 1, 3))
    late = _task(4, permit=a_permit(not_after=now() - timedelta(minutes=1)))
    stage.provider.scripts = [Script(status=400, body=b'{"code": 21211}'), Script(status=500)]
    async with stage.running():
        await stage.dispatch(refused)
        await stage.fact(refused, "failed")
        await stage.dispatch(unknown)
        await stage.fact(unknown, "unknown")
        await stage.dispatch(late)
        await stage.fact(late, "expired")
        await stage.dispatch(again)
        await stage.fact(again, "accepted")
        await stage.dispatch(accepted)
        await stage.fact(accepted, "accepted")
        await until(lambda: _used(stage, 3))
        beyond, same = _task(5), _task(2)
        await stage.dispatch(beyond, same)
        assert (await stage.fact(beyond, "deferred")).reasons[0].rule == "day_limit"
        resting = await stage.fact(same, "deferred")
        assert resting.reasons[0].rule == "pair_rate"
        assert timedelta() < resting.until - resting.at <= timedelta(minutes=10)
    assert len(stage.provider.requests) == 4


PERMIT = a_permit()


def _task(number: int, **changes: object) -> ContactTask:
    phone = f"+55119876500{number:02}"
    return a_task(address=phone, account_id=ACCOUNT, **({"permit": PERMIT} | changes))


async def _used(stage: Stage, count: int) -> bool:
    return await stage.rows("SELECT sum(calls) FROM day_use") == [(count,)]


async def _take(pool: Pool, count: int, most: int = 10) -> Share:
    async with pool.transaction() as conn:
        return (await limits.take(conn, {TENANT: count}, {TENANT: most}))[TENANT]


async def _rest(pool: Pool, seconds: float) -> dict[Pair, float]:
    async with pool.transaction() as conn:
        return (await limits.rest(conn, {MARIA: seconds}))[0]


async def _freeze(database: Database, at: datetime) -> datetime:
    """Set law time to the beginning of five minutes; return it."""
    await databases.set_mode(database, "sandbox")
    start = at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    await _step(database, start)
    return start


async def _step(database: Database, to: datetime) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute("SELECT platform.set_law_now($1)", to)
    finally:
        await connection.close()
