"""Which PostgreSQL and which Kafka: given, containers, or embedded; in that order.

In: `POSTGRES_URL` (an admin URL) and `KAFKA_BOOTSTRAP`, which win; `REGUA_TESTCONTAINERS=1` with a
Docker engine that answers. Out: a handle to start and stop. Only an embedded server can be killed
or emptied by us, so whoever breaks servers asks for `Postgres` and `Kafka` themselves.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from deploy.local.errors import CannotRun
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres

DOCKER_ANSWER_SECONDS_MAX = 10.0
POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = "apache/kafka:4.3.0"


class PostgresServer(Protocol):
    """Any PostgreSQL server we may administer."""

    @property
    def admin_url(self) -> str:
        """URL of an administrator."""

    def start(self) -> None:
        """Make it answer."""

    def stop(self) -> None:
        """End it, if it is ours."""


class KafkaServer(Protocol):
    """Any Kafka broker."""

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port."""

    def start(self) -> None:
        """Make it answer."""

    def stop(self) -> None:
        """End it, if it is ours."""


class Given:
    """A server that exists already; starting and stopping it is somebody else's work."""

    def __init__(self, address: str) -> None:
        self.admin_url = address
        self.bootstrap = address

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


class Contained:
    """A server in a container, through testcontainers."""

    def __init__(self, container: Any, address: Callable[[Any], str]) -> None:
        self._container = container
        self._address = address

    @property
    def admin_url(self) -> str:
        """URL of an administrator (PostgreSQL)."""
        return self._address(self._container)

    @property
    def bootstrap(self) -> str:
        """Address for clients (Kafka)."""
        return self._address(self._container)

    def start(self) -> None:
        """Start the container and wait until the server answers."""
        self._container.start()

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


def postgres(folder: Path) -> PostgresServer:
    """The PostgreSQL to use; an embedded one keeps its data and log in `folder`."""
    if url := os.environ.get("POSTGRES_URL"):
        if not url.startswith(("postgresql://", "postgres://")):
            raise CannotRun(
                "POSTGRES_URL must look like postgresql://admin:password@host:port/postgres"
            )
        return Given(url)
    if _containers_wanted():
        from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 - only where Docker is

        return Contained(
            PostgresContainer(POSTGRES_IMAGE, driver=None), lambda it: str(it.get_connection_url())
        )
    return Postgres(folder)


def kafka(folder: Path) -> KafkaServer:
    """The Kafka to use; an embedded one keeps its data and log in `folder`."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        if not bootstrap.rpartition(":")[2].isdigit():
            raise CannotRun("KAFKA_BOOTSTRAP must look like host:port")
        return Given(bootstrap)
    if _containers_wanted():
        from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - only where Docker is

        return Contained(
            KafkaContainer(KAFKA_IMAGE).with_kraft(), lambda it: str(it.get_bootstrap_server())
        )
    return Kafka(folder)


def _containers_wanted() -> bool:
    return os.environ.get("REGUA_TESTCONTAINERS") == "1" and _docker_answers()


def _docker_answers() -> bool:
    try:
        done = subprocess.run(
            ["docker", "info"],  # noqa: S607 - whichever docker the user has
            capture_output=True,
            check=False,
            timeout=DOCKER_ANSWER_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
