"""A shard to plan on, for tests of planner, dispatcher and what reaches them."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.local.databases import Database
from shared.postgres import migrate, open_pool
from tests.integration.scheduler.merging_case import Pair
from tests.integration.scheduler.planning_case import Case

TABLES = "shard, debtor, debt, contact, contact_slot, outbox, work_item, hold, hold_outbox, lift"


@pytest.fixture(scope="module")
def migrated_url(sandbox_database: Database) -> str:
    """URL of a migrated scheduler database."""
    url = sandbox_database.url("scheduler")
    migrate.upgrade("scheduler", url)
    return url


@pytest.fixture
async def case(migrated_url: str, sandbox_database: Database) -> AsyncIterator[Case]:
    """A shard taken over, at Monday's dawn (an administrator may set the clock back)."""
    pool = await open_pool(migrated_url, service="test")
    admin = await asyncpg.connect(sandbox_database.admin_url)
    await admin.execute("UPDATE platform.law_clock SET frozen_at = NULL")
    await admin.close()
    await pool.execute(f"TRUNCATE {TABLES}")
    try:
        yield await Case.taken(pool)
    finally:
        await pool.close()


@pytest.fixture
async def pair(case: Case) -> Pair:
    """Two debtors, each in a shard of its own."""
    return Pair(case, await Case.taken(case.pool, shard=1))
