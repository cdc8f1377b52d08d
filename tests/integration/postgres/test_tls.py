"""TLS to PostgreSQL, by what the URL says: the pool and the migrations read it alike."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

import pytest

from deploy.local.databases import Database
from shared.postgres import Pool, migrate, open_pool
from tests.support.certificates import Authority
from tests.support.tls_door import tls_door

SERVICE = "contact_ledger"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def door(authority: Authority, fresh_database: Database) -> AsyncIterator[int]:
    port = urlsplit(fresh_database.admin_url).port or 0
    async with tls_door(port, authority.issue("server")) as opened:
        yield opened


def url_of(database: Database, port: int, **parameters: str) -> str:
    parts = urlsplit(database.url(SERVICE))
    user = parts.netloc.rpartition("@")[0]
    changed = parts._replace(netloc=f"{user}@127.0.0.1:{port}", query=urlencode(parameters))
    return urlunsplit(changed)


async def opened(url: str) -> Pool:
    return await open_pool(url, service="probe", max_size=1, start_seconds_max=0.0)


async def test_a_service_connects_and_migrates_by_a_url_that_asks_for_tls(
    door: int, authority: Authority, fresh_database: Database
) -> None:
    verified = {"sslmode": "verify-full", "sslrootcert": str(authority.ca)}
    url = url_of(fresh_database, door, **verified)
    await asyncio.to_thread(migrate.upgrade, SERVICE, url)
    assert await asyncio.to_thread(migrate.check, SERVICE, url)
    pool = await opened(url)
    assert await pool.fetchval("SELECT current_user") == f"regua_{SERVICE}"
    await pool.close()


async def test_a_server_of_another_authority_is_refused(
    door: int, fresh_database: Database, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    verified = {"sslmode": "verify-full", "sslrootcert": str(stranger.ca)}
    url = url_of(fresh_database, door, **verified)
    with pytest.raises(ssl.SSLCertVerificationError):
        await opened(url)
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(migrate.check, SERVICE, url)


async def test_a_server_of_another_name_is_refused(
    authority: Authority, fresh_database: Database
) -> None:
    verified = {"sslmode": "verify-full", "sslrootcert": str(authority.ca)}
    certificate = authority.issue("elsewhere", host="elsewhere.test")
    port = urlsplit(fresh_database.admin_url).port or 0
    async with tls_door(port, certificate) as door:
        with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
            await opened(url_of(fresh_database, door, **verified))
