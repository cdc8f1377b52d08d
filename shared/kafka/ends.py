"""Where the logs end, asked often: one connection kept open, one request per question.

In: topics. Out: the offset after the last record of every partition, and which cluster says so.
With the offsets that are stored with the work, this gives a consumer's lag; drivers ask for it many
times a second.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from aiokafka import TopicPartition as RawPartition

from shared.kafka import admin
from shared.kafka.client import ConnectionFailures, RawConsumer, ask_cluster
from shared.kafka.cluster import Brokers
from shared.kafka.records import TopicPartition

ASK_SECONDS_MAX = 5.0  # an answer takes a millisecond; longer means no broker

T = TypeVar("T")


class LogEnds:
    """Asks for end offsets; connects when first asked, and again after a failure."""

    def __init__(self, brokers: Brokers, topics: Sequence[str]) -> None:
        """Keep the settings."""
        self._brokers = brokers
        self._topics = list(topics)
        self._open = AsyncExitStack()
        self._raw: RawConsumer | None = None
        self._targets: list[RawPartition] = []
        self._asking = asyncio.Lock()

    async def ask(self) -> dict[TopicPartition, int]:
        """Return the end offset of every partition; raise what the connection raised."""
        ends = await self._answer(lambda raw: raw.end_offsets(self._targets))
        return {(target.topic, target.partition): offset for target, offset in ends.items()}

    async def cluster_id(self) -> str:
        """Return the cluster's id now: another one means that its logs began anew."""
        return (await self._answer(ask_cluster)).cluster_id

    async def beginnings(self, targets: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the first record that these partitions still hold."""
        wanted = [RawPartition(*each) for each in targets]
        found = await self._answer(lambda raw: raw.beginning_offsets(wanted))
        return {(target.topic, target.partition): offset for target, offset in found.items()}

    async def close(self) -> None:
        """Close the connection."""
        async with self._asking:
            await self._close()

    async def _answer(self, question: Callable[[RawConsumer], Awaitable[T]]) -> T:
        async with self._asking:
            try:
                async with asyncio.timeout(ASK_SECONDS_MAX):
                    return await question(await self._connected())
            except ConnectionFailures:
                await self._close()
                raise

    async def _connected(self) -> RawConsumer:
        if self._raw is None:
            raw = await self._open.enter_async_context(admin.reading(self._brokers))
            counts = (await ask_cluster(raw, self._topics)).partitions
            self._targets = [
                RawPartition(t, n) for t, count in counts.items() for n in range(count)
            ]
            self._raw = raw
        return self._raw

    async def _close(self) -> None:
        self._raw = None
        await self._open.aclose()
        self._open = AsyncExitStack()
