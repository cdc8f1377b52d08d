"""`docker compose up` on a machine with an engine: asked for by REGUA_TESTCONTAINERS=1 alone."""

from pathlib import Path
from uuid import uuid4

import pytest
from testcontainers.compose import DockerCompose

from deploy.containers import keys
from deploy.local.processes import free_port
from tests.support.tree import ROOT

PORTS = (
    "SCHEDULER_PORT", "SMS_SENDER_PORT", "EMAIL_SENDER_PORT", "WHATSAPP_SENDER_PORT", "MAIL_PORT",
    "CONTACT_LEDGER_PORT", "SANDBOX_PORT", "PROMETHEUS_PORT",
    "ALERTMANAGER_PORT", "GRAFANA_PORT",
)  # fmt: skip


def test_docker_compose_up_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.write_missing(tmp_path / "secrets")
    monkeypatch.setenv("REGUA_SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", f"regua-{uuid4().hex[:8]}")
    for name in PORTS:
        monkeypatch.setenv(name, str(free_port()))
    compose = DockerCompose(context=ROOT, build=True, env_file="deploy/sandbox.env")
    with compose:  # up --wait: returns when all is healthy, or raises
        running = {each.Service: each for each in compose.get_containers()}
    serving = {"scheduler", "sms-sender", "email-sender", "whatsapp-sender", "contact-ledger"}
    assert serving | {"kafka", "postgres", "grafana", "sandbox"} <= set(running)
    assert {running[name].Health for name in serving} == {"healthy"}
