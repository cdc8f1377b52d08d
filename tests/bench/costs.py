"""CPU time by part of the stack: what a contact costs, and where.

In: the stack's processes (services, sandbox, Kafka, PostgreSQL with all its backends). Out: CPU
seconds per part between two readings.
"""

from collections.abc import Mapping

import psutil

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.stack import Stack


class Meter:
    """Reads the CPU time of every part of a stack."""

    def __init__(self, stack: Stack) -> None:
        """Meter this stack; servers that are not ours are not metered."""
        self._parts: dict[str, int] = {name: p.pid for name, p in stack.processes.items()}
        if isinstance(stack.kafka, Kafka):
            self._parts["kafka"] = stack.kafka.pid
        if isinstance(stack.postgres, Postgres):
            self._parts["postgresql"] = stack.postgres.pid
        self._gone: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        """CPU seconds used so far by each part."""
        return {name: _cpu_seconds(pid) for name, pid in self._parts.items()}

    def memory_mib(self) -> dict[str, int]:
        """Resident memory of each part now, in MiB (shared pages counted once per process)."""
        return {
            name: psutil.Process(pid).memory_info().rss // (1024 * 1024)
            for name, pid in self._parts.items()
        }


def per_item_us(
    before: Mapping[str, float], after: Mapping[str, float], items: int
) -> dict[str, int]:
    """CPU microseconds per item and part, and their sum."""
    costs = {name: round((after[name] - before[name]) * 1e6 / items) for name in after}
    return costs | {"sum": sum(costs.values())}


def _cpu_seconds(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for member in (process, *process.children(recursive=True)):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
