"""Migrations: to the newest revision, refused when too old, the same as the tables' metadata."""

import asyncio
import sys
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from deploy.local.databases import Database
from shared.postgres import migrate, open_pool, outbox

FIRST = """
from alembic import op
from shared.postgres import outbox
revision = "0001_first"
down_revision = None
def upgrade() -> None:
    outbox.create_tables(op)
    outbox.create_lane(op)
"""
SECOND = """
from alembic import op
revision = "0002_second"
down_revision = "0001_first"
def upgrade() -> None:
    op.execute("CREATE TABLE second (id bigint)")
"""
BROKEN = """
from alembic import op
revision = "0003_broken"
down_revision = "0002_second"
def upgrade() -> None:
    op.execute("CREATE TABLE third (id bigint)")
    op.execute("SELECT 1/0")
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of migrations in the place of the scheduler's."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    monkeypatch.setattr(migrate, "_folders", lambda _: [folder])
    return folder


def test_upgrade_brings_every_revision_once_and_check_knows_older_from_newer(
    fresh_database: Database, scripts: Path
) -> None:
    url = fresh_database.url("scheduler")
    (scripts / "0001_first.py").write_text(FIRST)
    with pytest.raises(migrate.SchemaTooOld, match=r"python -m services\.scheduler migrate"):
        migrate.check("scheduler", url)
    assert migrate.upgrade("scheduler", url) == "0001_first"
    assert migrate.upgrade("scheduler", url) == "0001_first"
    (scripts / "0002_second.py").write_text(SECOND)
    with pytest.raises(migrate.SchemaTooOld, match="0001_first, this code needs 0002_second"):
        migrate.check("scheduler", url)
    migrate.upgrade("scheduler", url)
    assert migrate.check("scheduler", url) == "0002_second"
    # Old code with a newer schema: what a rolling deployment looks like from behind.
    (scripts / "0002_second.py").unlink()
    assert migrate.check("scheduler", url) == "0002_second"


def test_a_failed_migration_leaves_nothing_behind(fresh_database: Database, scripts: Path) -> None:
    url = fresh_database.url("scheduler")
    (scripts / "0001_first.py").write_text(FIRST)
    (scripts / "0002_second.py").write_text(SECOND)
    migrate.upgrade("scheduler", url)
    (scripts / "0003_broken.py").write_text(BROKEN)
    with pytest.raises(Exception, match="division by zero"):
        migrate.upgrade("scheduler", url)
    (scripts / "0003_broken.py").unlink()
    assert migrate.check("scheduler", url) == "0002_second"


async def test_replicas_that_start_together_migrate_in_turn(
    fresh_database: Database, scripts: Path
) -> None:
    (scripts / "0001_first.py").write_text(FIRST)
    (scripts / "0002_second.py").write_text(SECOND)
    url = fresh_database.url("scheduler")
    program = (
        "import pathlib, sys; from shared.postgres import migrate; "
        "migrate._folders = lambda _: [pathlib.Path(sys.argv[1])]; "
        "print(migrate.upgrade('scheduler', sys.argv[2]))"
    )
    replicas = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(scripts), url, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    outputs = [(await replica.communicate())[0] for replica in replicas]
    assert outputs == [b"0002_second\n"] * 3


async def test_a_lock_that_is_held_fails_the_migration_instead_of_queueing_writers(
    fresh_database: Database, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "200ms")
    url = fresh_database.url("scheduler")
    (scripts / "0001_first.py").write_text(FIRST)
    migrate.upgrade("scheduler", url)
    (scripts / "0002_second.py").write_text(
        SECOND.replace("CREATE TABLE second (id bigint)", "ALTER TABLE relay ADD COLUMN x int")
    )
    pool = await open_pool(url, service="scheduler")
    async with pool.transaction() as conn:
        await conn.execute("LOCK TABLE relay")
        with pytest.raises(Exception, match="lock timeout"):
            await asyncio.to_thread(migrate.upgrade, "scheduler", url)
    await pool.close()


async def test_the_helpers_ddl_and_their_metadata_are_the_same(
    fresh_database: Database, scripts: Path
) -> None:
    (scripts / "0001_first.py").write_text(FIRST)
    url = fresh_database.url("scheduler")
    migrate.upgrade("scheduler", url)
    pool = await open_pool(url, service="scheduler")  # makes the day partitions
    await pool.close()
    metadata = MetaData()
    outbox.define_tables(metadata)
    assert migrate.differences("scheduler", url, metadata) != []
    outbox.define_lane(metadata)
    assert migrate.differences("scheduler", url, metadata) == []


def test_senders_share_their_migrations_and_may_add_some() -> None:
    shared = ("shared", "sender", "migrations")
    assert found("sms_sender") == [shared]
    assert found("whatsapp_sender") == [("services", "whatsapp_sender", "migrations"), shared]
    assert found("scheduler") == [("services", "scheduler", "migrations")]
    with pytest.raises(LookupError, match="no migrations found for nobody"):
        migrate._folders("nobody")


def found(service: str) -> list[tuple[str, ...]]:
    return [folder.parts[-3:] for folder in migrate._folders(service)]
