"""The clocks of a real database: both modes, steps, outages, and a mode that does not match."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.databases import Database
from shared.clock import Clock
from shared.postgres.connection import Pool
from shared.postgres.engine import open_pool
from shared.settings import CannotStart

STEP = datetime(2030, 1, 1, 12, tzinfo=UTC)
NEAR = timedelta(seconds=5)


@pytest.fixture
async def production(fresh_database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(fresh_database.url("scheduler"), service="probe", max_size=2)
    yield pool
    await pool.close()


@pytest.fixture
async def sandbox(fresh_database: Database) -> AsyncIterator[Pool]:
    admin = await open_pool(fresh_database.admin_url, service="probe", max_size=1)
    async with admin.acquire() as connection:
        await connection.execute("UPDATE platform.law_clock SET mode = 'sandbox'")
    await admin.close()
    pool = await open_pool(fresh_database.url("scheduler"), service="probe", max_size=2)
    yield pool
    await pool.close()


async def set_law(pool: Pool, moment: datetime) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SELECT platform.set_law_now($1)", moment)


async def machine_time(pool: Pool) -> datetime:
    async with pool.acquire() as connection:
        read: datetime = await connection.fetchval("SELECT platform.machine_now()")
        return read


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - the clock announces nothing; it is asked
            await asyncio.sleep(0.005)


async def test_in_production_both_clocks_are_the_databases(production: Pool) -> None:
    clock = Clock()
    await clock.start(production)
    before = await machine_time(production)
    law, machine = clock.law_now(), clock.machine_now()
    after = await machine_time(production)
    tolerance = timedelta(milliseconds=100)  # half a round trip either way, on a busy machine
    assert before - tolerance <= machine <= after + tolerance
    assert abs(law - machine) < tolerance


async def test_the_loop_follows_a_step_within_moments(sandbox: Pool) -> None:
    clock = Clock(sandbox=True)
    await clock.start(sandbox)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(clock.run(sandbox, stop))
        await set_law(sandbox, STEP)
        await until(lambda: clock.law_now() == STEP)
        await set_law(sandbox, STEP + timedelta(hours=2))
        await until(lambda: clock.law_now() == STEP + timedelta(hours=2))
        assert abs(clock.machine_now() - await machine_time(sandbox)) < NEAR
        stop.set()


async def test_the_first_freeze_may_lie_in_the_past(sandbox: Pool) -> None:
    clock = Clock(sandbox=True)
    await clock.start(sandbox)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert clock.law_now() > past
    await set_law(sandbox, past)
    async with sandbox.acquire() as connection:
        await clock.refresh(connection)
    assert clock.law_now() == past


async def test_production_refuses_a_sandbox_database(sandbox: Pool) -> None:
    with pytest.raises(CannotStart, match="MODE is production but this database"):
        await Clock().start(sandbox)


async def test_sandbox_refuses_a_production_database(production: Pool) -> None:
    with pytest.raises(CannotStart, match="MODE is sandbox but this database"):
        await Clock(sandbox=True).start(production)


async def test_time_goes_on_while_the_database_is_away(production: Pool) -> None:
    clock = Clock()
    await clock.start(production)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(clock.run(production, stop))
        await production.close()
        first = clock.machine_now()
        await asyncio.sleep(0)
        assert clock.machine_now() > first
        assert not running.done()
        stop.set()
