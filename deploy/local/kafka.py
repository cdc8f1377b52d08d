"""A real Apache Kafka 4.3, one KRaft node, from packages alone.

In: a folder for data and log. Out: a broker on a free port of 127.0.0.1 (`bootstrap`), which can
be stopped, killed, restarted with its data, or restarted empty as another cluster.
"""

import base64
import shutil
import socket
import struct
import uuid
from pathlib import Path

from deploy.local import jars, java, places
from deploy.local.processes import LOOPBACK, Process, free_port

START_SECONDS_MAX = 90.0  # 2-4 s on an idle machine; a loaded one recovers its logs first
FORMAT_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
PROBE_SECONDS_MAX = 2.0
# The serial collector and C1 alone start fastest and cost 350 MB; C2 pays only after minutes.
JVM_OPTIONS = (
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
)
LOG_SETTINGS = Path(__file__).with_name("kafka-log4j2.properties")
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
# One node: every internal topic has one copy, few partitions.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
# A killed broker may come back after 2 s instead of 9: its old session must expire first.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.retention.hours=168
# Segments are files of their own from the start; small ones keep a test's disk use small.
log.segment.bytes=134217728
# Compaction within seconds, so that a reader meets it in tests too.
log.cleaner.backoff.ms=5000
"""


def new_cluster_id() -> str:
    """Return a random cluster id; never one that the storage tool would take for an option."""
    while True:
        found = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not found.startswith("-"):
            return found


class Kafka:
    """One embedded broker with its data."""

    properties = PROPERTIES
    format_options: tuple[str, ...] = ()  # more for the storage tool, such as first users

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.cluster_id = ""
        self._controller_port = free_port()
        self._data = folder / "kafka-data"
        self._properties = folder / "kafka.properties"
        self._log4j = folder / LOG_SETTINGS.name
        self._user = places.server_user()
        self._java = [
            str(java.java()),
            *JVM_OPTIONS,
            "-cp",
            ":".join(str(jar) for jar in jars.fetched()),
        ]
        self.process = self._command("Kafka", "kafka.Kafka", str(self._properties))

    @property
    def bootstrap(self) -> str:
        """Address for clients, host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """Id of the broker's process."""
        return self.process.pid

    def start(self) -> None:
        """Format the storage when there is none, start, wait until it answers."""
        places.server_folder(self.folder)
        if not (self._data / "meta.properties").exists():
            self._format()
        self.process.start()
        self.process.wait_until(
            lambda: brokers(LOOPBACK, self.port) > 0, seconds_max=START_SECONDS_MAX
        )

    def stop(self) -> None:
        """TERM: a controlled shutdown, everything flushed."""
        self.process.stop(seconds_max=STOP_SECONDS_MAX)

    def kill(self) -> None:
        """Kill -9: what was acknowledged is in the operating system's cache, nothing more."""
        self.process.kill()

    def restart_with_data(self) -> None:
        """Stop (if it runs) and start on the same port with the same data."""
        self.stop()
        self.start()

    def restart_empty(self) -> None:
        """The same port, no data, another cluster id: a broker that lost everything."""
        self.kill()
        shutil.rmtree(self._data)
        self.start()

    def _format(self) -> None:
        places.server_folder(self._data)
        self.cluster_id = new_cluster_id()
        places.write(
            self._properties,
            self.properties.format(
                host=LOOPBACK,
                port=self.port,
                controller_port=self._controller_port,
                data=self._data,
            ),
        )
        places.write(self._log4j, LOG_SETTINGS.read_text())
        arguments = ["format", "-t", self.cluster_id, "-c", str(self._properties), "--standalone"]
        arguments += self.format_options
        tool = self._command("Kafka's storage tool", "kafka.tools.StorageTool", *arguments)
        tool.start()
        tool.wait_until(lambda: tool.exit_code == 0, seconds_max=FORMAT_SECONDS_MAX)

    def _command(self, name: str, *main: str) -> Process:
        logging = f"-Dlog4j2.configurationFile={self._log4j}"
        return Process(
            name,
            [*self._java, logging, *main],
            log=self.folder / "kafka.log",
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            user=self._user,
        )


def brokers(host: str, port: int) -> int:
    """How many brokers the one at this address knows of; 0 when it does not answer yet.

    A listening socket is not a broker: this asks for metadata (API 3, version 0, all topics) on
    the wire, so that starting needs no client library.
    """
    request = struct.pack(">hhih5si", 3, 0, 1, 5, b"probe", 0)
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS_MAX) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return 0
    if len(answer) < 12:  # noqa: PLR2004 - size, correlation id, count: three int32
        return 0
    _, _, count = struct.unpack(">iii", answer)
    return int(count)
