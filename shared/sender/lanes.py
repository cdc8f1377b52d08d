"""Tasks in hand, one lane per account: a throttled account never blocks the others.

In: decoded tasks. Out: tasks in order of arrival per lane, and those that have waited too long.
Tasks leave a lane for the claim or are handed back; a lane is bounded by what the feed may hold.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import msgspec

from shared.sender.attempts import Work
from shared.sender.breaker import Breaker

LaneKey = tuple[str, str]


class Lane(msgspec.Struct):
    """Tasks of one sender account. `ready_at` (monotonic seconds) is when permits are due again.

    `calling` counts the account's calls under way.
    """

    tenant_id: str
    account_id: str
    waiting: deque[Work] = msgspec.field(default_factory=deque)
    ready_at: float = 0.0
    calling: int = 0
    breaker: Breaker = msgspec.field(default_factory=Breaker)


class Lanes:
    """All tasks that were fetched and not yet claimed or handed back."""

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, Lane] = {}
        self.waiting = 0

    def add(self, work: Work) -> None:
        """Append a task to its account's lane."""
        self.lane(work.task.tenant_id, work.task.account_id).waiting.append(work)
        self.waiting += 1

    def lane(self, tenant_id: str, account_id: str) -> Lane:
        """Return the lane of an account."""
        key = (tenant_id, account_id)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(tenant_id, account_id)
        return lane

    def shut(self, now: float) -> int:
        """Return how many lanes' breakers let nothing through at this monotonic instant."""
        return sum(lane.breaker.shut_for(now) > 0 for lane in self._lanes.values())

    def busy(self) -> Iterator[Lane]:
        """Yield the lanes with tasks, the one that was served last at the end."""
        for key, lane in list(self._lanes.items()):
            if lane.waiting:
                self._lanes[key] = self._lanes.pop(key)
                yield lane

    def take(self, lane: Lane, count: int) -> list[Work]:
        """Remove and return the oldest `count` tasks of a lane."""
        taken = [lane.waiting.popleft() for _ in range(min(count, len(lane.waiting)))]
        self.waiting -= len(taken)
        return taken

    def take_last(self, lane: Lane, count: int) -> list[Work]:
        """Remove and return the youngest `count` tasks of a lane, the youngest first."""
        taken = [lane.waiting.pop() for _ in range(max(0, min(count, len(lane.waiting))))]
        self.waiting -= len(taken)
        return taken

    def put_back(self, works: Sequence[Work]) -> None:
        """Put tasks back at the head of their lanes, in their order."""
        for work in reversed(works):
            self.lane(work.task.tenant_id, work.task.account_id).waiting.appendleft(work)
        self.waiting += len(works)

    def drop(self, unwanted: Callable[[Work], bool]) -> None:
        """Forget tasks (their partition was taken away; somebody else reads them again)."""
        for lane in self._lanes.values():
            lane.waiting = deque(work for work in lane.waiting if not unwanted(work))
        self.waiting = sum(len(lane.waiting) for lane in self._lanes.values())
