"""A group member: whole batches, offsets from outside, rebalances that lose nothing."""

import asyncio
from collections.abc import Mapping

import pytest

from shared.kafka import ConsumerSettings, GroupConsumer, Producer, TopicPartition
from tests.support.bus import number_of, outgoing, until

QUICK = ConsumerSettings(session_timeout_ms=6_000, fetch_wait_ms=100)


class Member:
    """One consumer in a loop, with offsets kept outside Kafka as the services keep them."""

    def __init__(self, bootstrap: str, suffix: str, stored: dict[TopicPartition, int]) -> None:
        topics = [f"debt.events.v1{suffix}", f"contact.events.v1{suffix}"]
        self.consumer = GroupConsumer(bootstrap, f"group{suffix}", topics, QUICK)
        self.stored = stored
        self.seen: list[int] = []
        self.revoked: list[frozenset[TopicPartition]] = []
        self.stopping = False

    async def run(self) -> None:
        await self.consumer.start(self.resume, self.let_go)
        while not self.stopping:
            fetched = await self.consumer.fetch(500, 100)
            for target, records in fetched.items():
                self.seen += [number_of(record.value) for record in records]
                self.stored[target] = records[-1].offset + 1
            await self.consumer.commit({target: self.stored[target] for target in fetched})
        await self.consumer.stop()

    async def resume(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {target: self.stored.get(target, 0) for target in partitions}

    async def let_go(self, partitions: frozenset[TopicPartition]) -> None:
        self.revoked.append(partitions)


async def test_topics_are_co_partitioned_and_a_second_member_takes_its_share(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topics = [f"debt.events.v1{suffix}", f"contact.events.v1{suffix}"]
    stored: dict[TopicPartition, int] = {}
    first, second = (Member(kafka_bootstrap, suffix, stored) for _ in range(2))
    running = [asyncio.ensure_future(first.run())]
    batch = [outgoing(topic, f"d{n}", n) for n in range(300) for topic in topics]
    await producer.publish(batch)
    await until(lambda: len(first.seen) == 600)
    running.append(asyncio.ensure_future(second.run()))
    await until(lambda: bool(second.consumer.partitions) and bool(first.consumer.partitions))
    for member in (first, second):
        owned = member.consumer.partitions
        assert {p for t, p in owned if t == topics[0]} == {p for t, p in owned if t == topics[1]}
    assert not first.consumer.partitions & second.consumer.partitions
    assert first.revoked[0] == {(topic, number) for topic in topics for number in range(3)}
    await producer.publish([outgoing(topics[0], f"d{n}", n) for n in range(300, 600)])
    await until(lambda: len(first.seen) + len(second.seen) >= 900)
    # Offsets come from outside: nothing was read twice, nothing was lost.
    assert sorted(first.seen + second.seen) == sorted([*range(300), *range(300), *range(300, 600)])
    assert second.seen
    first.stopping = second.stopping = True
    await asyncio.gather(*running)


async def test_a_member_that_leaves_hands_over_without_loss(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    stored: dict[TopicPartition, int] = {}
    members = [Member(kafka_bootstrap, suffix, stored) for _ in range(2)]
    running = [asyncio.ensure_future(member.run()) for member in members]
    await until(lambda: all(member.consumer.partitions for member in members))
    await producer.publish([outgoing(topic, f"d{n}", n) for n in range(200)])
    members[0].stopping = True
    await running[0]
    await producer.publish([outgoing(topic, f"d{n}", n) for n in range(200, 400)])
    await until(lambda: set(members[0].seen + members[1].seen) == set(range(400)))
    assert len(members[0].seen + members[1].seen) == 400
    members[1].stopping = True
    await running[1]


async def test_offsets_from_outside_win_over_the_groups_commits(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    await producer.publish([outgoing(topic, "one", n) for n in range(50)])
    stored: dict[TopicPartition, int] = {}
    member = Member(kafka_bootstrap, suffix, stored)
    running = asyncio.ensure_future(member.run())
    await until(lambda: len(member.seen) == 50)
    member.stopping = True
    await running
    [target] = stored
    stored[target] = 20  # the work of the last 30 was rolled back
    again = Member(kafka_bootstrap, suffix, stored)
    running = asyncio.ensure_future(again.run())
    await until(lambda: len(again.seen) >= 30)
    assert again.seen == list(range(20, 50))
    again.stopping = True
    await running


async def test_without_offsets_from_outside_the_groups_commit_is_where_it_goes_on(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    await producer.publish([outgoing(topic, "one", n) for n in range(10)])
    seen: list[int] = []
    for goal in (10, 20):
        consumer = GroupConsumer(kafka_bootstrap, f"plain{suffix}", [topic], QUICK)
        await consumer.start()
        while len(seen) < goal:
            for target, records in (await consumer.fetch(4, 200)).items():
                seen += [number_of(record.value) for record in records]
                await consumer.commit({target: records[-1].offset + 1})
        await consumer.stop()
        await producer.publish([outgoing(topic, "one", n) for n in range(10, 20)])
    assert seen == list(range(20))


async def test_a_failing_store_stops_nothing_but_the_reading(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    await producer.publish([outgoing(topic, "one", n) for n in range(10)])
    consumer = GroupConsumer(kafka_bootstrap, f"store{suffix}", [topic], QUICK)
    asked = 0

    async def resume(partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        nonlocal asked
        asked += 1
        if asked < 3:
            msg = "the database is away"
            raise ConnectionRefusedError(msg)
        return dict.fromkeys(partitions, 5)

    await consumer.start(resume)
    seen: list[int] = []
    while not seen:
        fetched = await consumer.fetch(None, 200)
        seen = [number_of(record.value) for records in fetched.values() for record in records]
    assert seen == [5, 6, 7, 8, 9]
    assert asked == 3
    await consumer.stop()


async def test_a_store_that_never_answers_reaches_the_caller(
    kafka_bootstrap: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.consumer.ASSIGN_SECONDS_MAX", 1.0)
    consumer = GroupConsumer(kafka_bootstrap, f"fault{suffix}", [f"debt.events.v1{suffix}"], QUICK)

    async def resume(_: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        msg = "a fault of the program"
        raise LookupError(msg)

    await consumer.start(resume)

    async def fetch_for_ever() -> None:
        while True:
            await consumer.fetch(None, 100)

    with pytest.raises(LookupError):
        await asyncio.wait_for(fetch_for_ever(), 20)
    await consumer.stop()


async def test_paused_partitions_stay_paused_and_lose_nothing(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    consumer = GroupConsumer(kafka_bootstrap, f"pause{suffix}", [topic], QUICK)
    await consumer.start()
    while not consumer.partitions:
        await consumer.fetch(None, 50)
    everything = consumer.partitions
    consumer.pause(everything)
    await producer.publish([outgoing(topic, f"d{n}", n) for n in range(30)])
    held = [await consumer.fetch(None, 100) for _ in range(5)]
    assert held == [{}] * 5
    consumer.resume(everything)
    seen: list[int] = []
    while len(seen) < 30:
        fetched = await consumer.fetch(None, 200)
        seen += [number_of(record.value) for records in fetched.values() for record in records]
    assert sorted(seen) == list(range(30))
    await consumer.stop()
