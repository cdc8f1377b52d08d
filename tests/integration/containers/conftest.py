"""The compose file's containers, started once for this folder, without an engine.

In: the Dockerfile and the compose file in sandbox mode, root on Linux (namespaces). Out: `site`,
with every service of our image running beside PostgreSQL and Kafka that got the compose file's own
settings. REGUA_NO_NAMESPACES=1 leaves these tests out, where there is no root;
REGUA_TESTCONTAINERS=1 adds the one that needs an engine.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.containers import keys
from deploy.local import contained, places
from deploy.local.kafka import brokers
from tests.support import compose, servers_contained
from tests.support.certificates import Authority
from tests.support.compose import Containers
from tests.support.image import Image, built
from tests.support.island import Island

UP_SECONDS_MAX = 300.0  # half a minute on a quiet machine
KAFKA_SECONDS_MAX = 90.0
OWN_IMAGE = "regua:"
MAIL_TLS = {
    "MAIL_TLS_CERTIFICATE_FILE": "/run/mail_tls/mail.crt",
    "MAIL_TLS_KEY_FILE": "/run/mail_tls/mail.key",
}
WITHOUT = os.environ.get("REGUA_NO_NAMESPACES") == "1"
POSSIBLE = sys.platform == "linux" and os.geteuid() == 0
collect_ignore = ["test_compose_stack.py", "test_message.py"] if WITHOUT else []
if os.environ.get(contained.VARIABLE) != "1":
    collect_ignore.append("test_engine.py")


@dataclass(kw_only=True)
class Site:
    """What runs, and what it was made from."""

    config: dict[str, Any]
    image: Image
    containers: Containers
    island: Island
    secrets: Path
    folder: Path

    @property
    def serving(self) -> list[str]:
        """Services of our image that stay up."""
        return [name for name in self.own if self.config["services"][name]["restart"] != "no"]

    @property
    def own(self) -> list[str]:
        """Services of our image."""
        return own_services(self.config)


def own_services(config: dict[str, Any]) -> list[str]:
    """Which services run our image."""
    services = config["services"]
    return [name for name in services if services[name].get("image", "").startswith(OWN_IMAGE)]


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Everything up and healthy, as `docker compose --env-file deploy/sandbox.env up` has it."""
    if not POSSIBLE:
        pytest.fail("these tests need root on Linux; REGUA_NO_NAMESPACES=1 leaves them out")
    folder = places.run_folder("containers")
    secrets = folder / "secrets"
    keys.write_missing(secrets)
    Authority(secrets / "mail_tls").issue("mail", host="email-sender")
    config = compose.resolved(secrets, *compose.EVERYTHING, **MAIL_TLS)
    island = Island(folder, list(config["services"]))
    image = built(folder)
    images = dict.fromkeys(own_services(config), image)
    images |= {
        "database": servers_contained.psql(folder),
        "kafka": servers_contained.kafka(folder),
    }
    containers = Containers(config, images, island, folder)
    try:
        _start_servers(containers, secrets, folder, island)
        containers.up(UP_SECONDS_MAX)
        yield Site(
            config=config,
            image=image,
            containers=containers,
            island=island,
            secrets=secrets,
            folder=folder,
        )
    finally:
        containers.down()
        island.close()
    shutil.rmtree(folder)  # kept, with every log, when something above failed


def _start_servers(containers: Containers, secrets: Path, folder: Path, island: Island) -> None:
    containers.start("kafka")
    services = compose.resolved(secrets)["services"]
    password = (secrets / "postgres_admin_password").read_text().strip()
    options = services["postgres"]["command"][1:]
    server = servers_contained.postgres(folder, password, options)
    island.run(server.start)
    containers.adopt("postgres", server.process)
    containers.processes["kafka"].wait_until(
        lambda: island.run(brokers, "kafka", 9092) > 0, seconds_max=KAFKA_SECONDS_MAX
    )
    containers.ready("kafka")


@pytest.fixture(scope="session")
def admin_key(site: Site) -> str:
    """The first key, as README tells to make it."""
    done = site.containers.run("scheduler", ["python", "-m", "services.scheduler", "bootstrap"])
    assert done.stdout.startswith("platform key (shown this once): "), done.stderr
    return done.stdout.split()[-1]


@pytest.fixture
def in_container(site: Site) -> Any:
    """Run a line of Python in a container like a service's; returns the finished process."""

    def run(service: str, code: str) -> "subprocess.CompletedProcess[str]":
        return site.containers.run(service, ["python", "-c", code])

    return run
