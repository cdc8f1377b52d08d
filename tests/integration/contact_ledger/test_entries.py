"""Entries: appended once, sealed, never changed."""

import os
from datetime import timedelta

import asyncpg
import pytest

from services.contact_ledger.sealing import (
    BodyUnreadable,
    KeyCache,
    KeyWrap,
    SealedBody,
    key_name,
    unseal,
)
from services.contact_ledger.store import feed, keys, months
from services.contact_ledger.tables import METADATA
from shared.postgres import Pool, migrate
from tests.support.ledger import NOW, TENANT, Debtor, a_writer, write

CANARY = "Canaria Prado"


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
def test_tables_are_what_the_migrations_create(ledger_url: str) -> None:
    assert migrate.differences("contact_ledger", ledger_url, METADATA) == []


async def test_a_fact_recorded_again_adds_nothing(pool: Pool) -> None:
    writer = a_writer()
    debtor = Debtor()
    facts = [debtor.registered(), debtor.contact().state("contact.planned")]
    first = await write(pool, writer, facts)
    again = await write(pool, writer, [*facts, *facts])
    assert (len(first.facts), first.known) == (2, 0)
    assert (again.facts, again.known) == ([], 4)
    assert await pool.fetchval("SELECT count(*) FROM entry") == 2


async def test_entries_of_other_months_make_their_partitions(pool: Pool) -> None:
    writer = a_writer()
    debtor = Debtor()
    await write(
        pool, writer, [debtor.registered(NOW), debtor.registered(NOW + timedelta(days=400))]
    )
    names = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    )
    assert [row["relname"] for row in names] == ["entry_2026_03", "entry_2027_04"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET type = 'x'",
        "DELETE FROM entry",
        "TRUNCATE entry",
        "TRUNCATE entry_2026_03",
    ],
)
async def test_the_database_refuses_to_change_an_entry(pool: Pool, statement: str) -> None:
    await write(pool, a_writer(), [Debtor().registered()])
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await pool.execute(statement)
    assert getattr(refusal.value, "sqlstate", "") == "RG003"
    assert await pool.fetchval("SELECT count(*) FROM entry") == 1


async def test_bodies_are_sealed_and_open_only_where_they_belong(pool: Pool) -> None:
    wrap = KeyWrap(os.urandom(32))
    debtor = Debtor()
    fact = debtor.registered(product=CANARY)
    await write(pool, a_writer(wrap=wrap), [fact])
    row = await pool.fetchrow("SELECT * FROM entry")
    assert row is not None
    assert not any(CANARY in str(value) for value in row.values())
    async with pool.acquire() as conn:
        name = key_name(TENANT, debtor.debtor_id)
        key = (await keys.find(conn, wrap, [name]))[name]
    body = SealedBody(
        tenant_id=TENANT,
        debtor_id=debtor.debtor_id,
        event_id=row["event_id"],
        event_time=row["event_time"],
        type=row["type"],
        sealed=row["body_sealed"],
    )
    assert unseal(body, key) == fact.body
    for change in ({"type": "debt.updated.v1"}, {"tenant_id": "other"}, {"sealed": b"\x02" * 40}):
        moved = SealedBody(**{n: getattr(body, n) for n in body.__struct_fields__} | change)
        with pytest.raises(BodyUnreadable):
            unseal(moved, key)


async def test_no_table_holds_personal_data_in_clear(pool: Pool) -> None:
    await write(pool, a_writer(), [Debtor().registered(product=CANARY)])
    names = await pool.fetch(
        "SELECT relname FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'contact_ledger'::regnamespace"
    )
    for name in [row["relname"] for row in names]:
        dump = await pool.fetchval(f"SELECT string_agg(t::text, ' ') FROM {name} t")  # noqa: S608
        for personal in (CANARY, "5511987654321", "Ana Prado", "112000"):
            assert personal not in (dump or ""), f"{name} holds {personal}"


async def test_a_destroyed_key_is_never_made_anew(pool: Pool) -> None:
    wrap = KeyWrap(os.urandom(32))
    debtor = Debtor()
    await write(pool, a_writer(wrap=wrap), [debtor.registered()])
    await pool.execute("UPDATE debtor_key SET wrapped = NULL")
    await write(pool, a_writer(wrap=wrap), [debtor.contact().state("contact.planned")])
    bodies = await pool.fetch("SELECT body_sealed FROM entry WHERE type LIKE 'contact%'")
    assert [row["body_sealed"] for row in bodies] == [None]
    assert await pool.fetchval("SELECT count(*) FROM debtor_key WHERE wrapped IS NULL") == 1


async def test_a_page_of_the_feed_is_an_ordered_index_scan(pool: Pool) -> None:
    debtor = Debtor()
    writer = a_writer()
    for _ in range(4):
        facts = [debtor.contact().state("contact.planned") for _ in range(500)]
        await write(pool, writer, facts)
    async with pool.acquire() as conn:
        # What the recorder does after the first batch into a new month.
        await months.analyse(conn, [NOW.date().replace(day=1)])
        plan = await conn.fetch(
            f"EXPLAIN {feed.statement(of_types=False)}", TENANT, 0, 0, -1, [], 100
        )
    told = "\n".join(row[0] for row in plan)
    assert "Index Scan using entry_2026_03_tenant_id_generation_xid_ordinal_idx" in told, told
    assert "Sort" not in told, told


async def test_two_processes_agree_on_a_debtors_key(pool: Pool) -> None:
    kek = os.urandom(32)
    debtor = Debtor()
    caches = [KeyCache(), KeyCache()]
    for number, cache in enumerate(caches):
        fact = debtor.contact().state("contact.planned", NOW + timedelta(hours=number))
        await write(pool, a_writer(cache, KeyWrap(kek)), [fact])
    name = key_name(TENANT, debtor.debtor_id)
    assert caches[0].get(name) == caches[1].get(name) is not None
