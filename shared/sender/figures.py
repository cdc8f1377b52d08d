"""What a sender shows besides its counters: lag, unknown attempts by age, breakers, outboxes.

In: the parts of the process. Out: the loop that sets the gauges.
"""

from time import monotonic

from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.postgres.figures import Figures
from shared.sender.feed import TaskFeed
from shared.sender.lanes import Lanes
from shared.sender.store import endings
from shared.telemetry import metrics


class SenderFigures:
    """A sender's own looks."""

    def __init__(
        self, *, pool: Pool, feed: TaskFeed, ends: LogEnds, lanes: Lanes, topic: str
    ) -> None:
        self._pool = pool
        self._feed = feed
        self._ends = ends
        self._lanes = lanes
        self._topic = topic

    def all(self) -> Figures:
        """Return the loop with every figure of this service."""
        return Figures(self._pool, [self.breakers, self.unknown, self.lag]).with_outbox()

    async def lag(self) -> None:
        """Tasks that are not settled."""
        ends = await self._ends.ask()
        async with self._pool.acquire() as conn:
            behind = await self._feed.lag(conn, ends)
        metrics.KAFKA_LAG.labels(self._topic).set(behind)

    async def unknown(self) -> None:
        """Attempts that wait for evidence, by the age of their call."""
        async with self._pool.acquire() as conn:
            for age, count in (await endings.unknown_by_age(conn)).items():
                metrics.SENDER_UNKNOWN.labels(age).set(count)

    async def breakers(self) -> None:
        """Accounts that no call goes to now."""
        metrics.SENDER_BREAKERS_OPEN.set(self._lanes.shut(monotonic()))
