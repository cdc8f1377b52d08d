"""What happens later in law time: replies, payments, late receipts.

In: `at(instant, work)`. Out: `run_due(law_now)` runs everything due, in order of instant and then
of arrival. Bounded; the provider refuses messages before the bound is reached.
"""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count

PENDING_MAX = 2_000_000


class Schedule:
    """A heap of instants with the work that waits for them."""

    def __init__(self) -> None:
        """Start empty."""
        self._heap: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    def __len__(self) -> int:
        """How many things are still to happen."""
        return len(self._heap)

    @property
    def full(self) -> bool:
        """Whether the bound is reached."""
        return len(self._heap) >= PENDING_MAX

    @property
    def next_due(self) -> datetime | None:
        """Law time of the next thing to happen."""
        return self._heap[0][0] if self._heap else None

    def at(self, instant: datetime, work: Callable[[], None]) -> None:
        """Run `work` when law time reaches `instant`."""
        heapq.heappush(self._heap, (instant, next(self._order), work))

    def run_due(self, law_now: datetime) -> None:
        """Run everything whose instant has come."""
        while self._heap and self._heap[0][0] <= law_now:
            heapq.heappop(self._heap)[2]()

    def overdue(self, law_now: datetime) -> int:
        """Say 1 when something should have happened by `law_now`, else 0."""
        return int(bool(self._heap) and self._heap[0][0] <= law_now)
