"""A compacted topic is read whole by everybody, and `caught_up` means handled."""

import asyncio

import pytest

from shared.kafka import CompactedReader, Producer, admin
from tests.support.bus import number_of, outgoing, until


async def test_everything_there_is_handled_before_caught_up_and_new_records_follow(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"platform.config.v1{suffix}"
    await producer.publish([outgoing(topic, f"k{number}", number) for number in range(100)])
    reader = CompactedReader(kafka_bootstrap, topic)
    seen: list[int] = []
    early: list[bool] = []

    async def follow() -> None:
        async for batch in reader.batches():
            early.append(reader.caught_up.is_set())
            seen.extend(number_of(record.value) for record in batch)

    following = asyncio.ensure_future(follow())
    await asyncio.wait_for(reader.caught_up.wait(), 20)
    assert sorted(seen) == list(range(100))
    assert not any(early)
    await producer.publish([outgoing(topic, "k1", 100)])
    await until(lambda: 100 in seen)
    await reader.stop()
    await asyncio.wait_for(following, 10)


async def test_an_empty_topic_is_caught_up_at_once(kafka_bootstrap: str, suffix: str) -> None:
    reader = CompactedReader(kafka_bootstrap, f"contact.holds.v1{suffix}")

    async def follow() -> None:
        async for batch in reader.batches():
            raise AssertionError(batch)

    following = asyncio.ensure_future(follow())
    await asyncio.wait_for(reader.caught_up.wait(), 20)
    await reader.stop()
    await asyncio.wait_for(following, 10)


async def test_a_topic_that_is_made_later_is_waited_for(
    kafka_bootstrap: str, topic_suffix: str
) -> None:
    reader = CompactedReader(kafka_bootstrap, f"contact.holds.v1{topic_suffix}")

    async def follow() -> None:
        async for batch in reader.batches():
            raise AssertionError(batch)

    following = asyncio.ensure_future(follow())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.caught_up.wait(), 1)
    await admin.ensure_topics(kafka_bootstrap, partitions=2, replication=1, suffix=topic_suffix)
    await asyncio.wait_for(reader.caught_up.wait(), 20)
    await reader.stop()
    await asyncio.wait_for(following, 10)


async def test_two_readers_read_the_same(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"contact.holds.v1{suffix}"
    readers = [CompactedReader(kafka_bootstrap, topic) for _ in range(2)]
    seen: list[set[int]] = [set(), set()]

    async def follow(index: int) -> None:
        async for batch in readers[index].batches():
            seen[index].update(number_of(record.value) for record in batch)

    following = [asyncio.ensure_future(follow(index)) for index in range(2)]
    for reader in readers:
        await asyncio.wait_for(reader.caught_up.wait(), 20)
    await producer.publish([outgoing(topic, f"k{number}", number) for number in range(9)])
    await until(lambda: seen == [set(range(9))] * 2)
    for reader in readers:
        await reader.stop()
    await asyncio.gather(*following)
