"""Brokers die and come back: nothing is lost; an emptied one is read from its beginning."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from deploy.local.kafka import Kafka
from shared.kafka import (
    CompactedReader,
    ConsumerSettings,
    GroupConsumer,
    KafkaSilent,
    Producer,
    TopicPartition,
    admin,
)
from tests.support.bus import number_of, outgoing, until

TOPIC = "contact.events.v1"
LANE = "contact.holds.v1"


class Follower:
    """A group member and a reader that note what they see."""

    def __init__(self, bootstrap: str, settings: ConsumerSettings) -> None:
        self.consumer = GroupConsumer(bootstrap, "group", [TOPIC], settings)
        self.reader = CompactedReader(bootstrap, LANE)
        self.events: list[int] = []
        self.lane: list[int] = []
        self.stored: dict[TopicPartition, tuple[str, int]] = {}
        self.stopping = False

    async def consume(self) -> None:
        await self.consumer.start(self.resume)
        while not self.stopping:
            for target, records in (await self.consumer.fetch(None, 100)).items():
                self.events += [number_of(record.value) for record in records]
                cluster = self.consumer.cluster_id or ""
                self.stored[target] = (cluster, records[-1].offset + 1)
                await self.consumer.commit({target: records[-1].offset + 1})
        await self.consumer.stop()

    async def resume(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        known = {target: self.stored.get(target, ("", 0)) for target in partitions}
        here = self.consumer.cluster_id
        return {t: offset if cluster == here else 0 for t, (cluster, offset) in known.items()}

    async def follow(self) -> None:
        async for batch in self.reader.batches():
            self.lane += [number_of(record.value) for record in batch]


@asynccontextmanager
async def following(bootstrap: str) -> AsyncIterator[Follower]:
    follower = Follower(bootstrap, ConsumerSettings(session_timeout_ms=6_000, fetch_wait_ms=100))
    loops = [asyncio.ensure_future(follower.consume()), asyncio.ensure_future(follower.follow())]
    try:
        yield follower
    finally:
        follower.stopping = True
        await follower.reader.stop()
        await asyncio.wait_for(asyncio.gather(*loops), 30)


async def test_a_killed_broker_that_comes_back_with_its_data_costs_time_and_nothing_else(
    own_kafka: Kafka,
) -> None:
    await admin.ensure_topics(own_kafka.bootstrap, partitions=2, replication=1)
    producer = Producer(own_kafka.bootstrap)
    async with following(own_kafka.bootstrap) as follower:
        await producer.publish([outgoing(TOPIC, f"d{n}", n) for n in range(100)])
        await producer.publish([outgoing(LANE, f"h{n}", n) for n in range(10)])
        await until(lambda: len(follower.events) == 100 and len(follower.lane) == 10)
        own_kafka.kill()
        late = asyncio.ensure_future(
            producer.publish([outgoing(TOPIC, f"d{n}", n) for n in range(100, 200)])
        )
        await asyncio.to_thread(own_kafka.restart_with_data)
        assert len(await late) == 100
        await producer.publish([outgoing(LANE, f"h{n}", n) for n in range(10, 20)])
        await until(lambda: len(follower.events) >= 200 and len(follower.lane) >= 20, 60)
        assert follower.events == sorted(set(follower.events), key=follower.events.index)
        assert set(follower.events) == set(range(200))
        assert follower.lane.count(0) == 1
    await producer.stop()


async def test_an_emptied_broker_is_recognised_and_read_from_its_beginning(
    own_kafka: Kafka,
) -> None:
    await admin.ensure_topics(own_kafka.bootstrap, partitions=2, replication=1)
    producer = Producer(own_kafka.bootstrap)
    async with following(own_kafka.bootstrap) as follower:
        await producer.publish([outgoing(TOPIC, f"d{n}", n) for n in range(50)])
        await producer.publish([outgoing(LANE, f"h{n}", n) for n in range(10)])
        await until(lambda: len(follower.events) == 50 and len(follower.lane) == 10)
        before = follower.consumer.cluster_id
        await asyncio.to_thread(own_kafka.restart_empty)
        await admin.ensure_topics(own_kafka.bootstrap, partitions=2, replication=1)
        # More than was there before: whoever trusted old offsets would skip the first of these.
        await producer.publish([outgoing(TOPIC, f"d{n}", n) for n in range(1_000, 1_200)])
        await producer.publish([outgoing(LANE, f"h{n}", n) for n in range(1_000, 1_040)])
        await until(lambda: set(range(1_000, 1_200)) <= set(follower.events), 60)
        await until(lambda: set(range(1_000, 1_040)) <= set(follower.lane), 60)
        await until(lambda: follower.consumer.cluster_id != before)
    await producer.stop()


async def test_the_watchdog_ends_a_loop_that_hears_nothing(own_kafka: Kafka) -> None:
    await admin.ensure_topics(own_kafka.bootstrap, partitions=2, replication=1)
    consumer = GroupConsumer(
        own_kafka.bootstrap,
        "watched",
        [TOPIC],
        ConsumerSettings(session_timeout_ms=6_000, silence_seconds_max=4.0),
    )
    await consumer.start()
    own_kafka.kill()

    async def fetch_for_ever() -> None:
        while True:
            await consumer.fetch(None, 100)

    with pytest.raises(KafkaSilent):
        await asyncio.wait_for(fetch_for_ever(), 60)
    await consumer.stop()
