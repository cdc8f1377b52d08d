"""The whole of Regua on one machine: servers, sandbox and services, each its own process.

In: options (mode, ports, partitions, extra environment). Out: a running stack with its URLs and
the first admin key, whose parts can be stopped, killed, frozen and restarted one by one. The demo,
`make up`, the journeys and the bench all use this class.

Order: PostgreSQL and Kafka, database and topics, migrations, the first key, services, sandbox.
Stopping goes the other way round.
"""

import asyncio
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from deploy.local import commands, databases, given_kafka, ground, keys, places, servers
from deploy.local.databases import Database
from deploy.local.errors import CannotRun
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.processes import LOOPBACK, Process, free_port, require_free
from deploy.local.servers import KafkaServer, PostgresServer
from shared.postgres import migrate

ROOT = Path(__file__).parents[2]
# In the order they start.
SERVICES = ("scheduler", "contact_ledger", "sms_sender", "email_sender", "whatsapp_sender")
MAIL = "email_sender_mail"  # name of the port where mails come in: bounces, replies
SANDBOX = "sandbox"
PARTITIONS = 2  # on one machine a small batch costs more than a small number of partitions
KEYS_FILE = ROOT / ".regua" / "keys.json"
READY_SECONDS_MAX = 60.0
COMMAND_SECONDS_MAX = 120.0  # the first key, on a loaded machine
STOP_SECONDS_MAX = 35.0  # above DRAIN_SECONDS_MAX of the services
WATCH_SECONDS = 0.5


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a stack is to be; the defaults suit a test."""

    mode: str = "sandbox"
    services: Sequence[str] = SERVICES  # a flow over one channel needs no other channel's sender
    database: str | None = None  # a lasting one; default: of this run alone
    partitions: int = PARTITIONS
    seed: str = "1"  # fate of the sandbox's debtors
    ports: Mapping[str, int] = field(default_factory=dict)  # by service; others take free ones
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # extra, by service
    own_servers: bool = False  # embedded ones even where POSTGRES_URL and KAFKA_BOOTSTRAP are set
    folder: Path | None = None


class Stack:
    """A running Regua; use it in a `with` block, or start() and stop() it."""

    def __init__(self, options: Options | None = None, *, say: Callable[[str], None] | None = None):
        self.options = options or Options()
        self.folder = self.options.folder or places.run_folder("stack")
        own = self.options.own_servers
        self.postgres = (Postgres if own else servers.postgres)(self.folder / "postgres")
        self.kafka = (Kafka if own else servers.kafka)(self.folder / "kafka")
        # Roles and their passwords belong to the server: on one that lasts, so do the secrets.
        lasting = not isinstance(self.postgres, Postgres)
        self.keys = keys.kept(KEYS_FILE) if lasting else keys.made()
        self._name = self.options.database or f"regua_{secrets.token_hex(6)}"
        self._new = True
        self._standing: list[tuple[str, PostgresServer | KafkaServer]] = []
        self.processes: dict[str, Process] = {}
        self.ports: dict[str, int] = {}
        self.admin_key = ""
        self._database: Database | None = None
        self._say = say or (lambda _: None)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def database(self) -> Database:
        """The prepared database, with each service's URL."""
        if self._database is None:
            raise CannotRun("the stack has no database before it is started")
        return self._database

    @property
    def own_kafka(self) -> Kafka:
        """The embedded broker, to kill, restart or empty; raises when it is somebody else's."""
        if not isinstance(self.kafka, Kafka):
            raise CannotRun("this Kafka was given by KAFKA_BOOTSTRAP: it is not ours to break")
        return self.kafka

    @property
    def own_postgres(self) -> Postgres:
        """The embedded PostgreSQL, to kill or restart; raises when it is somebody else's."""
        if not isinstance(self.postgres, Postgres):
            raise CannotRun("this PostgreSQL was given by POSTGRES_URL: it is not ours to break")
        return self.postgres

    @property
    def control_key(self) -> str:
        """The key that the sandbox's control calls must show."""
        return self.keys["sandbox_control"]

    def url(self, name: str) -> str:
        """Base URL of a service (or of a further process of one, or of the sandbox)."""
        return f"http://{LOOPBACK}:{self._port(name)}"

    @property
    def mail_door(self) -> str:
        """Where mails for the e-mail sender come in: host:port."""
        return f"{LOOPBACK}:{self._port(MAIL)}"

    def start(self) -> None:
        """Start everything, in order, and wait until it is ready."""
        for name, port in self.options.ports.items():
            require_free(port, f"{name.upper()}_PORT")
        with ThreadPoolExecutor(max_workers=1) as beside:
            broker = beside.submit(self._start_kafka)  # the slowest: while migrations run
            self._start_postgres()
            self._migrate()
            broker.result()
        self._make_topics()
        for service in self.options.services:
            self.add(service)
        again = () if self._new else ("--force-new",)  # a lasting database has its first key
        self.admin_key = self.command("scheduler", "bootstrap", *again).split()[-1]
        self.add(SANDBOX)  # it is given that key
        for service in self.processes:
            self.wait_ready(service)

    def stop(self) -> None:
        """Stop everything in reverse order; logs stay, data goes."""
        for name in reversed(list(self.processes)):
            self._say(f"stopping {name}")
            self.processes[name].stop(seconds_max=STOP_SECONDS_MAX)
        if self.options.database is None and self._database is not None:
            self._drop_database()
        while self._standing:
            name, server = self._standing.pop()
            self._say(f"stopping {name}")
            server.stop()
        for data in ("kafka/kafka-data", "postgres/postgres-data"):
            shutil.rmtree(self.folder / data, ignore_errors=True)

    def add(self, service: str, *, name: str | None = None) -> Process:
        """Start a process of a service; `name` for a second one beside the first."""
        name = name or service
        self._port(name)
        process = Process(
            name,
            commands.serving(service)
            if service != SANDBOX
            else commands.sandbox(self.ports[name], self.options.seed, self.folder),
            log=self.folder / f"{name}.log",
            env=self.environment(service, name),
        )
        self.processes[name] = process
        process.start()
        return process

    def restart(self, name: str, *, seconds_max: float = READY_SECONDS_MAX) -> None:
        """Stop a service's process (if it runs), start it on its port, wait until it is ready."""
        process = self.processes[name]
        process.stop(seconds_max=STOP_SECONDS_MAX)
        process.start()
        self.wait_ready(name, seconds_max=seconds_max)

    def kill(self, name: str) -> None:
        """Kill -9 a service's process."""
        self.processes[name].kill()

    def freeze(self, name: str) -> None:
        """Stop a service's process in its tracks (SIGSTOP); thaw() lets it go on."""
        self.processes[name].freeze()

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self.processes[name].thaw()

    def wait_ready(self, name: str, *, seconds_max: float = READY_SECONDS_MAX) -> None:
        """Wait until the process says it is ready; raises with its log's tail when it dies."""
        self.processes[name].wait_until(lambda: self._ready(name), seconds_max=seconds_max)

    def watch(self) -> None:
        """Return never; raise when a process of the stack dies."""
        while True:
            for process in self.processes.values():
                if not process.alive:
                    raise CannotRun(
                        f"{process.name} ended with exit code {process.exit_code}; {process.said()}"
                    )
            time.sleep(WATCH_SECONDS)

    def command(self, service: str, *words: str) -> str:
        """Run a command of a service to its end; returns what it printed (maybe a secret)."""
        name = f"{service} {' '.join(words)}"
        self._say(name)
        done = subprocess.run(
            [sys.executable, "-m", f"services.{service}", *words],
            env=self.environment(service, service),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        if done.returncode != 0:
            raise CannotRun(f"{name} ended with exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def environment(self, service: str, name: str) -> dict[str, str]:
        """Every variable that a process of this service is given."""
        given = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | keys.environment(
            service, self.keys
        )
        if service == SANDBOX:
            given |= {"CLOCK_URL": f"{self.url('scheduler')}/v1/clock", "CLOCK_KEY": self.admin_key}
        else:
            given |= commands.environment(
                service,
                mode=self.options.mode,
                postgres_url=self.database.url(service),
                kafka_bootstrap=self.kafka.bootstrap,
                partitions=self.options.partitions,
                port=self.ports.get(name, 0),
                mail_port=self._port(MAIL) if name == "email_sender" else 0,
            )
            given |= given_kafka.environment_of(self.kafka)
        return commands.inherited() | given | dict(self.options.environment.get(service, {}))

    def _port(self, name: str) -> int:
        """The port of this name: given, or a free one found at the first question."""
        found = self.options.ports.get(name) or self.ports.get(name) or free_port()
        self.ports[name] = found
        return found

    def _migrate(self) -> None:
        """Bring every schema up to date, as the command `migrate` does, but importing once."""
        for service in self.options.services:
            self._say(f"{service} migrate")
            migrate.upgrade(service, self.database.url(service))

    def _start_kafka(self) -> None:
        self._say("starting Kafka")
        self._standing.append(("Kafka", self.kafka))
        self.kafka.start()

    def _make_topics(self) -> None:
        brokers = given_kafka.brokers_of(self.kafka)
        finished(ground.topics(brokers, partitions=self.options.partitions, new=self._new))

    def _start_postgres(self) -> None:
        self._say("starting PostgreSQL")
        self._standing.append(("PostgreSQL", self.postgres))
        self.postgres.start()
        url, mode = self.postgres.admin_url, self.options.mode
        self._new = not finished(databases.exists(url, self._name))
        self._database = finished(ground.prepared(url, self._name, self.keys, mode=mode))

    def _drop_database(self) -> None:
        """Leave no trace on a server that is not ours; our own goes with its data anyway."""
        if not isinstance(self.postgres, Postgres):
            finished(databases.drop(self.postgres.admin_url, self._name))

    def _ready(self, name: str) -> bool:
        try:
            status = httpx.get(f"{self.url(name)}/health/ready", timeout=2.0).status_code
        except httpx.TransportError:
            return False
        return status == httpx.codes.OK


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Finish a coroutine on a loop and a thread of its own, whatever loop the caller is in."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()
