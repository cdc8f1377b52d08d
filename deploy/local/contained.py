"""PostgreSQL and Kafka in containers, for tests on a machine with an engine.

In: REGUA_TESTCONTAINERS=1 and a Docker engine that answers; asked for without an engine it is one
line, never a silent change to other servers. Out: servers that start and stop like the embedded
ones, from the images of docker-compose.yml.
"""

import os
import subprocess
import time
from typing import Any

from deploy.local.errors import CannotRun
from deploy.local.kafka import brokers
from deploy.local.processes import LOOPBACK, free_port

POSTGRES_IMAGE = "postgres:18.6-bookworm"  # both as in docker-compose.yml
KAFKA_IMAGE = "apache/kafka:4.3.0"
VARIABLE = "REGUA_TESTCONTAINERS"
ANSWER_SECONDS_MAX = 10.0
START_SECONDS_MAX = 120.0  # an image that is there already; fetching one is the engine's own time
POLL_SECONDS = 0.2
BROKER_PORT = 9092
BROKER = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": f"PLAINTEXT://:{BROKER_PORT},CONTROLLER://:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
}


class ContainedPostgres:
    """PostgreSQL in a container."""

    def __init__(self) -> None:
        from testcontainers.community.postgres import (  # noqa: PLC0415 - only where Docker is
            PostgresContainer,
        )

        self._container: Any = PostgresContainer(POSTGRES_IMAGE, driver=None)

    @property
    def admin_url(self) -> str:
        """URL of an administrator."""
        return str(self._container.get_connection_url())

    def start(self) -> None:
        """Start the container and wait until the server answers."""
        self._container.start()

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


class ContainedKafka:
    """Kafka in a container, on a port of this machine that it is told to advertise."""

    def __init__(self) -> None:
        from testcontainers.core.container import (  # noqa: PLC0415 - only where Docker is
            DockerContainer,
        )

        self._port = free_port()
        self._container: Any = (
            DockerContainer(KAFKA_IMAGE)
            .with_envs(**BROKER, KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://{self.bootstrap}")
            .with_bind_ports(BROKER_PORT, self._port)
        )

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port."""
        return f"{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Start the container and wait until the broker answers."""
        self._container.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while brokers(LOOPBACK, self._port) == 0:
            if time.monotonic() > deadline:
                raise CannotRun(f"{KAFKA_IMAGE} did not answer within {START_SECONDS_MAX:g} s")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Remove the container."""
        self._container.stop()


def wanted() -> bool:
    """Whether containers were asked for; raises when they were and no engine answers."""
    if os.environ.get(VARIABLE) != "1":
        return False
    if not _engine_answers():
        raise CannotRun(f"{VARIABLE}=1, and no Docker engine answers: start one, or unset it")
    return True


def _engine_answers() -> bool:
    try:
        done = subprocess.run(
            ["docker", "info"],  # noqa: S607 - whichever docker the user has
            capture_output=True,
            check=False,
            timeout=ANSWER_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
