"""Whole batches: placed by one partitioner, in order, acknowledged once, or an error."""

import asyncio

import pytest

from shared.kafka import Outgoing, Producer, PublishFailed, admin, partition_of
from tests.support.bus import number_of, outgoing


async def test_records_land_where_the_partitioner_says_at_the_offsets_returned(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    batch = [outgoing(topic, f"debtor-{number}", number) for number in range(500)]
    placed = await producer.publish(batch)
    assert [partition for partition, _ in placed] == [partition_of(r.key, 3) for r in batch]
    sample = {(topic, placed[at][0]): (placed[at][1], at) for at in (0, 17, 250, 499)}
    found = await admin.records_at(
        kafka_bootstrap, {t: offset for t, (offset, _) in sample.items()}
    )
    for target, (offset, at) in sample.items():
        assert found[target].offset == offset
        assert number_of(found[target].value) == at
        assert found[target].key == batch[at].key
        assert list(found[target].headers.items()) == batch[at].headers


async def test_an_explicit_partition_wins_and_several_topics_go_at_once(
    producer: Producer, suffix: str
) -> None:
    holds, events = f"contact.holds.v1{suffix}", f"contact.events.v1{suffix}"
    placed = await producer.publish(
        [Outgoing(holds, "complete_through", [], b"{}", number) for number in range(3)]
        + [outgoing(events, "a", 1)]
    )
    assert [partition for partition, _ in placed[:3]] == [0, 1, 2]
    assert placed[3] == (partition_of("a", 3), 0)


async def test_more_than_a_batch_holds_is_split_and_stays_in_order(
    producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    batch = [outgoing(topic, "one debtor", number, 200_000) for number in range(23)]
    placed = await producer.publish(batch)
    assert [offset for _, offset in placed] == list(range(23))
    target = (topic, placed[0][0])
    last = await admin.records_at(kafka_bootstrap, {target: 22})
    assert number_of(last[target].value) == 22


async def test_tombstones_travel(producer: Producer, kafka_bootstrap: str, suffix: str) -> None:
    topic = f"platform.config.v1{suffix}"
    [(partition, offset)] = await producer.publish([Outgoing(topic, "k", [("h", b"1")], None)])
    found = await admin.records_at(kafka_bootstrap, {(topic, partition): offset})
    assert found[(topic, partition)].value is None


async def test_publishers_share_one_producer(producer: Producer, suffix: str) -> None:
    topic = f"debt.events.v1{suffix}"
    placed = await asyncio.gather(
        *(
            producer.publish([outgoing(topic, "same", number * 10 + i) for i in range(10)])
            for number in range(20)
        )
    )
    offsets = [offset for batch in placed for _, offset in batch]
    assert sorted(offsets) == list(range(200))


async def test_without_a_broker_publishing_fails_in_time_and_says_no_content() -> None:
    lonely = Producer("127.0.0.1:1", publish_seconds_max=1.0)
    with pytest.raises(PublishFailed, match="1 records") as raised:
        await lonely.publish([outgoing("debt.events.v1", "secret", 1)])
    assert "secret" not in str(raised.value)
    assert await lonely.cluster_id() is None
    await lonely.stop()


async def test_a_topic_that_does_not_exist_fails_and_the_producer_goes_on(
    kafka_bootstrap: str, suffix: str
) -> None:
    producer = Producer(kafka_bootstrap, publish_seconds_max=2.0)
    with pytest.raises(PublishFailed):
        await producer.publish([outgoing(f"nowhere{suffix}", "a", 1)])
    assert await producer.publish([outgoing(f"debt.events.v1{suffix}", "a", 1)])
    await producer.stop()
