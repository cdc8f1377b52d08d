"""Figures of a real database: what waits in the outboxes, who is connected, what is open."""

from shared.postgres import Pool, outbox, pages
from shared.postgres.figures import HOLDS, NEWEST, OUTBOX, Figures
from shared.telemetry import metrics
from tests.support.bus import envelope

TOPIC = "debt.events.v1"


def figure(name: str, **labels: str) -> float:
    found = metrics.REGISTRY.get_sample_value(name, labels)
    assert found is not None, name
    return found


async def test_unpublished_rows_are_counted_and_grow_older_until_they_are_out(pool: Pool) -> None:
    figures = Figures(pool).with_outbox()
    await figures.look()
    assert figure("regua_outbox_unpublished_rows", outbox=OUTBOX) == 0
    assert figure("regua_outbox_age_seconds", outbox=OUTBOX) == 0
    async with pool.transaction() as conn:
        await outbox.append(conn, [(TOPIC, envelope("debtor", number)) for number in range(3)])
        await outbox.append_to_lane(conn, [envelope("hold", 1)])
    for _ in range(2):
        await figures.look()
    for name in (OUTBOX, HOLDS):
        assert figure("regua_outbox_age_seconds", outbox=name) > 0
    assert figure("regua_outbox_unpublished_rows", outbox=OUTBOX) == 3
    assert figure("regua_outbox_unpublished_rows", outbox=HOLDS) == 1
    async with pool.acquire() as conn:
        await pages.load_state(conn, OUTBOX)
        page = await pages.read_page(conn, pages.Position(), 1, 10)
        end = pages.end_of(page)
        await pages.save(conn, OUTBOX, pages.SAVE_LIVE, position=end, acks={}, published=len(page))
        await conn.execute("DELETE FROM hold_outbox")
    await figures.look()
    for name in (OUTBOX, HOLDS):
        assert figure("regua_outbox_age_seconds", outbox=name) == 0
        assert figure("regua_outbox_unpublished_rows", outbox=name) == 0


async def test_the_newest_row_is_found_by_key_however_many_there_are(pool: Pool) -> None:
    async with pool.transaction() as conn:
        rows = [(TOPIC, envelope("debtor", number)) for number in range(2_000)]
        await outbox.append(conn, rows)
    async with pool.transaction() as conn:
        await conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {NEWEST}"))
        assert "Seq Scan" not in plan
        assert "->  Sort" not in plan  # a merge of the days, each read backwards by its key
        newest = await conn.fetchrow(NEWEST)
    assert newest is not None
    assert newest["id"] == 2_000


async def test_the_database_is_described(pool: Pool) -> None:
    figures = Figures(pool)
    await figures.look()
    assert figure("regua_postgres_database_bytes") > 1_000_000
    assert 1 <= figure("regua_postgres_connections") <= figure("regua_postgres_max_connections")
    assert figure("regua_postgres_pool_max_connections") == 6
    async with pool.transaction() as conn:
        await conn.execute("SELECT pg_sleep(0.05)")
        await figures.look()
        assert figure("regua_postgres_oldest_transaction_seconds") >= 0.05


async def test_a_database_that_is_away_leaves_the_last_figures(pool: Pool) -> None:
    figures = Figures(pool).with_outbox()
    await figures.look()
    before = figure("regua_postgres_database_bytes")
    await pool.close()
    await figures.look()
    assert figure("regua_postgres_database_bytes") == before
