"""The whole stack on one machine, as `make up` starts it: ready, closed to strangers, as its
documents say, gone after.

One stack for the file; every process is a real one. A client's story calls every operation of
scheduler and ledger; then requests are drawn from the documents, valid and broken ones; what the
services wrote to Kafka meanwhile is held against the AsyncAPI document.
"""

import json
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

from deploy.demo.platform import Platform
from deploy.demo.setting import prepare
from deploy.documents.files import openapi_path
from deploy.local.processes import free_port
from deploy.local.stack import MAIL, SANDBOX, SERVICES, Options, Stack, finished
from shared.events.handoff import HANDOFF_CLOSED, HANDOFF_REQUESTED
from shared.events.topics import CONTACT_TASKS_HANDOFF, TOPICS
from tests.support.bus import read_all
from tests.support.client_story import ClientStory
from tests.support.documented import Documented
from tests.support.topic_documents import departures, type_of

OPEN_PATHS = re.compile(r"/health/(live|ready|startup)|/metrics")
# Providers and recipients have no key of ours: their requests are signed, or refused.
SIGNED_PATHS = re.compile(r"/(webhooks|unsubscribe)/")
UP_SECONDS_MAX = 180
NOBODYS_ID = "00000000-0000-4000-8000-000000000000"
TENANT = "documents"
DRAWN = 5  # requests per operation and kind; each costs some 10 ms, most of it in the judge


@pytest.fixture(scope="module")
def stack(run_folder: Path) -> Iterator[Stack]:
    with Stack(Options(folder=run_folder / "stack", own_servers=True)) as running:
        yield running


@pytest.fixture(scope="module")
def tenant_key(stack: Stack) -> str:
    """The key of a tenant with the sample's configuration."""
    urls = {name: stack.url(name) for name in stack.processes}
    keys = {"admin_key": stack.admin_key, "control_key": stack.control_key}
    with Platform(urls, **keys) as platform:
        prepare(platform, stack, TENANT)
        return platform.tenant["X-API-Key"]


@pytest.fixture(scope="module")
def documented(stack: Stack) -> Iterator[dict[str, Documented]]:
    """Every service behind its document."""
    made = {name: Documented(stack.url(name), stack.admin_key) for name in SERVICES}
    yield made
    for each in made.values():
        each.close()


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


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_answers_the_document_that_is_checked_in(
    documented: dict[str, Documented], service: str
) -> None:
    assert documented[service].document == json.loads(openapi_path(service).read_text())


def test_a_client_that_goes_by_the_documents_gets_what_they_say(
    documented: dict[str, Documented], stack: Stack, tenant_key: str
) -> None:
    scheduler, ledger = documented["scheduler"], documented["contact_ledger"]
    ClientStory(scheduler, ledger, tenant_key=tenant_key, admin=stack.admin_key).tell()
    assert scheduler.succeeded == scheduler.operations
    assert ledger.succeeded == ledger.operations


@pytest.mark.parametrize("broken", [False, True], ids=["valid", "broken"])
@pytest.mark.parametrize("service", SERVICES)
def test_whatever_is_asked_is_answered_as_the_document_says(
    documented: dict[str, Documented], tenant_key: str, service: str, *, broken: bool
) -> None:
    for name in sorted(documented[service].operations):
        documented[service].ask(name, key=tenant_key, examples=DRAWN, broken=broken)


def test_every_record_on_kafka_is_as_the_document_says(stack: Stack) -> None:
    found = {topic.name: finished(read_all(stack.kafka.bootstrap, topic.name)) for topic in TOPICS}
    records = [record for parts in found.values() for part in parts.values() for record in part]
    types = {type_of(each) for each in records}
    assert {"debt.registered.v1", "contact.delivered.v1"} <= types
    handed = [each for each in records if each.topic == CONTACT_TASKS_HANDOFF.name]
    assert {type_of(each) for each in handed} == {HANDOFF_REQUESTED, HANDOFF_CLOSED}
    assert len({each.headers["ce_id"] for each in handed}) == len(handed), "each told once"
    assert {departure for record in records for departure in departures(record)} == set()


@pytest.mark.parametrize("service", [*SERVICES, SANDBOX])
def test_a_killed_process_comes_back_on_its_port(stack: Stack, service: str) -> None:
    before = stack.processes[service].pid
    stack.kill(service)
    stack.restart(service)
    assert stack.processes[service].pid != before
    assert httpx.get(stack.url(service) + "/health/live").status_code == httpx.codes.OK


def test_up_says_where_everything_is_and_ctrl_c_leaves_nothing_behind() -> None:
    names = (*SERVICES, SANDBOX, "view")
    ports = {f"{name.upper()}_PORT": str(free_port()) for name in names}
    mail = {f"{MAIL.upper()}_PORT": str(free_port())}
    environment = {key: os.environ[key] for key in os.environ if not key.endswith("_BOOTSTRAP")}
    environment.pop("POSTGRES_URL", None)
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "up"],
        env=environment | ports | mail,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as up:
        try:
            said = ended_with(up, "Ctrl-C stops it all")
            family = psutil.Process(up.pid).children(recursive=True)
            for port in ports.values():
                assert f"http://127.0.0.1:{port}" in said
            assert len(family) > len(names)
            up.send_signal(signal.SIGINT)
            assert up.wait(timeout=UP_SECONDS_MAX) == 0
        finally:
            up.terminate()  # a failure must not wait for what never ends
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
