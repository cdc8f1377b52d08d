"""Fixtures for everybody: real PostgreSQL and Kafka, a fresh database, names of one's own.

One server of each kind per run, started by the first test that needs it (`KAFKA_BOOTSTRAP` and
`POSTGRES_URL`, an admin URL, point at existing ones instead). Tests that break or empty a server
take `own_postgres` or `own_kafka`.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local import databases, places
from deploy.local import servers as chosen
from deploy.local.databases import Database
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from tests.support import servers


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Data and logs of the run's servers; kept, and named, when a test failed."""
    folder = places.run_folder("tests")
    yield folder
    if request.session.testsfailed:
        sys.stderr.write(f"\nserver logs: {folder}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_admin_url(run_folder: Path) -> Iterator[str]:
    """URL of the administrator of the run's PostgreSQL."""
    server = chosen.postgres(run_folder / "postgres")
    server.start()
    yield server.admin_url
    server.stop()


@pytest.fixture(scope="session")
def kafka_bootstrap(run_folder: Path) -> Iterator[str]:
    """Address of the run's Kafka; name your topics with `topic_suffix`."""
    server = chosen.kafka(run_folder / "kafka")
    server.start()
    yield server.bootstrap
    server.stop()


@pytest.fixture(scope="session")
def database_template(postgres_admin_url: str) -> Iterator[str]:
    """Name of a prepared database from which the others are copied."""
    name = f"regua_template_{uuid4().hex[:12]}"
    servers.template(postgres_admin_url, name)
    yield name
    servers.now(databases.drop(postgres_admin_url, name))


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest, postgres_admin_url: str, database_template: str
) -> Iterator[Database]:
    """This module's database: `.url("scheduler")`, `.admin_url`, `.name`; production mode."""
    module = re.sub(r"\W", "_", request.module.__name__.rpartition(".")[2]).lower()[:40]
    made = servers.copy(postgres_admin_url, database_template, f"{module}_{uuid4().hex[:8]}")
    yield made
    servers.now(databases.drop(postgres_admin_url, made.name))


@pytest.fixture(scope="module")
def sandbox_database(database: Database) -> Database:
    """The module's database, in sandbox mode: `platform.set_law_now` works."""
    servers.now(databases.set_mode(database, "sandbox"))
    return database


@pytest.fixture
def fresh_database(postgres_admin_url: str, database_template: str) -> Iterator[Database]:
    """A fresh database for this test alone."""
    made = servers.copy(postgres_admin_url, database_template, f"test_{uuid4().hex[:12]}")
    yield made
    servers.now(databases.drop(postgres_admin_url, made.name))


@pytest.fixture(scope="module")
def postgres_url(database: Database) -> str:
    """Administrator's URL in the module's database."""
    return database.admin_url


@pytest.fixture
def topic_suffix() -> str:
    """A string that no other test uses; append it to topic and group names."""
    return f".{uuid4().hex[:12]}"


@pytest.fixture
def own_postgres(run_folder: Path) -> Iterator[Postgres]:
    """An embedded PostgreSQL of this test's own, started: stop, kill, restart it."""
    server = Postgres(run_folder / f"own-postgres-{uuid4().hex[:8]}")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_kafka(run_folder: Path) -> Iterator[Kafka]:
    """An embedded Kafka of this test's own, started: kill it, restart it with data or empty."""
    server = Kafka(run_folder / f"own-kafka-{uuid4().hex[:8]}")
    server.start()
    yield server
    server.kill()
