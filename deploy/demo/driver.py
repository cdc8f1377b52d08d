"""The clock's driver: jump to the next instant at which anything is due, wait, jump again.

In: the progress of every process. Out: law time moves only when the pipeline has drained, so a
second of latency never becomes hours of law. Drained: two collections in a row with equal counters
and nothing pending anywhere. Empty time is skipped.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.demo.platform import Platform

PAUSE_SECONDS = 0.01  # between two collections; each of them takes some 40 ms of CPU in all
PAUSE_SECONDS_MAX = 0.08  # whoever is busy is asked less and less often: asking costs them, too
DRAIN_SECONDS_MAX = 120.0  # far above a tick's work; beyond it something hangs and must be seen
DEBTOR_TICK = timedelta(hours=4)  # debtors' own acts are gathered to these; the law's are exact

Json = dict[str, Any]


class Stuck(Exception):
    """The pipeline did not drain; the text says what is pending where."""


class Driver:
    """Steps the law clock of one stack."""

    def __init__(self, platform: Platform, processes: Sequence[str], start: datetime) -> None:
        """Start at `start` (law time)."""
        self._platform = platform
        self._processes = list(processes)
        self._asking = ThreadPoolExecutor(max_workers=len(self._processes))
        self.now = start
        self.ticks = 0
        platform.set_clock(start)

    def drain(self, seconds_max: float = DRAIN_SECONDS_MAX) -> dict[str, Json]:
        """Wait until nothing moves and nothing is pending; return the last collection."""
        deadline = time.monotonic() + seconds_max
        before: dict[str, Json] | None = None
        while True:
            found = self._collect()
            quiet = not any(any(p["pending"].values()) for p in found.values())
            if quiet and before is not None and _counters(found) == _counters(before):
                return found
            if time.monotonic() > deadline:
                msg = f"not at rest after {seconds_max:.0f} s at {self.now}"
                raise Stuck(msg)
            before = found if quiet else None
            if not quiet:
                self._wait_for([name for name, p in found.items() if _busy(p)], deadline)
            time.sleep(PAUSE_SECONDS)

    def _wait_for(self, busy: Sequence[str], deadline: float) -> None:
        """Wait until these have nothing pending; the others are asked again afterwards."""
        pause = PAUSE_SECONDS
        while busy:
            time.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
            found = self._collect(busy)
            busy = [name for name, progress in found.items() if _busy(progress)]
            if busy and time.monotonic() > deadline:
                pending = {name: _busy(found[name]) for name in busy}
                msg = f"not drained in time at {self.now}: {pending}"
                raise Stuck(msg)

    def _collect(self, names: Sequence[str] | None = None) -> dict[str, Json]:
        """Ask these processes, or every one, at once: each has some milliseconds of queries."""
        asked = self._processes if names is None else names
        return dict(zip(asked, self._asking.map(self._platform.progress, asked), strict=True))

    def run_until(self, end: datetime, on_tick: Callable[[], bool]) -> None:
        """Jump from due instant to due instant until `end`.

        `on_tick` acts for the world outside (clients that book payments) and says whether it did
        anything, in which case the pipeline drains once more before the next jump.
        """
        while True:
            found = self.drain()
            if on_tick():
                continue
            target = self._next(found)
            if target is None or target >= end:
                break
            self._jump(target)
        self._jump(end)
        self.drain()

    def _jump(self, to: datetime) -> None:
        if to > self.now:
            self._platform.set_clock(to)
            self.now = to
            self.ticks += 1

    def _next(self, found: dict[str, Json]) -> datetime | None:
        candidates = []
        for name, progress in found.items():
            if progress["next_due"] is None:
                continue
            due = datetime.fromisoformat(progress["next_due"]).astimezone(UTC)
            if name == "sandbox":
                due = _ceiling(due, DEBTOR_TICK)
            if due <= self.now:
                due = self.now + timedelta(minutes=1)
            candidates.append(due)
        return min(candidates, default=None)


def _counters(found: dict[str, Json]) -> dict[str, Json]:
    return {name: progress["counters"] for name, progress in found.items()}


def _busy(progress: Json) -> dict[str, int]:
    return {key: value for key, value in progress["pending"].items() if value}


def _ceiling(instant: datetime, step: timedelta) -> datetime:
    """The next multiple of `step` since midnight UTC, at or after `instant`."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    steps = -((midnight - instant) // step)
    return midnight + steps * step
