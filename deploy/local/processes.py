"""One child process: started with a log file, stopped, killed, frozen and thawed by its id.

In: a command, its environment and where its output goes. Out: a handle that knows whether the
process lives, the tail of its log, and how to end it within a bounded time.
"""

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.errors import CannotRun
from deploy.local.guard import GUARD
from deploy.local.places import unwritable

TAIL_LINES = 40  # enough for a stack trace and what led to it
POLL_SECONDS = 0.05
LOOPBACK = "127.0.0.1"


class Process:
    """A child process with its log; the same handle serves for every life of it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        user: pwd.struct_passwd | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.env = dict(env) if env is not None else None
        self._user = user
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Id of the running process; raises when it was never started."""
        if self._child is None:
            raise CannotRun(f"{self.name} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs (a frozen one does)."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it started."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Start it; its output is appended to the log."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            output = self.log.open("ab")
        except OSError as error:
            raise CannotRun(unwritable(self.log, error)) from error
        with output:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.log.parent if self._user else None,
                start_new_session=True,  # Ctrl-C reaches us alone; we stop them in order
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        GUARD.watch(self.pid)

    def stop(self, *, by: signal.Signals = signal.SIGTERM, seconds_max: float = 30.0) -> int | None:
        """Ask it to end, wait, then kill; returns the exit code."""
        if self._child is None or not self.alive:
            return self.exit_code
        self.thaw()
        self._child.send_signal(by)
        try:
            self._child.wait(timeout=seconds_max)
        except subprocess.TimeoutExpired:
            self.kill()
        GUARD.forget(self.pid)
        return self.exit_code

    def kill(self) -> None:
        """End it and its children at once (-9); nothing is flushed."""
        if self._child is None or not self.alive:
            return
        try:
            family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            with_pid(member, signal.SIGKILL)
        self._child.wait()
        GUARD.forget(self.pid)
        psutil.wait_procs(family[1:], timeout=5)

    def freeze(self) -> None:
        """Stop its clock (SIGSTOP): alive, holding its connections, doing nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        if self.alive:
            os.kill(self.pid, signal.SIGCONT)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def said(self) -> str:
        """Where its log is and how it ends, for an error message."""
        return f"log {self.log}:\n{self.tail()}"

    def wait_until(self, ready: Callable[[], bool], *, seconds_max: float) -> None:
        """Poll `ready` until it says yes; raises with the log's tail when that cannot be."""
        deadline = time.monotonic() + seconds_max
        while not ready():
            if not self.alive and not ready():
                raise CannotRun(f"{self.name} ended with exit code {self.exit_code}; {self.said()}")
            if time.monotonic() > deadline:
                raise CannotRun(f"{self.name} not ready within {seconds_max:g} s; {self.said()}")
            time.sleep(POLL_SECONDS)


def with_pid(member: psutil.Process, sign: signal.Signals) -> None:
    """Signal a process that may have gone meanwhile."""
    try:
        member.send_signal(sign)
    except psutil.NoSuchProcess:
        return


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, variable: str) -> None:
    """Refuse, in one line, a port that somebody already listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CannotRun(
                f"port {port} of {LOOPBACK} is in use: stop what listens there or set {variable}"
            ) from error


def listening(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
