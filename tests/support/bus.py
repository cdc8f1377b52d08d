"""Records and waiting for tests of Kafka and of the outbox.

In: topics, keys and numbers. Out: records that carry their number, and `until`, a poll with a
deadline instead of a sleep.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from uuid import UUID

from shared.events.envelope import Envelope
from shared.kafka import CompactedReader, Outgoing, Record

WAIT_SECONDS_MAX = 30.0  # longer than any rebalance or broker restart in these tests
POLL_SECONDS = 0.02  # how often a condition is looked at


def envelope(key: str, number: int, size_bytes: int = 20) -> Envelope:
    """An event whose id and data are its number."""
    return Envelope(
        id=UUID(int=number),
        type="test.happened.v1",
        source="test",
        time=datetime(2026, 11, 22, tzinfo=UTC),
        key=key,
        tenant_id="t",
        data=str(number).encode().ljust(size_bytes),
    )


def outgoing(topic: str, key: str, number: int, size_bytes: int = 20) -> Outgoing:
    """The same event as a record to publish."""
    made = envelope(key, number, size_bytes)
    return Outgoing(topic, key, made.headers(), made.data)


def number_of(value: bytes | None) -> int:
    """Read the number back."""
    assert value is not None
    return int(value)


async def until(
    condition: Callable[[], bool | Awaitable[bool]], seconds_max: float = WAIT_SECONDS_MAX
) -> None:
    """Poll until `condition` holds; fail after the deadline."""
    async with asyncio.timeout(seconds_max):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(POLL_SECONDS)


async def read_all(bootstrap: str, topic: str) -> dict[int, list[Record]]:
    """Read a topic from its beginning to its present end, per partition."""
    reader = CompactedReader(bootstrap, topic)
    found: dict[int, list[Record]] = {}
    async with aclosing(reader.batches()) as batches:
        reading = asyncio.ensure_future(_collect(batches, found))
        await asyncio.wait_for(reader.caught_up.wait(), WAIT_SECONDS_MAX)
        await reader.stop()
        await reading
    return found


async def _collect(
    batches: AsyncGenerator[list[Record], None], found: dict[int, list[Record]]
) -> None:
    async for batch in batches:
        for record in batch:
            found.setdefault(record.partition, []).append(record)
