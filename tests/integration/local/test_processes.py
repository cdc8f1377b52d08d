"""Child processes: ended with their parent, however it ends; logs shown when one dies."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import CannotRun
from deploy.local.processes import Process, free_port, require_free

PARENT = """
import os, pathlib, sys, time
from deploy.local.processes import Process
child = Process("sleeper", ["/bin/sleep", "600"], log=pathlib.Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(600)
"""
GONE_SECONDS_MAX = 15.0


def test_a_child_does_not_outlive_a_parent_killed_at_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    child_gone(child)


def child_gone(child: psutil.Process) -> None:
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def test_a_process_that_dies_says_why(tmp_path: Path) -> None:
    process = Process("dying", ["/bin/sh", "-c", "echo no room; exit 3"], log=tmp_path / "log")
    process.start()
    with pytest.raises(CannotRun, match=r"dying ended with exit code 3; .*\n.*no room"):
        process.wait_until(lambda: False, seconds_max=10)


def test_a_frozen_process_lives_and_can_still_be_stopped(tmp_path: Path) -> None:
    process = Process("sleeper", ["/bin/sleep", "600"], log=tmp_path / "log")
    process.start()
    process.freeze()
    assert process.alive
    assert process.stop() == -signal.SIGTERM


def test_a_port_in_use_is_refused_in_one_line_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotRun, match=f"^port {port} .* set SCHEDULER_PORT$"):
            require_free(port, "SCHEDULER_PORT")
    require_free(free_port(), "SCHEDULER_PORT")
