"""The README's backup and restore, on a real PostgreSQL: what comes back is what was dumped."""

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from deploy.local import databases, postgres
from deploy.local.databases import Database
from shared.postgres import migrate, open_pool
from shared.postgres.engine import now
from tests.support import servers
from tests.support.tree import ROOT, services

COMMAND = re.compile(r"docker compose exec -T postgres (pg_\w+ [^<>\n]+)[<>] regua\.dump")
README = (ROOT / "README.md").read_text()
SECONDS_MAX = 60


@pytest.fixture
def restored_into(postgres_admin_url: str, database_template: str) -> Iterator[Database]:
    """What `docker compose run --rm database` leaves in an empty volume."""
    made = servers.copy(postgres_admin_url, database_template, f"restored_{uuid4().hex[:8]}")
    yield made
    servers.now(databases.drop(postgres_admin_url, made.name))


def run(command: str, database: Database, *, sent: bytes = b"") -> bytes:
    """Run one of the README's commands as inside the container, on this database."""
    program, *words = shlex.split(command)
    at = urlsplit(database.admin_url)
    done = subprocess.run(
        [
            str(postgres._binaries() / program),
            *(re.sub("^regua$", database.name, w) for w in words),
        ],
        env={**os.environ, "PGHOST": at.hostname or "", "PGPORT": str(at.port)}
        | {"PGPASSWORD": at.password or ""},
        input=sent,
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


async def test_a_dump_comes_back_whole_and_each_service_finds_its_own(
    fresh_database: Database, restored_into: Database
) -> None:
    dump, restore = COMMAND.findall(README)
    await databases.set_mode(fresh_database, "sandbox")
    for service in services():
        await asyncio.to_thread(migrate.upgrade, service, fresh_database.url(service))
    before = await open_pool(fresh_database.url("scheduler"), service="scheduler")
    await before.execute("SELECT platform.set_law_now('2027-03-01T12:00:00Z')")
    await before.execute(
        "INSERT INTO identity (tenant_id, digest, key_id, debtor_id)"
        " VALUES ('acme', 'x', 'k', gen_random_uuid())"
    )
    await before.close()

    kept = await asyncio.to_thread(run, dump, fresh_database)
    await asyncio.to_thread(run, restore, restored_into, sent=kept)

    for service in services():
        assert await asyncio.to_thread(migrate.check, service, restored_into.url(service))
    after = await open_pool(restored_into.url("scheduler"), service="scheduler")
    async with after.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM identity") == 1
        assert (await now(conn)).law.isoformat() == "2027-03-01T12:00:00+00:00"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetchval("SELECT count(*) FROM contact_ledger.entry")
    await after.close()
    assert await databases.mode(restored_into) == "sandbox"
