"""The holds lane: waits for nobody, forgets what was acknowledged, marks what is complete."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.events.envelope import Envelope, decode
from shared.events.hold import CompleteThrough
from shared.kafka import Producer, Record
from shared.postgres import Pool, outbox
from shared.postgres.lane import LaneRelay
from tests.support.bus import envelope, read_all, until

POLL_SECONDS = 5.0  # a lane that is not woken looks only now and then


@asynccontextmanager
async def running(lane: LaneRelay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    loop = asyncio.ensure_future(lane.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(loop, 20)


async def records(bootstrap: str, topic: str) -> dict[int, list[Record]]:
    return await read_all(bootstrap, topic)


async def test_a_hold_goes_out_although_an_older_transaction_is_open(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"contact.holds.v1{suffix}"
    lane = LaneRelay(pool, producer, topic=topic)
    async with running(lane), pool.acquire() as slow, pool.acquire() as quick:
        await until(lambda: lane.leading)
        async with slow.transaction():
            await outbox.append_to_lane(slow, [envelope("h0", 0)])
            await outbox.append_to_lane(quick, [envelope("h1", 1)])
            lane.wake()
            await until(lambda: lane.published_total == 1)
        lane.wake()
        await until(lambda: lane.published_total == 2)
        await until(lambda: lane.pending() == 0)
        assert await lane.count_pending() == 0
    keys = {r.key for rs in (await records(kafka_bootstrap, topic)).values() for r in rs}
    assert keys == {"h0", "h1"}


async def test_a_hold_goes_to_kafka_when_the_lane_is_woken_not_at_its_next_look(
    pool: Pool, producer: Producer, suffix: str
) -> None:
    lane = LaneRelay(pool, producer, topic=f"contact.holds.v1{suffix}", poll_seconds=POLL_SECONDS)
    loop = asyncio.get_running_loop()
    took = []
    async with running(lane), pool.acquire() as conn:
        await until(lambda: lane.leading)
        for number in range(10):
            await outbox.append_to_lane(conn, [envelope(f"h{number}", number)])
            began = loop.time()
            lane.wake()
            await until(lambda number=number: lane.published_total == number + 1)  # type: ignore[misc]
            took.append(loop.time() - began)
        lane.wake()
    assert sorted(took)[5] < POLL_SECONDS / 2, took


async def test_marks_reach_every_partition_behind_the_holds_they_vouch_for(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"contact.holds.v1{suffix}"
    lane = LaneRelay(pool, producer, topic=topic, marks=True)
    async with running(lane), pool.acquire() as conn:
        placed = []
        for number in range(30):
            await outbox.append_to_lane(conn, [envelope(f"h{number}", number)])
            placed.append(await conn.fetchval("SELECT platform.machine_now()"))
            await asyncio.sleep(0.1)  # spread over several marks
        await until(
            lambda: lane.complete_through is not None and lane.complete_through > placed[-1]
        )
    found = await records(kafka_bootstrap, topic)
    marks_seen = 0
    for partition in range(3):
        seen: set[str | None] = set()
        for record in found[partition]:
            if record.key != "complete_through":
                seen.add(record.key)
                continue
            marks_seen += 1
            mark = Envelope.from_record(record.headers, record.value)
            assert mark.type == "hold.complete_through.v1"
            through = decode(mark.data, CompleteThrough).at
            promised = {
                f"h{number}"
                for number, at in enumerate(placed)
                if at < through and _partition(found, f"h{number}") == partition
            }
            assert promised <= seen
    assert marks_seen >= 9


async def test_no_mark_is_written_while_publishing_fails(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = Producer("127.0.0.1:1", publish_seconds_max=0.5)
    lane = LaneRelay(pool, nobody, marks=True)
    async with running(lane), pool.acquire() as conn:
        await outbox.append_to_lane(conn, [envelope("h", 1)])
        lane.wake()
        await until(lambda: caplog.text.count("the lane stopped") > 1)  # and it tried again
        assert lane.complete_through is None
        assert await lane.count_pending() == 1
    await nobody.stop()


async def test_a_frozen_holder_loses_the_lock_and_the_lane_goes_on(
    pool: Pool, producer: Producer, suffix: str
) -> None:
    # A frozen process keeps its socket open: only the server's idle limit frees the lock.
    frozen = await pool.dedicated("frozen", {"idle_session_timeout": "3s"})
    key = "SELECT pg_advisory_lock(hashtextextended(current_schema() || '/lane/hold_outbox', 0))"
    await frozen.execute(key)
    lane = LaneRelay(pool, producer, topic=f"contact.holds.v1{suffix}")
    async with running(lane), pool.acquire() as conn:
        await outbox.append_to_lane(conn, [envelope("h", 1)])
        await until(lambda: lane.published_total == 1, 8)
    frozen.terminate()


def _partition(found: dict[int, list[Record]], key: str) -> int:
    return next(p for p, records in found.items() if any(r.key == key for r in records))
