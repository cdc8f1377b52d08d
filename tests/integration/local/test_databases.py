"""The database as init.sql prepares it: one schema a service, and the law clock's rules."""

from datetime import UTC, datetime

import asyncpg
import pytest

from deploy.local import databases
from deploy.local.databases import Database
from tests.support import servers

DAY_ONE = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_a_service_owns_its_schema_and_sees_no_other(
    database: Database, service: str
) -> None:
    connection = await asyncpg.connect(database.url(service))
    try:
        assert await connection.fetchval("SELECT current_schema()") == service
        await connection.execute("CREATE TABLE mine (id int)")
        await connection.execute("DROP TABLE mine")
        other = next(name for name in databases.SERVICES if name != service)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"CREATE TABLE {other}.yours (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE platform.law_clock SET mode = 'sandbox'")
    finally:
        await connection.close()


async def test_in_production_the_law_clock_cannot_be_set_and_runs_with_the_machine(
    fresh_database: Database,
) -> None:
    connection = await asyncpg.connect(fresh_database.url("scheduler"))
    try:
        with pytest.raises(asyncpg.PostgresError, match="sandbox mode only"):
            await connection.fetchval("SELECT platform.set_law_now($1)", DAY_ONE)
        law, machine = await connection.fetchrow(
            "SELECT platform.law_now(), platform.machine_now()"
        )
        assert abs((machine - law).total_seconds()) < 1
    finally:
        await connection.close()


async def test_in_sandbox_mode_the_law_clock_is_one_for_all_and_never_goes_backwards(
    fresh_database: Database,
) -> None:
    await databases.set_mode(fresh_database, "sandbox")
    driver = await asyncpg.connect(fresh_database.url("scheduler"))
    witness = await asyncpg.connect(fresh_database.url("contact_ledger"))
    try:
        assert await driver.fetchval("SELECT platform.set_law_now($1)", DAY_ONE) == DAY_ONE
        assert await witness.fetchval("SELECT platform.law_now()") == DAY_ONE
        with pytest.raises(asyncpg.PostgresError, match="never goes backwards"):
            await driver.fetchval("SELECT platform.set_law_now($1)", DAY_ONE.replace(hour=11))
        assert await witness.fetchval("SELECT platform.law_now()") == DAY_ONE
    finally:
        await driver.close()
        await witness.close()


def test_preparing_a_database_again_changes_nothing_but_passwords(fresh_database: Database) -> None:
    again = servers.now(
        databases.prepare(
            fresh_database.admin_url, fresh_database.name, servers.PASSWORDS, mode="sandbox"
        )
    )
    assert servers.now(_mode(again)) == "production"


async def _mode(database: Database) -> str:
    connection = await asyncpg.connect(database.admin_url)
    try:
        return str(await connection.fetchval("SELECT mode FROM platform.law_clock"))
    finally:
        await connection.close()
