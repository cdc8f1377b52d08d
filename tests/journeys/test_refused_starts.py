"""A service that must not start says why in one line, and how to help, and is gone.

What is wrong is always only what the test makes wrong.
"""

import subprocess
import sys

import pytest

from deploy.local.stack import SERVICES
from tests.support.journey import Site

BAD_SETTINGS, CANNOT_START = 2, 3
START_SECONDS_MAX = 60
SECRETS = {
    "scheduler": "IDENTITY_KEYS",
    "contact_ledger": "LEDGER_KEK",
    "sms_sender": "CALLBACK_KEY",
    "email_sender": "CALLBACK_KEY",
    "whatsapp_sender": "CALLBACK_KEY",
}


def start(
    site: Site, service: str, *, leave_out: str | None = None, **changed: str
) -> tuple[int, list[str]]:
    """Start a second process of a service with a changed environment; exit code and stderr."""
    environment = site.stack.environment(service, f"{service}-trial") | changed
    environment.pop(leave_out or "", None)
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}", "serve"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=START_SECONDS_MAX,
    )
    said = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return done.returncode, said


@pytest.mark.parametrize(
    ("service", "variable"),
    [*SECRETS.items(), ("scheduler", "POSTGRES_URL"), ("contact_ledger", "KAFKA_BOOTSTRAP")],
)
def test_a_missing_setting_is_named(site: Site, service: str, variable: str) -> None:
    code, [line] = start(site, service, leave_out=variable)
    assert code == BAD_SETTINGS
    assert variable in line


@pytest.mark.parametrize("service", SERVICES)
def test_another_number_of_partitions_is_refused(site: Site, service: str) -> None:
    code, [line] = start(site, service, KAFKA_PARTITIONS="3")
    assert code == CANNOT_START
    assert "3" in line
    assert "partition" in line


@pytest.mark.parametrize("service", SERVICES)
def test_the_other_mode_is_refused(site: Site, service: str) -> None:
    code, [line] = start(site, service, MODE="production")
    assert code == CANNOT_START
    assert "sandbox" in line
    assert "MODE" in line


@pytest.mark.parametrize("service", SERVICES)
def test_a_port_in_use_is_refused(site: Site, service: str) -> None:
    port = str(site.stack.ports[service])
    code, [line] = start(site, service, HTTP_PORT=port)
    assert code == CANNOT_START
    assert port in line


@pytest.mark.parametrize("service", SERVICES)
def test_example_secrets_are_refused_outside_the_sandbox(site: Site, service: str) -> None:
    example = {SECRETS[service]: "example-key", "MODE": "production"}
    code, [line] = start(site, service, **example)
    assert code == BAD_SETTINGS
    assert SECRETS[service] in line
    assert "example-key" not in line
