"""Migrations: Alembic run by the program, per service, with bounded waits for locks.

In: a service's name and its own URL. Out: `upgrade` brings the schema to the newest revision;
`check` refuses one that is older than the code; `differences` compares it with the tables'
metadata. Scripts live in `services/<name>/migrations` (those of senders follow the ones that all of
them share, `shared/sender/migrations`);
the version table lives in the service's own schema.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.postgres.schema import Xid8

T = TypeVar("T")

LOCK_TIMEOUT = "5s"  # a migration that cannot get its lock fails; it must not queue up writers
STATEMENT_TIMEOUT = "120s"  # longer work belongs into batches, not into a migration
MIGRATION_LOCK = 0x7265_6775_6D69  # advisory lock: replicas that start together migrate in turn
VERSION_TABLE = "alembic_version"
SENDER_SUFFIX = "_sender"
_ALEMBIC = Lock()  # Alembic's `op` is one per process


class SchemaTooOld(Exception):
    """The schema lacks revisions that this code needs; the text names the remedy."""


def upgrade(service_name: str, url: str) -> str:
    """Bring the service's schema to the newest revision and return that revision."""
    scripts = _scripts(service_name)

    def work(connection: SyncConnection) -> None:
        def steps(revision: Any, _: MigrationContext) -> Any:
            return scripts._upgrade_revs("head", revision)  # noqa: SLF001 - as its command does

        with EnvironmentContext(Config(), scripts, fn=steps, destination_rev="head") as environment:
            environment.configure(
                connection=connection,
                version_table=VERSION_TABLE,
                version_table_schema=service_name,
                transaction_per_migration=False,
            )
            with environment.begin_transaction():
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                environment.run_migrations()

    with _ALEMBIC:
        _connected(url, work)
    return str(scripts.get_current_head())


def check(service_name: str, url: str) -> str:
    """Return the schema's revision; raise `SchemaTooOld` when the code is ahead of it.

    A schema ahead of the code is fine: during a rolling deployment old processes go on.
    """
    scripts = _scripts(service_name)
    found = _connected(url, lambda connection: _current(connection, service_name))
    head = scripts.get_current_head()
    known = {script.revision for script in scripts.walk_revisions()}
    if found == head or (found is not None and found not in known):
        return str(found)
    msg = (
        f"the schema of {service_name} is at revision {found or 'none'}, this code needs {head}: "
        f"run `python -m services.{service_name} migrate`"
    )
    raise SchemaTooOld(msg)


def differences(service_name: str, url: str, metadata: MetaData) -> list[Any]:
    """Compare the migrated schema with `metadata`; return Alembic's list of differences.

    Partitions are left out (they come and go), and so is Alembic's own table.
    """

    def work(connection: SyncConnection) -> list[Any]:
        connection.dialect.ischema_names["xid8"] = Xid8  # type: ignore[attr-defined]
        partitions = set(
            connection.execute(
                text("SELECT relname FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')")
            ).scalars()
        )
        context = MigrationContext.configure(
            connection,
            opts={
                "include_object": lambda _, name, kind, *__: (
                    not (kind == "table" and (name in partitions or name == VERSION_TABLE))
                ),
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, metadata))

    del service_name  # the URL's role finds its own schema
    return _connected(url, work)


def _current(connection: SyncConnection, schema: str) -> str | None:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "version_table_schema": schema}
    )
    return context.get_current_revision()


def _scripts(service_name: str) -> ScriptDirectory:
    folders = _folders(service_name)
    locations = [each / "versions" for each in folders]
    return ScriptDirectory(
        str(folders[0]),
        version_locations=[
            str(versions if versions.is_dir() else folder)
            for versions, folder in zip(locations, folders, strict=True)
        ],
    )


def _folders(service_name: str) -> list[Path]:
    """Return where a service's revisions are: senders share the runtime's, and may add some."""
    packages = [f"services.{service_name}"]
    if service_name.endswith(SENDER_SUFFIX):
        packages.append("shared.sender")
    folders = []
    for package in packages:
        spec = find_spec(package)
        for location in (spec.submodule_search_locations if spec is not None else None) or ():
            folder = Path(location) / "migrations"
            if folder.is_dir():
                folders.append(folder)
    if folders:
        return folders
    msg = f"no migrations found for {service_name} (looked in {', '.join(packages)})"
    raise LookupError(msg)


def _connected(url: str, work: Callable[[SyncConnection], T]) -> T:
    """Run `work` on a synchronous face of an asyncpg connection, also inside a running loop."""

    async def run() -> T:
        # The driver reads the URL, as it does for the pool: TLS parameters mean the same here.
        engine = create_async_engine(
            "postgresql+asyncpg://", poolclass=NullPool, async_creator=partial(asyncpg.connect, url)
        )
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(lambda: asyncio.run(run())).result()
