"""What the scheduler shows besides its counters: lag by topic, database, outboxes.

In: the logs' ends and the offsets stored with the shards. Out: the loop that sets the gauges.
"""

from collections import Counter

from services.scheduler.store import shards
from shared.events.topics import DEBT_EVENTS
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.postgres.figures import Figures
from shared.telemetry import metrics


def figures(pool: Pool, ends: LogEnds) -> Figures:
    """Return the loop with every figure of this service."""

    async def lag() -> None:
        async with pool.acquire() as conn:
            stored = await shards.offsets(conn)
        behind: Counter[str] = Counter()
        for (topic, partition), end in (await ends.ask()).items():
            debt, contact = stored.get(partition, (-1, -1))
            folded = debt if topic == DEBT_EVENTS.name else contact
            behind[topic] += max(0, end - 1 - folded)
        for topic, records in behind.items():
            metrics.KAFKA_LAG.labels(topic).set(records)

    return Figures(pool, [lag]).with_outbox()
