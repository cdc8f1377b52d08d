"""The pool: limits on both sides, both clocks, offsets that live with the work."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.databases import Database
from deploy.local.postgres import Postgres
from shared.kafka import PartitionCountChanged
from shared.postgres import TRANSIENT_ERRORS, Pool, now, offsets, open_pool
from tests.support.bus import until


async def test_the_server_knows_who_we_are_and_ends_what_takes_too_long(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert await conn.fetchval("SHOW application_name") == "scheduler"
        assert await conn.fetchval("SHOW statement_timeout") == "30s"
        assert await conn.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
        assert await conn.fetchval("SHOW timezone") == "UTC"
        await conn.execute("SET statement_timeout = '100ms'")
        with pytest.raises(TRANSIENT_ERRORS):
            await conn.execute("SELECT pg_sleep(10)")


async def test_waiting_for_a_connection_is_bounded(fresh_database: Database) -> None:
    pool = await open_pool(fresh_database.url("scheduler"), service="scheduler", max_size=1)
    async with pool.acquire():
        assert pool.in_use == pool.size_max == 1
        with pytest.raises(TimeoutError):
            async with pool.acquire(timeout=0.1):
                pass
    assert await pool.fetchval("SELECT 1") == 1
    await pool.close()


async def test_both_clocks_come_from_one_statement(pool: Pool) -> None:
    async with pool.acquire() as conn:
        law, machine = await now(conn)
    assert abs(law - machine) < timedelta(seconds=1)  # production: both are the database's clock
    assert law.tzinfo is not None
    assert abs(machine - datetime.now(UTC)) < timedelta(minutes=1)  # noqa: TID251


async def test_services_and_database_may_start_together(own_postgres: Postgres) -> None:
    own_postgres.stop()
    opening = asyncio.ensure_future(open_pool(own_postgres.admin_url, service="early"))
    await asyncio.sleep(0)
    await asyncio.to_thread(own_postgres.start)
    pool = await opening
    await asyncio.to_thread(own_postgres.restart)

    async def answers() -> bool:
        try:
            return bool(await pool.fetchval("SELECT true"))
        except TRANSIENT_ERRORS:
            return False

    await until(answers)
    await pool.close()


async def test_offsets_resume_where_the_work_ended_and_never_on_another_cluster(pool: Pool) -> None:
    mine = [("debt.events.v1", 0), ("debt.events.v1", 1)]
    async with pool.acquire() as conn:
        assert await offsets.load(conn, "recorder", "A", mine) == dict.fromkeys(mine, 0)
        await offsets.save(conn, "recorder", "A", {mine[0]: 41})
        await offsets.save(conn, "recorder", "A", {mine[0]: 42, mine[1]: 7})
        assert await offsets.load(conn, "recorder", "A", mine) == {mine[0]: 42, mine[1]: 7}
        assert await offsets.load(conn, "planner", "A", mine) == dict.fromkeys(mine, 0)
        assert await offsets.load(conn, "recorder", "B", mine) == dict.fromkeys(mine, 0)


async def test_a_partition_count_is_remembered_from_the_first_sight(pool: Pool) -> None:
    async with pool.acquire() as conn:
        await offsets.check_partition_count(conn, "debt.events.v1", 12)
        await offsets.check_partition_count(conn, "debt.events.v1", 12)
        with pytest.raises(
            PartitionCountChanged, match="has 24 partitions but was created with 12"
        ):
            await offsets.check_partition_count(conn, "debt.events.v1", 24)
