"""How far the scheduler is: what a driver of the stepped clock, or an operator, asks.

In: the parts of the process and the database. Out: monotone counters, what is pending (0 when
drained: posts, outboxes, lag of the planner, what is due), and when something is next due.
"""

from collections.abc import Callable

import msgspec

from services.scheduler.store import lifts, shards
from shared.events.topics import CONTACT_EVENTS, DEBT_EVENTS
from shared.http.server import Progress
from shared.kafka.client import ConnectionFailures
from shared.kafka.ends import LogEnds
from shared.postgres import engine
from shared.postgres.connection import Pool
from shared.postgres.lane import LaneRelay
from shared.postgres.relay import Relay

UNKNOWN_LAG = 1  # the broker does not answer: something may be pending, so nobody jumps ahead


class Counting(msgspec.Struct, frozen=True, kw_only=True):
    """What the process counts by itself; each is asked at every progress."""

    accepted: Callable[[], int]
    posts_waiting: Callable[[], int]
    records_waiting: Callable[[], int]


class ProgressReport:
    """Answers GET /v1/progress."""

    def __init__(
        self, pool: Pool, relay: Relay, lane: LaneRelay, ends: LogEnds, counting: Counting
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._lane = lane
        self._ends = ends
        self._counting = counting

    async def progress(self) -> Progress:
        """Ask everybody; the order follows the flow, so that nothing slips between two looks."""
        posts = self._counting.posts_waiting()
        lane = await self._lane.count_pending()
        unpublished = await self._relay.count_pending()
        folded, lag = await self._lag()
        async with self._pool.acquire() as conn:
            due = await shards.next_due(conn)
            law = (await engine.now(conn)).law
            lifted = await lifts.count(conn)
        return Progress(
            counters={
                "events_accepted": self._counting.accepted(),
                "records_folded": folded,
                "outbox_published": self._relay.published_total,
                "outbox_batches": self._relay.batches_total,
                "holds_published": self._lane.published_total,
            },
            pending={
                "posts": posts,
                "outbox": unpublished,
                "hold_outbox": lane,
                "planner_lag": lag,
                "planner_inbox": self._counting.records_waiting(),
                "lifts": lifted,
                "due": int(due is not None and due <= law),
            },
            next_due=due,
        )

    async def _lag(self) -> tuple[int, int]:
        """Return (records folded, records not folded yet), by the offsets stored with the work."""
        async with self._pool.acquire() as conn:
            stored = await shards.offsets(conn)
        folded = sum(debt + contact + 2 for debt, contact in stored.values())
        try:
            ends = await self._ends.ask()
        except ConnectionFailures:
            return folded, UNKNOWN_LAG
        lag = 0
        for (topic, partition), end in ends.items():
            debt, contact = stored.get(partition, (-1, -1))
            lag += max(0, end - 1 - (debt if topic == DEBT_EVENTS.name else contact))
        return folded, lag


FOLDED_TOPICS = (DEBT_EVENTS.name, CONTACT_EVENTS.name)
