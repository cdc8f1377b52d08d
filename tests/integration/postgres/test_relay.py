"""The outbox reaches Kafka: everything committed, in commit order, whole pages at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.kafka import Producer
from shared.postgres import Connection, Pool, outbox, pages
from shared.postgres.relay import Relay
from tests.support.bus import envelope, number_of, read_all, until


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    """Run relays for the length of a block; an error of theirs is an error of the test."""
    stop = asyncio.Event()
    loops = [asyncio.ensure_future(relay.run(stop)) for relay in relays]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*loops), 20)


async def append(conn: Connection, topic: str, numbers: range, key: str | None = None) -> None:
    await outbox.append(conn, [(topic, envelope(key or f"d{n}", n)) for n in numbers])


async def numbers(bootstrap: str, topic: str) -> list[int]:
    found = await read_all(bootstrap, topic)
    return [number_of(record.value) for records in found.values() for record in records]


async def test_everything_committed_is_published_once_and_in_order(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    async with pool.acquire() as conn:
        for start in range(0, 5_000, 500):
            async with conn.transaction():
                await append(conn, topic, range(start, start + 500))
    relay = Relay(pool, producer)
    async with running(relay):
        await until(lambda: relay.published_total == 5_000 and relay.pending() == 0)
        assert await relay.count_pending() == 0
    found = await read_all(kafka_bootstrap, topic)
    for records in found.values():
        values = [number_of(record.value) for record in records]
        assert values == sorted(values)
    assert sorted(await numbers(kafka_bootstrap, topic)) == list(range(5_000))
    first = found[0][0]
    assert first.headers["ce_id"] == str(envelope("x", number_of(first.value)).id).encode()


async def test_a_row_that_commits_late_is_neither_skipped_nor_overtaken_by_its_own_debtor(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    relay = Relay(pool, producer)
    async with running(relay), pool.acquire() as slow, pool.acquire() as quick:
        await until(lambda: relay.leading)
        open_transaction = slow.transaction()
        async with open_transaction:
            await append(slow, topic, range(1))  # takes the smaller id, commits later
            await append(quick, topic, range(1, 2))
            relay.wake()
            # The quick row is committed, but an older transaction is still open.
            await until(lambda: relay.pending() > 0)
            assert await relay.count_pending() == 1
            assert relay.published_total == 0
        relay.wake()
        await until(lambda: relay.published_total == 2)
    assert sorted(await numbers(kafka_bootstrap, topic)) == [0, 1]


async def test_a_rolled_back_row_is_never_published(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    relay = Relay(pool, producer)
    async with running(relay), pool.acquire() as conn:
        doomed = conn.transaction()
        try:
            async with doomed:
                await append(conn, topic, range(1))
                raise LookupError  # noqa: TRY301
        except LookupError:
            pass
        await append(conn, topic, range(1, 2))
        relay.wake()
        await until(lambda: relay.published_total == 1)
    assert await numbers(kafka_bootstrap, topic) == [1]


async def test_pages_follow_the_transaction_id_across_a_change_of_its_digits(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    # Ordered as text, 100 comes before 99: rows would be skipped. Small pages cross every edge.
    topic = f"debt.events.v1{suffix}"
    async with pool.acquire() as conn:
        for number in range(30):
            xid = 10 ** (number // 3 % 2 + 1) - 1 + number % 3  # 9, 10, 11, 99, 100, 101
            await conn.execute(
                """
                INSERT INTO outbox (xid, topic, key, event_id, headers, value)
                VALUES ($1, $2, 'one debtor', gen_random_uuid(), '\\x90', $3)
                """,
                xid,
                topic,
                str(number).encode(),
            )
        rows = await conn.fetch("SELECT value FROM outbox ORDER BY generation, xid, id")
        expected = [int(row["value"]) for row in rows]
    relay = Relay(pool, producer, page_rows_max=4)
    async with running(relay):
        await until(lambda: relay.published_total == 30)
    assert await numbers(kafka_bootstrap, topic) == expected


async def test_a_new_relay_goes_on_where_the_old_one_stopped(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    for part in range(3):
        async with pool.acquire() as conn:
            await append(conn, topic, range(part * 10, part * 10 + 10))
        relay = Relay(pool, producer)
        async with running(relay):
            await until(lambda relay=relay: relay.published_total == 10)  # type: ignore[misc]
    assert sorted(await numbers(kafka_bootstrap, topic)) == list(range(30))


async def test_an_idle_relay_answers_a_wake_within_milliseconds(
    pool: Pool, producer: Producer, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    relay = Relay(pool, producer, poll_seconds=2)
    loop = asyncio.get_running_loop()
    took: list[float] = []
    async with running(relay), pool.acquire() as conn:
        await until(lambda: relay.leading and relay.pending() == 0)
        for number in range(10):
            await append(conn, topic, range(number, number + 1))
            began = loop.time()
            relay.wake()
            await until(lambda number=number: relay.published_total == number + 1)  # type: ignore[misc]
            took.append(loop.time() - began)
            await until(lambda: relay.pending() == 0)
    assert sorted(took)[5] < 0.1, took  # the poll alone would take two seconds


async def test_another_replicas_commits_are_found_without_a_wake(
    pool: Pool, producer: Producer, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    relay = Relay(pool, producer)
    async with running(relay), pool.acquire() as conn:
        await until(lambda: relay.leading)
        await append(conn, topic, range(3))
        await until(lambda: relay.published_total == 3, seconds_max=3)


async def test_one_process_leads_and_another_takes_over_when_its_connection_is_lost(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    topic = f"debt.events.v1{suffix}"
    relays = [Relay(pool, producer), Relay(pool, producer)]
    async with running(*relays), pool.acquire() as conn:
        await until(lambda: any(relay.leading for relay in relays))
        assert sum(relay.leading for relay in relays) == 1
        await append(conn, topic, range(10))
        await until(lambda: sum(relay.published_total for relay in relays) == 10)
        leader = next(relay for relay in relays if relay.leading)
        follower = next(relay for relay in relays if not relay.leading)
        # Whoever leads: cut all lock connections but keep the test's own.
        await conn.execute(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name LIKE 'scheduler/relay%' AND pid IN
                (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)
            """
        )
        await until(lambda: not leader.leading or follower.leading)
        await append(conn, topic, range(10, 20))
        await until(lambda: sum(relay.published_total for relay in relays) == 20)
        assert sum(relay.leading for relay in relays) == 1
    assert sorted(await numbers(kafka_bootstrap, topic)) == list(range(20))


