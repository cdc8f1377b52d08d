"""The whole stack on one machine, as `make up` starts it: ready, closed to strangers, gone after.

One stack for the file; every process is a real one.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.local.processes import free_port
from deploy.local.stack import SANDBOX, SERVICES, Options, Stack

OPEN_PATHS = re.compile(r"/health/(live|ready|startup)|/metrics")
# Providers have no key of ours: their requests are signed, and refused without the signature.
SIGNED_PATHS = re.compile(r"/(webhooks|inbound)/")
UP_SECONDS_MAX = 180
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def stack(run_folder: Path) -> Iterator[Stack]:
    with Stack(Options(folder=run_folder / "stack", own_servers=True)) as running:
        yield running


@pytest.mark.parametrize("service", SERVICES)
def test_no_route_answers_a_caller_without_a_key(stack: Stack, service: str) -> None:
    with httpx.Client(base_url=stack.url(service), timeout=10) as stranger:
        described = stranger.get("/openapi.json", headers={"X-API-Key": stack.admin_key})
        routes = [
            (method, path)
            for path, methods in described.json()["paths"].items()
            for method in methods
            if not OPEN_PATHS.fullmatch(path)
        ]
        assert routes, "a service without any route of its own"
        answers = {
            f"{method} {path}": stranger.request(method, re.sub(r"{\w+}", NOBODYS_ID, path))
            for method, path in routes
        }
    refused = {401, 403, 404} if service.endswith("_sender") else {401}
    wrong = {
        route: answer.status_code
        for route, answer in answers.items()
        if answer.status_code not in (refused if SIGNED_PATHS.search(route) else {401})
    }
    assert not wrong


@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_key_is_no_better_than_none(stack: Stack, service: str) -> None:
    answer = httpx.get(stack.url(service) + "/v1/progress", headers={"X-API-Key": "no such key"})
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_first_key_opens_every_service(stack: Stack) -> None:
    for service in SERVICES:
        answer = httpx.get(
            stack.url(service) + "/v1/progress", headers={"X-API-Key": stack.admin_key}
        )
        assert answer.status_code == httpx.codes.OK, (service, answer.text)


@pytest.mark.parametrize("service", [*SERVICES, SANDBOX])
def test_a_killed_process_comes_back_on_its_port(stack: Stack, service: str) -> None:
    before = stack.processes[service].pid
    stack.kill(service)
    stack.restart(service)
    assert stack.processes[service].pid != before
    assert httpx.get(stack.url(service) + "/health/live").status_code == httpx.codes.OK


def test_up_says_where_everything_is_and_ctrl_c_leaves_nothing_behind() -> None:
    names = (*SERVICES, SANDBOX)
    ports = {f"{name.upper()}_PORT": str(free_port()) for name in names}
    environment = {key: os.environ[key] for key in os.environ if not key.endswith("_BOOTSTRAP")}
    environment.pop("POSTGRES_URL", None)
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "up"],
        env=environment | ports,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as up:
        said = ended_with(up, "Ctrl-C stops it all")
        family = psutil.Process(up.pid).children(recursive=True)
        for port in ports.values():
            assert f"http://127.0.0.1:{port}" in said
        assert len(family) > len(names)
        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=UP_SECONDS_MAX) == 0
    assert not [child for child in family if child.is_running()]


def ended_with(up: "subprocess.Popen[str]", words: str) -> str:
    """What it said up to the line with these words; fails when it ends before."""
    said = ""
    assert up.stdout is not None
    for line in up.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)
