"""A process with one component of each kind, for tests of `shared.runtime`; argv names the plot."""

import asyncio
import sys
import time
from typing import ClassVar

from shared.clock import Clock
from shared.directory import Directory
from shared.http.server import HttpServer, Progress, create_app
from shared.runtime import Service
from shared.settings import ServiceSettings, load


class ProbeSettings(ServiceSettings):
    service_name: ClassVar[str] = "probe"


def say(what: str) -> None:
    sys.stdout.write(f"probe {what}\n")
    sys.stdout.flush()


class Resource:
    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    async def open(cls, name: str) -> "Resource":
        say(f"open {name}")
        return cls(name)

    async def close(self) -> None:
        say(f"close {self.name}")


class Plot:
    """What goes wrong in this run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tries = 0

    async def assemble(self, service: Service) -> None:
        app = create_app(
            service="probe",
            settings=service.settings,
            auth=Directory(),
            machine_now=Clock().machine_now,
            routers=[],
            readiness=service.readiness,
            progress=self.progress,
        )
        await service.open("http", HttpServer.start(app, service.settings), HttpServer.stop)
        await service.open("database", Resource.open("database"), Resource.close)
        service.check("database", lambda: True)
        service.add("first", self.first)
        service.add("second", self.second)
        service.add("helper", self.helper, critical=False)
        if self.name == "cannot-start":
            msg = "no such server '+5511987654321'"
            raise ConnectionRefusedError(msg)
        if self.name == "never-starts":
            await asyncio.Event().wait()

    async def progress(self) -> Progress:
        return Progress(counters={}, pending={})

    async def first(self, stop: asyncio.Event) -> None:
        say("start first")
        await stop.wait()
        say("stop first")

    async def second(self, stop: asyncio.Event) -> None:
        say("start second")
        if self.name == "crash":
            await asyncio.sleep(0.05)
            msg = "debtor 'Maria' at +5511987654321"
            raise LookupError(msg)
        if self.name == "returns":
            return
        await stop.wait()
        if self.name == "hangs":
            await asyncio.Event().wait()
        if self.name == "blocks":
            time.sleep(3_600)  # noqa: ASYNC251 - the very mistake that the watchdog is for
        say("stop second")

    async def helper(self, stop: asyncio.Event) -> None:
        self.tries += 1
        if self.name == "helper-crash" and self.tries == 1:
            msg = "first try"
            raise LookupError(msg)
        say(f"start helper {self.tries}")
        await stop.wait()


if __name__ == "__main__":
    raise SystemExit(
        Service(load(ProbeSettings), hang_seconds_max=1.0).run(Plot(sys.argv[1]).assemble)
    )
