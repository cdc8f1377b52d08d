"""One process: start in order, run until told otherwise, stop in reverse with a deadline.

In: a service's own `assemble` coroutine, which opens resources and adds loops in the order they
depend on each other. Out: an exit code: 0 stopped as asked, 1 a critical loop crashed, 2 bad
settings (`shared.settings`), 3 cannot start (a port in use, a server not reachable). A crash is
one log line and stops the process: an orchestrator restarts it, and every loop resumes from the
database. Loops take a stop event and end soon after it is set.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import uvloop

from shared.settings import EXIT_BAD_SETTINGS, EXIT_CANNOT_START, CannotStart, ServiceSettings
from shared.telemetry import logs, metrics, setup

EXIT_OK = 0
EXIT_CRASH = 1
CANCEL_SECONDS_MAX = 2.0  # what a cancelled loop gets to unwind; then it is left behind
RESTART_SECONDS_FIRST = 0.5  # pause before a loop that is not critical starts again
RESTART_SECONDS_MAX = 30.0
CLOSE_SECONDS_MIN = 1.0  # what each component gets even when the drain's time is used up
# Objects made before a young collection. A batch of a thousand records makes some 20,000 that die
# with it: at Python's own 700 the collector walks every batch dozens of times and frees nothing.
YOUNG_OBJECTS = 50_000
HANG_SECONDS_MAX = 15.0  # beyond the drain's deadline the event loop itself must be stuck

__all__ = [
    "EXIT_BAD_SETTINGS",
    "EXIT_CANNOT_START",
    "EXIT_CRASH",
    "EXIT_OK",
    "CannotStart",
    "Service",
]

R = TypeVar("R")
Loop = Callable[[asyncio.Event], Coroutine[Any, Any, object]]
Close = Callable[[], Awaitable[object]]
Assemble = Callable[["Service"], Awaitable[None]]

_log = logs.get_logger(__name__)


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

    def __init__(
        self, settings: ServiceSettings, *, hang_seconds_max: float = HANG_SECONDS_MAX
    ) -> None:
        self.settings = settings
        self._hang_seconds_max = hang_seconds_max
        self.started = False
        self.stopping = False
        self._waiting: list[tuple[str, Loop, bool]] = []
        self._components: list[_Component] = []
        self._checks: dict[str, Callable[[], bool]] = {}
        self._ended: asyncio.Event | None = None
        self._crashed: str | None = None
        self._abandoned: list[str] = []

    def add(self, name: str, loop: Loop, *, critical: bool = True) -> None:
        """Run `loop(stop)` until the service stops; start it now, or first thing in `run`.

        A critical loop that raises, or returns before it is told to, ends the process with exit
        code 1. Any other is started again after a growing pause.
        """
        if self._ended is None:
            self._waiting.append((name, loop, critical))
            return
        component = _Component(name, critical=critical)
        watched = self._supervise(component, loop)
        component.task = asyncio.create_task(watched, name=name)  # noqa: TID251 - ends in _stop_all
        self._components.append(component)

    async def open(
        self, name: str, opening: Awaitable[R], close: Callable[[R], Awaitable[object]]
    ) -> R:
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

    def run(self, assemble: Assemble | None = None) -> int:
        """Run the process to its end; return its exit code."""
        setup.start(self.settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(self._serve_watched(assemble))
        setup.stop()
        return code

    async def serve(self, assemble: Assemble | None = None) -> int:
        """Start, wait for a signal or a crash, stop; return the exit code."""
        self._ended = asyncio.Event()
        async with self._signals():
            try:
                return await self._start_and_wait(assemble, self._ended)
            finally:
                await self._stop_all()

    async def _serve_watched(self, assemble: Assemble | None) -> int:
        try:
            return await self.serve(assemble)
        finally:
            # A task that swallows its cancellation would keep the runner from closing for ever.
            if self._abandoned:
                _log.error("left_behind", components=self._abandoned)
                setup.stop()
                os._exit(EXIT_CRASH)

    async def _start_and_wait(self, assemble: Assemble | None, ended: asyncio.Event) -> int:
        """Start, unless told to stop (or crashed) before that is done; wait for the end."""
        async with asyncio.TaskGroup() as group:
            starting = group.create_task(self._start(assemble), name="start")
            waiting = group.create_task(ended.wait(), name="ended")
            await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
            starting.cancel()  # does nothing when it is done
            if starting.done() and not starting.result():
                ended.set()
                return EXIT_CANNOT_START
        return EXIT_OK if self._crashed is None else EXIT_CRASH

    async def _start(self, assemble: Assemble | None) -> bool:
        """Start the components in order; False when that cannot be done."""
        for name, loop, critical in self._waiting:
            self.add(name, loop, critical=critical)
        try:
            if assemble is not None:
                await assemble(self)
        except CannotStart as error:
            self._complain(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - whatever it was, the process cannot start
            _log.error("start_failed", exc_info=error)
            self._complain(f"cannot start: {type(error).__name__}: {logs.scrub(str(error))}")
            return False
        _spare_the_collector()
        self.started = True
        _log.info("service_started", mode=self.settings.mode)
        return True

    def _complain(self, line: str) -> None:
        sys.stderr.write(f"{self.settings.service_name}: {line}\n")

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
        _log.info("service_stopping", seconds_max=self.settings.drain_seconds_max)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.drain_seconds_max
        watchdog = self._watch_for_hang()
        for component in reversed(self._components):
            try:
                async with asyncio.timeout_at(max(deadline, loop.time() + CLOSE_SECONDS_MIN)):
                    await _end(component)
            except TimeoutError:
                _log.error("drain_deadline_passed", component=component.name)
                if not await _cancelled(component):
                    self._abandoned.append(component.name)
            except Exception as error:  # noqa: BLE001 - the rest must still be stopped
                _log.error("close_failed", component=component.name, exc_info=error)
        watchdog.cancel()
        _log.info("service_stopped", crashed=self._crashed)

    def _watch_for_hang(self) -> threading.Timer:
        """End the process from outside the event loop if stopping blocks it for good."""
        seconds = self.settings.drain_seconds_max + self._hang_seconds_max
        watchdog = threading.Timer(seconds, os._exit, (EXIT_CRASH,))
        watchdog.daemon = True
        watchdog.start()
        return watchdog

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
        await asyncio.wait({component.task})  # it reports its own failure, see `_supervise`
    if component.close is not None:
        await component.close()


async def _cancelled(component: _Component) -> bool:
    """Cancel a loop that did not end in time; False when it swallows even that."""
    if component.task is None:
        return True
    component.task.cancel()
    await asyncio.wait({component.task}, timeout=CANCEL_SECONDS_MAX)
    return component.task.done()


def _spare_the_collector() -> None:
    """Leave what start-up made out of every later collection, and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
