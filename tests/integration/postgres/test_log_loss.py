"""A broker that lost its log is recognised, and everything kept is published again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.local.kafka import Kafka
from shared.kafka import Outgoing, Producer, admin
from shared.kafka.admin import Layout
from shared.postgres import Connection, Pool, outbox, pages
from shared.postgres.lane import LaneRelay
from shared.postgres.log_loss import LogLost, check_advance, inspect
from shared.postgres.pages import Ack
from shared.postgres.relay import Relay
from tests.support.bus import envelope, number_of, read_all, until

TOPIC = "debt.events.v1"
LANE = "contact.holds.v1"
LAYOUT = Layout(partitions=2, replication=1)


@pytest.fixture
async def bootstrap(own_kafka: Kafka) -> str:
    """A broker of this test's own, with topics."""
    await admin.ensure_topics(own_kafka.bootstrap, partitions=2, replication=1)
    return own_kafka.bootstrap


@asynccontextmanager
async def running(*relays: Relay | LaneRelay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    loops = [asyncio.ensure_future(relay.run(stop)) for relay in relays]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*loops), 30)


async def append(conn: Connection, numbers: range) -> None:
    await outbox.append(conn, [(TOPIC, envelope(f"d{number}", number)) for number in numbers])


async def numbers(bootstrap: str, topic: str = TOPIC) -> list[int]:
    found = await read_all(bootstrap, topic)
    return [
        number_of(record.value)
        for records in found.values()
        for record in records
        if record.key != "complete_through"
    ]


async def test_an_emptied_broker_gets_state_first_then_live_rows_and_the_kept_window(
    pool: Pool, own_kafka: Kafka, bootstrap: str
) -> None:
    producer = Producer(bootstrap)
    calls: list[int] = []

    async def lost() -> None:
        calls.append(len(await numbers(bootstrap)))
        async with pool.acquire() as conn:
            await append(conn, range(9_000, 9_001))

    relay = Relay(pool, producer, layout=LAYOUT, on_log_lost=lost, probe_seconds=1)
    async with running(relay), pool.acquire() as conn:
        await append(conn, range(500))
        relay.wake()
        await until(lambda: relay.published_total == 500)
        await asyncio.to_thread(own_kafka.restart_empty)
        await append(conn, range(500, 520))
        relay.wake()
        await until(lambda: relay.log_losses_total > 0 and relay.pending() == 0, 90)
        assert await relay.count_pending() == 0
    assert calls
    assert calls[0] == 0  # the service's state went out before anything else
    assert set(await numbers(bootstrap)) == {*range(520), 9_000}
    async with pool.acquire() as conn:
        state = await pages.load_state(conn, "outbox")
    assert state.again is None
    assert state.cluster_id == await admin.cluster_id(bootstrap)
    await producer.stop()


async def test_a_broker_emptied_while_the_relay_was_down_is_recognised_at_the_start(
    pool: Pool, own_kafka: Kafka, bootstrap: str
) -> None:
    first = Producer(bootstrap)
    relay = Relay(pool, first)
    async with running(relay), pool.acquire() as conn:
        await append(conn, range(100))
        await until(lambda: relay.published_total == 100)
    await first.stop()
    await asyncio.to_thread(own_kafka.restart_empty)
    second = Producer(bootstrap)
    again = Relay(pool, second, layout=LAYOUT)
    async with running(again):
        await until(lambda: again.leading and again.pending() == 0, 60)
    assert again.log_losses_total == 1
    assert sorted(await numbers(bootstrap)) == list(range(100))
    await second.stop()


async def test_a_broker_that_comes_back_with_its_data_is_no_loss(
    pool: Pool, own_kafka: Kafka, bootstrap: str
) -> None:
    producer = Producer(bootstrap)
    relay = Relay(pool, producer, probe_seconds=1)
    async with running(relay), pool.acquire() as conn:
        await append(conn, range(100))
        await until(lambda: relay.published_total == 100)
        own_kafka.kill()
        await append(conn, range(100, 200))
        relay.wake()
        await asyncio.to_thread(own_kafka.restart_with_data)
        await until(lambda: relay.published_total == 200, 60)
    assert relay.log_losses_total == 0
    assert set(await numbers(bootstrap)) == set(range(200))
    await producer.stop()


async def test_another_record_at_the_last_offset_is_a_loss_and_an_aged_out_one_is_not(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    # The same cluster: the topic was deleted and made again by somebody, and filled by others.
    topic = f"{TOPIC}{suffix}"
    await producer.publish([Outgoing(topic, "k", [("ce_id", b"1")], b"{}", 0) for _ in range(5)])
    async with pool.acquire() as conn:
        state = await pages.load_state(conn, "outbox")
    ours = envelope("k", 7).id
    state.acks = {(topic, 0): Ack(3, ours)}
    with pytest.raises(LogLost, match="another record"):
        await inspect(producer, state)
    state.acks = {(topic, 0): Ack(5, ours)}
    with pytest.raises(LogLost, match="ends before"):
        await inspect(producer, state)
    state.acks = {(topic, 2): Ack(0, ours)}
    with pytest.raises(LogLost, match="ends before"):
        await inspect(producer, state)
    state.acks = {}
    state.cluster_id = "another"
    with pytest.raises(LogLost, match="cluster"):
        await inspect(producer, state)
    state.cluster_id = None
    assert await inspect(producer, state) == await admin.cluster_id(kafka_bootstrap)


def test_an_acknowledgement_that_goes_back_is_a_loss() -> None:
    known = {("t", 0): Ack(10, envelope("k", 1).id)}
    check_advance(known, {("t", 0): 11, ("t", 1): 0})
    with pytest.raises(LogLost, match="went back"):
        check_advance(known, {("t", 0): 10})


async def test_the_lane_publishes_live_holds_again_before_it_marks_an_emptied_topic(
    pool: Pool, own_kafka: Kafka, bootstrap: str
) -> None:
    producer = Producer(bootstrap)
    lost: list[bool] = []

    async def append_live_holds() -> None:
        lost.append(True)
        async with pool.acquire() as conn:
            await outbox.append_to_lane(conn, [envelope("h1", 1)])

    lane = LaneRelay(
        pool, producer, topic=LANE, marks=True, layout=LAYOUT, on_log_lost=append_live_holds
    )
    async with running(lane), pool.acquire() as conn:
        await outbox.append_to_lane(conn, [envelope("h1", 1)])
        lane.wake()
        await until(lambda: lane.published_total == 1 and lane.complete_through is not None)
        await asyncio.to_thread(own_kafka.restart_empty)
        await until(lambda: bool(lost) and lane.published_total >= 2, 60)
        seen = lane.complete_through
        await until(lambda: lane.complete_through != seen, 30)
    found = await read_all(bootstrap, LANE)
    holding = next(records for records in found.values() if records[0].key == "h1")
    assert [record.key for record in holding][:2] == ["h1", "complete_through"]
    await producer.stop()
