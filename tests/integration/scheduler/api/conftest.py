"""The scheduler's doors on a database of the test's own, migrated."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from deploy.local import databases
from deploy.local.databases import Database
from shared.postgres import Pool, migrate, open_pool
from tests.support import servers
from tests.support.scheduler import Doors, doors, settings_for


@pytest.fixture(scope="session")
def migrated(postgres_admin_url: str, database_template: str) -> Iterator[str]:
    """Name of a sandbox database with the scheduler's schema, from which tests copy theirs."""
    made = servers.copy(postgres_admin_url, database_template, f"scheduler_{uuid4().hex[:12]}")
    servers.now(databases.set_mode(made, "sandbox"))
    migrate.upgrade("scheduler", made.url("scheduler"))
    yield made.name
    servers.now(databases.drop(postgres_admin_url, made.name))


@pytest.fixture
def scheduler_database(postgres_admin_url: str, migrated: str) -> Iterator[Database]:
    """A migrated sandbox database of this test's own."""
    made = servers.copy(postgres_admin_url, migrated, f"test_{uuid4().hex[:12]}")
    yield made
    servers.now(databases.drop(postgres_admin_url, made.name))


@pytest.fixture
async def pool(scheduler_database: Database) -> AsyncIterator[Pool]:
    """The scheduler's pool."""
    url = scheduler_database.url("scheduler")
    opened = await open_pool(url, service="scheduler", max_size=4)
    yield opened
    await opened.close()


@pytest.fixture
async def door(pool: Pool, scheduler_database: Database) -> AsyncIterator[Doors]:
    """The application, two tenants, their keys."""
    async with doors(pool, settings_for(scheduler_database.url("scheduler"))) as opened:
        yield opened
