"""Which PostgreSQL and which Kafka: given, containers, or embedded; in that order.

In: `POSTGRES_URL` (an admin URL) and `KAFKA_BOOTSTRAP` (with what `given_kafka` reads beside it),
which win; `REGUA_TESTCONTAINERS=1`, which needs a Docker engine. Out: a handle to start and stop.
Only an embedded server can be killed or emptied by us, so whoever breaks servers asks for
`Postgres` and `Kafka` themselves.
"""

import os
from pathlib import Path
from typing import Protocol

from deploy.local import contained
from deploy.local.errors import CannotRun
from deploy.local.given_kafka import GivenKafka
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres


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


class GivenPostgres:
    """A server that exists already; starting and stopping it is somebody else's work."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


def postgres(folder: Path) -> PostgresServer:
    """The PostgreSQL to use; an embedded one keeps its data and log in `folder`."""
    if url := os.environ.get("POSTGRES_URL"):
        if not url.startswith(("postgresql://", "postgres://")):
            raise CannotRun(
                "POSTGRES_URL must look like postgresql://admin:password@host:port/postgres"
            )
        return GivenPostgres(url)
    if contained.wanted():
        return contained.ContainedPostgres()
    return Postgres(folder)


def kafka(folder: Path) -> KafkaServer:
    """The Kafka to use; an embedded one keeps its data and log in `folder`."""
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return GivenKafka()
    if contained.wanted():
        return contained.ContainedKafka()
    return Kafka(folder)
