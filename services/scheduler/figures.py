"""What the scheduler shows besides its counters: lag, work for people, database, outboxes.

In: the logs' ends and the offsets stored with the shards; work items that are not closed. Out: the
loop that sets the gauges.
"""

from collections import Counter

from services.scheduler.decisions import DECISIONS
from services.scheduler.store import shards, waiting
from shared.events.topics import DEBT_EVENTS
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.postgres.figures import Figures
from shared.telemetry import metrics
from shared.telemetry.labels import OTHER


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

    async def people() -> None:
        async with pool.acquire() as conn:
            found = await waiting.open_by_age(conn)
        counts = Counter({(kind, age): 0 for kind in DECISIONS for age in waiting.AGES})
        for (kind, age), number in found.items():
            counts[kind if kind in DECISIONS else OTHER, age] += number
        for (kind, age), number in counts.items():
            metrics.WORK_ITEMS.labels(kind, age).set(number)

    return Figures(pool, [lag, people]).with_outbox()
