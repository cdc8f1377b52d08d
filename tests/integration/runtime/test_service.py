"""A real process: it starts in order, stops in reverse, and its exit code says why it ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from shared import runtime

PATIENCE_SECONDS = 30.0  # a busy machine takes seconds to start a process


class Process:
    """A probe service; its output is read by a thread as it comes."""

    def __init__(self, plot: str, **environment: str) -> None:
        given = {
            "KAFKA_BOOTSTRAP": "unused:9092",
            "POSTGRES_URL": "postgresql://unused/regua",
            "HTTP_PORT": "0",
            **environment,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.probe_service", plot],
            env=os.environ | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._keep, args=args, daemon=True)
            for args in ((self._process.stdout, self.out), (self._process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _keep(stream: Any, lines: list[str]) -> None:
        lines.extend(iter(stream.readline, ""))

    def until(self, met: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not met():
            assert time.monotonic() < deadline, f"out: {self.out} err: {self.err}"
            assert self._process.poll() is None or met(), f"ended: {self.out} {self.err}"
            time.sleep(0.01)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.out[:] if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def said(self) -> list[str]:
        return [line.removeprefix("probe ").strip() for line in self.out if line[0] == "p"]

    def running(self) -> "Process":
        self.until(lambda: self.events("service_started"))
        return self

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int:
        code = self._process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join(PATIENCE_SECONDS)
        return code

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.ended()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(plot: str, **environment: str) -> Process:
            process = Process(plot, **environment)
            stack.callback(process.close)
            return process

        yield begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_in_order_and_stops_in_reverse(start: Start, number: signal.Signals) -> None:
    process = start("fine").running()
    (listening,) = process.events("http_listening")
    ready = httpx.get(f"http://127.0.0.1:{listening['port']}/health/ready")
    assert ready.json()["checks"] == {"started": True, "not_stopping": True, "database": True}
    process.signal(number)
    assert process.ended() == runtime.EXIT_OK
    said = process.said()
    assert said[0] == "open database"
    assert said[-3:] == ["stop second", "stop first", "close database"]
    assert process.events("service_stopped")
    assert process.err == []


def test_the_crash_of_a_critical_loop_is_one_line_and_exit_code_1(start: Start) -> None:
    process = start("crash")
    assert process.ended() == runtime.EXIT_CRASH
    (line,) = process.events("loop_crashed")
    assert line["component"] == "second"
    assert line["error_type"] == "LookupError"
    assert "Maria" not in "".join(process.out)
    assert "5511987654321" not in "".join(process.out)
    assert process.said()[-2:] == ["stop first", "close database"]


def test_a_critical_loop_that_ends_by_itself_is_a_crash(start: Start) -> None:
    process = start("returns")
    assert process.ended() == runtime.EXIT_CRASH
    assert process.events("loop_crashed")[0]["component"] == "second"


def test_a_helper_that_crashes_is_started_again(start: Start) -> None:
    process = start("helper-crash").running()
    process.until(lambda: "start helper 2" in process.said())
    assert process.events("loop_failed")[0]["component"] == "helper"
    process.signal(signal.SIGTERM)
    assert process.ended() == runtime.EXIT_OK


def test_what_hangs_is_cut_off_at_the_deadline_and_the_rest_still_stops(start: Start) -> None:
    process = start("hangs", DRAIN_SECONDS_MAX="0.3").running()
    process.signal(signal.SIGTERM)
    assert process.ended() == runtime.EXIT_OK
    assert process.events("drain_deadline_passed")[0]["component"] == "second"
    assert process.said()[-2:] == ["stop first", "close database"]


def test_a_second_signal_cuts_the_stop_short(start: Start) -> None:
    process = start("hangs", DRAIN_SECONDS_MAX="60").running()
    process.signal(signal.SIGTERM)
    process.until(lambda: process.events("service_stopping"))
    process.signal(signal.SIGTERM)
    assert process.ended() == runtime.EXIT_OK
    assert process.said()[-1] == "close database"


def test_a_blocked_event_loop_is_ended_from_outside(start: Start) -> None:
    process = start("blocks", DRAIN_SECONDS_MAX="0.1").running()
    process.signal(signal.SIGTERM)
    assert process.ended() == runtime.EXIT_CRASH


def test_a_stop_while_starting_is_orderly(start: Start) -> None:
    process = start("never-starts")
    process.until(lambda: "start first" in process.said())
    process.signal(signal.SIGTERM)
    assert process.ended() == runtime.EXIT_OK
    assert process.said()[-1] == "close database"


def test_a_port_in_use_is_one_line_and_exit_code_3(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("fine", HTTP_PORT=str(port))
        assert process.ended() == runtime.EXIT_CANNOT_START
    assert process.err == [
        f"probe: port {port} on 127.0.0.1 is in use; set HTTP_PORT to a free one (0 takes any)\n"
    ]


def test_what_cannot_start_is_one_line_and_exit_code_3(start: Start) -> None:
    process = start("cannot-start")
    assert process.ended() == runtime.EXIT_CANNOT_START
    assert process.err == ["probe: cannot start: ConnectionRefusedError: no such server '***'\n"]
    assert process.said()[-1] == "close database"


def test_a_missing_setting_is_one_line_and_exit_code_2(start: Start) -> None:
    process = start("fine", POSTGRES_URL="")
    assert process.ended() == runtime.EXIT_BAD_SETTINGS
    (line,) = process.err
    assert line.startswith("probe: POSTGRES_URL is not set; set POSTGRES_URL")
