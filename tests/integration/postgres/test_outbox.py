"""Writing and keeping the outbox: one COPY, partitions ahead, old ones dropped, none too soon."""

from datetime import date, timedelta

import pytest

from shared.events.envelope import Envelope
from shared.postgres import Connection, Pool, outbox, pages
from shared.postgres.upkeep import Upkeep, drop_old
from tests.support.bus import envelope

TOPIC = "debt.events.v1"


async def partitions(conn: Connection) -> list[str]:
    rows = await conn.fetch(
        "SELECT relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid "
        "WHERE inhparent = 'outbox'::regclass ORDER BY 1"
    )
    return [row["relname"] for row in rows]


async def today(conn: Connection) -> date:
    found: date = await conn.fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    return found


async def test_an_event_comes_back_as_it_was_written(pool: Pool) -> None:
    made = envelope("debtor", 7)
    async with pool.acquire() as conn:
        await outbox.append(conn, [(TOPIC, made)])
        await outbox.append(conn, [])
        [row] = await pages.read_page(conn, pages.Position(), 1, 10)
    [record] = pages.outgoing([row])
    assert (record.topic, record.key, record.value) == (TOPIC, "debtor", made.data)
    assert Envelope.from_record(dict(record.headers), record.value) == made


async def test_what_no_batch_could_carry_is_refused_where_it_is_written(pool: Pool) -> None:
    async with pool.acquire() as conn:
        with pytest.raises(ValueError, match="is more than 800000") as raised:
            await outbox.append(conn, [(TOPIC, envelope("secret key", 1, 900_000))])
    assert "secret" not in str(raised.value)


async def test_a_week_of_partitions_is_there_and_no_default_one(pool: Pool) -> None:
    async with pool.acquire() as conn:
        start = await today(conn)
        wanted = [outbox.partition_name(start + timedelta(days=n)) for n in range(-1, 8)]
        assert await partitions(conn) == wanted
        await conn.execute(f"DROP TABLE {wanted[-1]}")
        assert await outbox.ensure_partitions(conn) == [wanted[-1]]
        assert await outbox.ensure_partitions(conn) == []


async def test_partitions_are_made_while_writers_are_at_work(pool: Pool) -> None:
    async with pool.acquire() as conn, pool.acquire() as other:
        name = (await partitions(conn))[-1]
        await conn.execute(f"DROP TABLE {name}")
        async with conn.transaction():
            await outbox.append(conn, [(TOPIC, envelope("a", 1))])
            await other.execute("SET lock_timeout = '500ms'")
            assert await outbox.ensure_partitions(other) == [name]


async def test_an_old_partition_goes_when_it_was_published_and_stays_when_it_was_not(
    pool: Pool,
) -> None:
    async with pool.acquire() as conn:
        start = await today(conn)
        for age in (20, 16):
            day = start - timedelta(days=age)
            await conn.execute(
                f"CREATE TABLE {outbox.partition_name(day)} PARTITION OF outbox "
                f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(1)}')"
            )
            await conn.execute(
                "INSERT INTO outbox (xid, day, topic, key, event_id, headers) "
                "VALUES ($1, $2, 't', 'k', gen_random_uuid(), '')",
                100 - age,
                day,
            )
        assert await drop_old(conn, "outbox") == []  # nobody knows what was published
        await pages.load_state(conn, "outbox")
        assert await drop_old(conn, "outbox") == []
        await conn.execute("UPDATE relay SET generation = 1, xid = '80', id = 1000")
        assert await drop_old(conn, "outbox") == [outbox.partition_name(start - timedelta(20))]
        await conn.execute("UPDATE relay SET generation = 1, xid = '90', id = 1000")
        # While the window is published again, nothing of it goes.
        await conn.execute(
            "UPDATE relay SET again_generation = 0, again_xid = '0', again_id = 0, "
            "again_day = '2000-01-01'"
        )
        assert await drop_old(conn, "outbox") == []
        await pages.end_again(conn, "outbox")
        assert await drop_old(conn, "outbox") == [outbox.partition_name(start - timedelta(16))]
        assert len(await partitions(conn)) == 9


async def test_the_generation_rises_with_another_cluster_and_only_then(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert await outbox.ensure_generation(conn) == 1
        await conn.execute("UPDATE outbox_generation SET system_identifier = 1")
        assert await outbox.ensure_generation(conn) == 2
        assert await outbox.ensure_generation(conn) == 2
        await outbox.append(conn, [(TOPIC, envelope("a", 1))])
        assert await conn.fetchval("SELECT generation FROM outbox") == 2


async def test_statistics_exist_after_the_first_page(pool: Pool) -> None:
    async with pool.acquire() as conn:
        await outbox.append(conn, [(TOPIC, envelope("a", n)) for n in range(50)])
        page = await pages.read_page(conn, pages.Position(), 1, 100)
        await Upkeep().published(conn, page)
        name = outbox.partition_name(await today(conn))
        rows = await conn.fetchval("SELECT reltuples FROM pg_class WHERE relname = $1", name)
        assert rows == 50
