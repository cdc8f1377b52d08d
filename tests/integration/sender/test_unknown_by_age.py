"""Unknown attempts by the age of their call, on the run's real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from uuid import uuid4

import pytest

from deploy.local.databases import Database
from shared.postgres import Pool, migrate, open_pool
from shared.sender.store import endings, partitions

AGES = {"under_1h": 0.5, "1h_to_6h": 3.0, "6h_to_24h": 12.0, "over_24h": 30.0}  # hours
INSERT_ATTEMPT = """
INSERT INTO attempt (contact_id, n, ends_on, debtor_id, tenant_id, account_id, provider, state,
    owner, tries, claimed_at, not_after, address_digest, frame)
VALUES ($1, 1, $2, $1, 't', 'a', 'p', 'UNKNOWN', $1, 0,
    platform.machine_now() - make_interval(secs => $3), platform.machine_now(), '', '')
"""
INSERT_UNKNOWN = """
INSERT INTO unknown_attempt (contact_id, n, ends_on, resolve_by)
VALUES ($1, 1, $2, platform.machine_now())
"""


@pytest.fixture
async def pool(fresh_database: Database) -> AsyncIterator[Pool]:
    url = fresh_database.url("sms_sender")
    migrate.upgrade("sms_sender", url)
    made = await open_pool(url, service="sms_sender", max_size=2)
    yield made
    await made.close()


async def test_each_age_has_its_count_and_none_is_left_out(pool: Pool) -> None:
    async with pool.transaction() as conn:
        assert await endings.unknown_by_age(conn) == dict.fromkeys(AGES, 0)
        day: date = await conn.fetchval("SELECT platform.machine_now()::date")
        await partitions.ensure(conn, "attempt", [day, day + timedelta(days=1)])
        for number, hours in enumerate(AGES.values(), start=1):
            for _ in range(number):
                contact = uuid4()
                await conn.execute(INSERT_ATTEMPT, contact, day, hours * 3_600)
                await conn.execute(INSERT_UNKNOWN, contact, day)
        assert await endings.unknown_by_age(conn) == {
            age: number for number, age in enumerate(AGES, start=1)
        }
