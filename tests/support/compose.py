"""The compose file, resolved by Compose itself, and its containers as processes.

In: what `docker-compose config` says, and an image for each service that is to run. Out: processes
with exactly that command, environment, user, files and rights, in the order that `depends_on`
gives, on an island whose host names are the services'. What an engine would add (limits, log
rotation, restarts) is not there.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from deploy.local.processes import Process
from tests.support.image import Image, Inside, Mount
from tests.support.island import Island
from tests.support.tree import ROOT

COMPOSE = str(Path(sys.executable).with_name("docker-compose"))
CONFIG_SECONDS_MAX = 60
CHECK_SECONDS_MAX = 60
POLL_SECONDS = 0.5  # each look is a process of its own
SANDBOX = ("--env-file", str(ROOT / "deploy" / "sandbox.env"))
EVERYTHING = (*SANDBOX, "--profile", "sandbox", "--profile", "sample")
Json = dict[str, Any]


def resolved(secrets: Path | None, *options: str, **variables: str) -> Json:
    """Return the configuration as Compose reads it; secrets are sought in `secrets`."""
    given = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | variables
    if secrets is not None:
        given["REGUA_SECRETS"] = str(secrets)
    files = ("--project-directory", str(ROOT), "-f", str(ROOT / "docker-compose.yml"))
    done = subprocess.run(
        [COMPOSE, *files, *options, "config", "--format", "json"],
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=CONFIG_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    found: Json = json.loads(done.stdout)
    return found


class Containers:
    """Those services of a resolved configuration for which there is an image."""

    def __init__(
        self, config: Json, images: Mapping[str, Image], island: Island, folder: Path
    ) -> None:
        self.services: Mapping[str, Json] = {name: config["services"][name] for name in images}
        self.processes: dict[str, Process] = {}
        self._config = config
        self._images = images
        self._island = island
        self._folder = folder
        self._ready: set[str] = set()
        self._by_hand = {
            name for name in images if "sample" in self.services[name].get("profiles", ())
        }

    def adopt(self, name: str, process: Process) -> None:
        """Count a process that was started otherwise as this service, ready."""
        self.processes[name] = process
        self._ready.add(name)

    def ready(self, name: str) -> None:
        """Count a service as healthy, whose health the test has found out otherwise."""
        self._ready.add(name)

    def up(self, seconds_max: float) -> None:
        """Start everything in its order; return when all is healthy, or done."""
        deadline = time.monotonic() + seconds_max
        while waiting := self._all() - self._ready:
            for name in sorted(waiting):
                if name not in self.processes and self._needs(name) <= self._ready:
                    self.start(name)
                if name in self.processes and self._is_ready(name):
                    self._ready.add(name)
            assert time.monotonic() < deadline, self._told(waiting)
            time.sleep(POLL_SECONDS)

    def start(self, name: str) -> None:
        """Start one service's process."""
        command = self.container(name).invocation(self._folder / f"{name}.json")
        process = Process(name, command, log=self._folder / f"{name}.log", env=dict(os.environ))
        self.processes[name] = process
        self._island.run(process.start)

    def run(self, name: str, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """Run another command in a container like this service's, as `compose run` does."""
        inside = self.container(name, command)
        return self._island.run(
            subprocess.run,
            inside.invocation(self._folder / f"{name}.run.json"),
            capture_output=True,
            text=True,
            check=False,
            timeout=CHECK_SECONDS_MAX,
        )

    def stop(self, name: str) -> int | None:
        """Stop it as an engine does: TERM, and KILL after its grace period."""
        grace = self.services[name].get("stop_grace_period", "10s")
        return self.processes[name].stop(seconds_max=float(grace.removesuffix("s")))

    def down(self) -> None:
        """Stop everything at once, the servers last."""
        servers = [name for name in self.processes if "kafka" in name or "postgres" in name]
        others = [name for name in self.processes if name not in servers]
        for names in (others, servers):
            with ThreadPoolExecutor(max_workers=max(1, len(names))) as side_by_side:
                list(side_by_side.map(lambda name: self.processes[name].stop(), names))

    def container(self, name: str, command: Sequence[str] | None = None) -> Inside:
        """Everything that the engine would give to this service's container."""
        service, image = self.services[name], self._images[name]
        user = service.get("user") or image.user
        uid, _, gid = user.partition(":")
        entrypoint = service.get("entrypoint") or image.entrypoint
        # As an engine does: an entrypoint of one's own drops the image's command.
        default = [] if service.get("entrypoint") else image.command
        return Inside(
            root=str(image.root),
            mounts=[*image.mounts, *self._mounts(service)],
            command=command or [*entrypoint, *(service.get("command") or default)],
            environment=image.environment | (service.get("environment") or {}),
            workdir=image.workdir,
            user=(int(uid), int(gid)),
            read_only=service.get("read_only", False),
        )

    def _mounts(self, service: Json) -> list[Mount]:
        mounts: list[Mount] = [
            {"kind": "bind", "source": str(self._island.hosts), "target": "/etc/hosts"}
        ]
        for each in service.get("tmpfs", ()):
            target, _, options = each.partition(":")
            mounts.append({"kind": "tmpfs", "target": target, "options": options or "rw"})
        for each in service.get("secrets", ()):
            source = self._config["secrets"][each["source"]]["file"]
            target = each.get("target") or f"/run/secrets/{each['source']}"
            mounts.append({"kind": "bind", "source": source, "target": target, "read_only": True})
        for each in service.get("volumes", ()):
            source = each["source"]
            if each["type"] == "volume":
                source = str(self._folder / "volumes" / source)
            only = each.get("read_only", False)
            bind = {"kind": "bind", "source": source, "target": each["target"], "read_only": only}
            mounts.append(bind)
        return mounts

    def _all(self) -> set[str]:
        """What starts by itself: not what a person runs when it is needed."""
        return (set(self.services) | set(self.processes)) - self._by_hand

    def _needs(self, name: str) -> set[str]:
        return set(self.services[name].get("depends_on", {}))

    def _is_ready(self, name: str) -> bool:
        process, service = self.processes[name], self.services[name]
        if service.get("restart") == "no":
            assert process.alive or process.exit_code == 0, process.said()
            return not process.alive
        assert process.alive, process.said()
        check = service["healthcheck"]["test"]
        assert check[0] == "CMD", "a shell is one more thing that an image must have"
        return self.run(name, check[1:]).returncode == 0

    def _told(self, waiting: set[str]) -> str:
        return "\n".join(
            self.processes[name].said() if name in self.processes else f"{name}: not started"
            for name in sorted(waiting)
        )
