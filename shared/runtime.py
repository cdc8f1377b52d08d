"""One process: start in order, run until told otherwise, stop in reverse with a deadline.

In: a service's own `assemble` coroutine, which opens resources and adds loops in the order they
depend on each other. Out: an exit code: 0 stopped as asked, 1 a critical loop crashed, 2 bad
settings (`shared.settings`), 3 cannot start (a port in use, a server not reachable). A crash is
one log line and stops the process: an orchestrator restarts it, and every loop resumes from the
database. Loops take a stop event and end soon after it is set.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import uvloop

from shared.settings import ServiceSettings
from shared.telemetry import logs, metrics, setup

EXIT_OK = 0
EXIT_CRASH = 1
EXIT_CANNOT_START = 3
CANCEL_SECONDS_MAX = 2.0  # what a cancelled loop gets to unwind; then it is left behind
RESTART_SECONDS_FIRST = 0.5  # pause before a loop that is not critical starts again
RESTART_SECONDS_MAX = 30.0

R = TypeVar("R")
Loop = Callable[[asyncio.Event], Coroutine[Any, Any, object]]
Close = Callable[[], Awaitable[object]]

_log = logs.get_logger(__name__)


class CannotStart(Exception):
    """The process cannot start; the text is one line with the remedy. Exit code 3."""


class _Component:
    """A running loop (task and stop event) or an open resource (close)."""

    def __init__(self, name: str, *, critical: bool = True) -> None:
        self.name = name
        self.critical = critical
        self.stop = asyncio.Event()
        self.task: asyncio.Task[object] | None = None
        self.close: Close | None = None


class Service:
    """The components of one process, and the order in which they start and stop."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.started = False
        self.stopping = False
        self._waiting: list[tuple[str, Loop, bool]] = []
        self._components: list[_Component] = []
        self._checks: dict[str, Callable[[], bool]] = {}
        self._ended: asyncio.Event | None = None
        self._crashed: str | None = None

    def add(self, name: str, loop: Loop, *, critical: bool = True) -> None:
        """Run `loop(stop)` until the service stops; start it now, or first thing in `run`.

        A critical loop that raises, or returns before it is told to, ends the process with exit
        code 1. Any other is started again after a growing pause.
        """
        if self._ended is None:
            self._waiting.append((name, loop, critical))
            return
        component = _Component(name, critical=critical)
        component.task = asyncio.create_task(self._supervise(component, loop), name=name)
        self._components.append(component)

    async def open(self, name: str, opening: Awaitable[R], close: Callable[[R], Awaitable[object]]) -> R:
        """Await a resource (pool, producer, server) and close it in its turn when stopping."""
        resource = await opening
        component = _Component(name)
        component.close = lambda: close(resource)
        self._components.append(component)
        return resource

    def check(self, name: str, ready: Callable[[], bool]) -> None:
        """Make readiness depend on `ready()`, shown under `name` at /health/ready."""
        self._checks[name] = ready

    def readiness(self) -> dict[str, bool]:
        """Return each condition of readiness; false from the first moment of stopping."""
        checks = {"started": self.started, "not_stopping": not self.stopping}
        return checks | {name: ready() for name, ready in self._checks.items()}

    def stop(self) -> None:
        """Ask for an orderly stop (what SIGTERM does)."""
        if self._ended is not None:
            self._ended.set()

    def run(self, assemble: Callable[["Service"], Awaitable[None]] | None = None) -> int:
        """Run the process to its end; return its exit code."""
        setup.start(self.settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(self.serve(assemble))
        setup.stop()
        return code

    async def serve(self, assemble: Callable[["Service"], Awaitable[None]] | None = None) -> int:
        """Start, wait for a signal or a crash, stop; return the exit code."""
        self._ended = asyncio.Event()
        async with self._signals():
            try:
                code = await self._start_and_wait(assemble)
            finally:
                await self._stop_all()
        return code

    async def _start_and_wait(self, assemble: Callable[["Service"], Awaitable[None]] | None) -> int:
        ended = self._ended or asyncio.Event()
        starting = asyncio.create_task(self._start(assemble), name="start")
        waiting = asyncio.create_task(ended.wait(), name="ended")
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():  # told to stop, or crashed, while starting
            starting.cancel()
        with suppress(asyncio.CancelledError):
            try:
                await starting
            except CannotStart as error:
                waiting.cancel()
                sys.stderr.write(f"{self.settings.service_name}: {error}\n")
                return EXIT_CANNOT_START
            except Exception as error:  # noqa: BLE001 - whatever it was, the process cannot start
                waiting.cancel()
                _log.error("start_failed", exc_info=error)
                sys.stderr.write(f"{self.settings.service_name}: cannot start: {_brief(error)}\n")
                return EXIT_CANNOT_START
        await waiting
        return EXIT_OK if self._crashed is None else EXIT_CRASH

    async def _start(self, assemble: Callable[["Service"], Awaitable[None]] | None) -> None:
        for name, loop, critical in self._waiting:
            self.add(name, loop, critical=critical)
        if assemble is not None:
            await assemble(self)
        self.started = True
        _log.info("service_started", mode=self.settings.mode)

    async def _supervise(self, component: _Component, loop: Loop) -> None:
        pause = RESTART_SECONDS_FIRST
        up = metrics.COMPONENT_UP.labels(component.name)
        while not component.stop.is_set():
            up.set(1)
            error: Exception | None = None
            try:
                await loop(component.stop)
            except Exception as raised:  # noqa: BLE001 - the one place where loops end
                error = raised
            finally:
                up.set(0)
            if component.stop.is_set() and error is None:
                return
            if component.critical:
                self._crash(component, error)
                return
            _log.error("loop_failed", component=component.name, exc_info=error)
            metrics.COMPONENT_RESTARTS.labels(component.name).inc()
            with suppress(TimeoutError):
                await asyncio.wait_for(component.stop.wait(), pause)
            pause = min(pause * 2, RESTART_SECONDS_MAX)

    def _crash(self, component: _Component, error: Exception | None) -> None:
        if component.stop.is_set():  # the service is going down anyway; say it, keep the exit code
            _log.warning("loop_failed_while_stopping", component=component.name, exc_info=error)
            return
        _log.critical("loop_crashed", component=component.name, exc_info=error)
        self._crashed = self._crashed or component.name
        self.stop()

    async def _stop_all(self) -> None:
        self.stopping = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.drain_seconds_max
        for component in reversed(self._components):
            try:
                async with asyncio.timeout_at(deadline):
                    await _end(component)
            except TimeoutError:
                _log.error("drain_deadline_passed", component=component.name)
                await _abandon(component)
            except Exception as error:  # noqa: BLE001 - the rest must still be stopped
                _log.error("close_failed", component=component.name, exc_info=error)
        _log.info("service_stopped", crashed=self._crashed)

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """SIGTERM and SIGINT ask for an orderly stop; a second one cuts it short."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self.stopping:
            for component in self._components:
                if component.task is not None:
                    component.task.cancel()
        self.stop()


async def _end(component: _Component) -> None:
    """Ask a loop to end and wait for it, or close a resource."""
    component.stop.set()
    if component.task is not None:
        with suppress(asyncio.CancelledError):
            await asyncio.shield(component.task)
    if component.close is not None:
        await component.close()


async def _abandon(component: _Component) -> None:
    """Cancel a loop that did not end in time; give it a moment to unwind."""
    if component.task is not None:
        component.task.cancel()
        await asyncio.wait({component.task}, timeout=CANCEL_SECONDS_MAX)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {logs.scrub(str(error))}"
