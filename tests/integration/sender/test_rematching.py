"""Receipts that fit no attempt: one account's pile keeps nobody else's receipt waiting."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import pytest

from deploy.local.databases import Database
from shared.postgres import Connection, Pool, engine, migrate, open_pool
from shared.sender.rematching import ACCOUNTS_MAX, FRESH, MATCHED_AFTER, PAGE_MAX, Rematching
from shared.sender.store import partitions, unfinished
from shared.sender.store.claims import hot_transaction
from shared.sender.store.receipts import RawReceipt

PILE = 2_000
ORDINARY = 5_000  # finished ones among which the pages must be found
FILL = """
INSERT INTO receipt (receipt_id, received_on, received_at, tenant_id, account_id, provider, body,
    state)
SELECT gen_random_uuid(), platform.machine_now()::date,
    platform.machine_now() - make_interval(secs => $5) + n * interval '1 microsecond',
    $1, $2, 'twilio', '', $3
FROM generate_series(1, $4::int) AS n
"""


@pytest.fixture
async def pool(fresh_database: Database) -> AsyncIterator[Pool]:
    url = fresh_database.url("sms_sender")
    migrate.upgrade("sms_sender", url)
    made = await open_pool(url, service="sms_sender", max_size=2)
    async with made.transaction() as conn:
        day: date = await conn.fetchval("SELECT platform.machine_now()::date")
        days = [day + timedelta(days=each) for each in (-2, -1, 0, 1)]
        await partitions.ensure(conn, "receipt", days)
    yield made
    await made.close()


async def fill(
    pool: Pool, tenant: str, account: str, count: int, *, age: float, state: str = "unmatched"
) -> None:
    """Receipts of one account, all received `age` seconds ago."""
    await pool.execute(FILL, tenant, account, state, count, age)


async def look(pool: Pool, rematching: Rematching) -> list[RawReceipt]:
    """One look, as the interpreter does."""
    async with pool.acquire() as conn, hot_transaction(conn):
        return await rematching.page(conn, (await engine.now(conn)).machine)


async def test_a_pile_of_one_tenant_delays_no_other(pool: Pool) -> None:
    await fill(pool, "a-loud", "main", PILE, age=600)
    await fill(pool, "quiet", "main", 1, age=3)
    page = await look(pool, Rematching())
    assert [each.tenant_id for each in page].count("quiet") == 1
    assert len(page) <= PAGE_MAX


async def test_a_pile_of_one_account_delays_no_other_of_its_tenant(pool: Pool) -> None:
    await fill(pool, "acme", "loud", PILE, age=600)
    await fill(pool, "acme", "quiet", 2, age=3)
    accounts = [each.account_id for each in await look(pool, Rematching())]
    assert accounts.count("quiet") == 2
    assert 0 < accounts.count("loud") <= PAGE_MAX


async def test_looks_go_through_the_whole_pile_and_begin_again(pool: Pool) -> None:
    await fill(pool, "acme", "loud", PILE, age=600)
    rematching = Rematching()
    pages = [await look(pool, rematching) for _ in range(PILE // PAGE_MAX)]
    seen = [each.receipt_id for page in pages for each in page]
    assert len(set(seen)) == len(seen) == PILE
    assert not await look(pool, rematching)  # nothing beyond the last: a short page ends the round
    assert [each.receipt_id for each in await look(pool, rematching)] == seen[:PAGE_MAX]


async def test_more_accounts_than_one_look_takes_come_in_turn(pool: Pool) -> None:
    count = ACCOUNTS_MAX + 20
    for number in range(count):
        await fill(pool, "acme", f"account-{number:03}", 1, age=60)
    rematching = Rematching()
    first, second, third = [
        [each.account_id for each in await look(pool, rematching)] for _ in range(3)
    ]
    assert len(first) == ACCOUNTS_MAX
    assert len({*first, *second}) == count
    assert third == first


async def test_fresh_ones_are_counted_behind_a_pile_and_left_to_who_took_them_in(
    pool: Pool,
) -> None:
    await fill(pool, "acme", "main", PILE, age=FRESH.total_seconds() + 60)
    await fill(pool, "acme", "main", 3, age=MATCHED_AFTER.total_seconds() / 4)
    rematching = Rematching()
    page = await look(pool, rematching)
    assert rematching.fresh == 3
    now: datetime = await pool.fetchval("SELECT platform.machine_now()")
    assert all(now - each.received_at > MATCHED_AFTER for each in page)


async def test_what_was_left_behind_comes_whatever_is_unmatched(pool: Pool) -> None:
    await fill(pool, "a-loud", "main", PILE, age=600)
    await fill(pool, "quiet", "main", 1, age=60, state="new")
    async with pool.acquire() as conn:
        now = (await engine.now(conn)).machine
        found = await unfinished.left_behind(conn, before=now, limit=PAGE_MAX)
    assert [each.tenant_id for each in found] == ["quiet"]


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "new partition"])
async def test_every_page_is_read_by_key(pool: Pool, *, analysed: bool) -> None:
    await fill(pool, "acme", "main", ORDINARY, age=900, state="applied")
    await fill(pool, "acme", "loud", PILE, age=600)
    await fill(pool, "other", "main", 5, age=60)
    async with pool.acquire() as conn:
        if analysed:
            await conn.execute("ANALYZE receipt")
        now = (await engine.now(conn)).machine
        turn = unfinished.Turn(tenant_id="acme", account_id="loud")
        plans = [
            await plan(conn, unfinished.ACCOUNTS, "", "", now, 100, 500),
            await plan(
                conn,
                unfinished.UNMATCHED,
                [turn.tenant_id],
                [turn.account_id],
                [turn.after_at],
                [turn.after_id],
                now,
                250,
            ),
            await plan(conn, unfinished.LEFT_BEHIND, now, 500),
        ]
    for each in plans:
        assert "Seq Scan on receipt" not in each
        assert "Sort" not in each.replace("Sort Key", "")
    # What was read, and thrown away again, does not grow with what is there.
    assert all("Rows Removed by Filter" not in each for each in plans)


async def plan(conn: Connection, statement: str, *args: object) -> str:
    """The plan that ran, as the interpreter runs it."""
    async with hot_transaction(conn):
        rows = await conn.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {statement}", *args)
    return "\n".join(row[0] for row in rows)