async def test_an_older_generation_counts_as_committed_and_comes_first(
    pool: Pool, producer: Producer, kafka_bootstrap: str, suffix: str
) -> None:
    # A dump restored into another cluster: its transaction ids start anew, far below the old ones.
    topic = f"debt.events.v1{suffix}"
    async with pool.acquire() as conn:
        await append(conn, topic, range(3), key="one debtor")
        await conn.execute("UPDATE outbox SET xid = '900000000000'")
        await conn.execute("UPDATE outbox_generation SET system_identifier = 1")
        await outbox.prepare(conn)
        await append(conn, topic, range(3, 6), key="one debtor")
        generations = await conn.fetch("SELECT DISTINCT generation FROM outbox ORDER BY 1")
        assert [row["generation"] for row in generations] == [1, 2]
    relay = Relay(pool, producer)
    async with running(relay):
        await until(lambda: relay.published_total == 6)
    assert await numbers(kafka_bootstrap, topic) == list(range(6))


async def test_no_page_ever_sorts_a_whole_partition(
    pool: Pool, producer: Producer, suffix: str
) -> None:
    # A day's partition without statistics is sorted whole for every page: 60 times dearer.
    topic = f"debt.events.v1{suffix}"
    relay = Relay(pool, producer)
    async with running(relay), pool.acquire() as conn:
        await append(conn, topic, range(5))
        relay.wake()
        await until(lambda: relay.published_total == 5 and relay.pending() == 0)
        for start in range(0, 20_000, 2_000):
            await append(conn, topic, range(start, start + 2_000))
        state = await pages.load_state(conn, "outbox")
        reader = await pool.dedicated("reader", pages.PLANNER_OPTIONS)
        at = state.position
        await reader.execute(f"PREPARE page AS {pages.READ}")
        plan = await reader.fetch(
            f"EXPLAIN EXECUTE page('{at.day}', {at.generation}, '{at.xid}', {at.id}, 1, 2000)"
        )
        await reader.close()
        text = "\n".join(str(row[0]) for row in plan)
    assert "->  Sort" not in text, text
    assert "Index Scan" in text
