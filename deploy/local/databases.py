"""Databases of Regua on a PostgreSQL server: prepared by `deploy/postgres/init.sql`.

In: the admin URL of any server, given or embedded. Out: a database with roles, schemas and the
law clock, and the URL of each service in it.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.errors import CannotRun

INIT_SQL = Path(__file__).parents[1] / "postgres" / "init.sql"
SERVICES = ("scheduler", "sms_sender", "email_sender", "whatsapp_sender", "contact_ledger")
INIT_ATTEMPTS_MAX = 5
INIT_PAUSE_SECONDS = 0.1
WITNESS = "scheduler"  # all roles get their passwords together: one tells for all
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")  # safe inside a quoted identifier


@dataclass(frozen=True, kw_only=True)
class Database:
    """One prepared database."""

    admin_url: str  # superuser, in this database
    name: str
    passwords: Mapping[str, str] = field(repr=False)

    def url(self, service: str) -> str:
        """URL of the service's own role: url("scheduler") connects as regua_scheduler."""
        service = service.removeprefix("regua_")
        parts = urlsplit(self.admin_url)
        host = parts.netloc.rpartition("@")[2]
        user = f"regua_{service}:{quote(self.passwords[service], safe='')}"
        return urlunsplit(parts._replace(netloc=f"{user}@{host}"))


def in_database(admin_url: str, name: str) -> str:
    """The same URL, pointing at another database of the server."""
    return urlunsplit(urlsplit(admin_url)._replace(path=f"/{name}"))


async def create(admin_url: str, name: str, *, template: str | None = None) -> None:
    """Create the database, as a copy of `template` if given."""
    await _execute(
        admin_url,
        f'CREATE DATABASE "{checked(name)}"'
        + (f' TEMPLATE "{checked(template)}"' if template else ""),
    )


async def exists(admin_url: str, name: str) -> bool:
    """Whether the server has this database."""
    connection = await asyncpg.connect(admin_url)
    try:
        return bool(
            await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name)
        )
    finally:
        await connection.close()


async def refuse_roles_of_others(there: Database) -> None:
    """Raise when the server has Regua's roles and they do not take our passwords."""
    try:
        connection = await asyncpg.connect(there.url(WITNESS))
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        if await role_exists(there.admin_url, f"regua_{WITNESS}"):
            raise CannotRun(
                "this PostgreSQL has Regua's roles with passwords of another stack: "
                "use another server, or unset POSTGRES_URL"
            ) from error
    else:
        await connection.close()


async def role_exists(admin_url: str, role: str) -> bool:
    """Whether the server has this role."""
    connection = await asyncpg.connect(admin_url)
    try:
        return bool(await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role))
    finally:
        await connection.close()


async def drop(admin_url: str, name: str) -> None:
    """Drop the database, ending its sessions."""
    await _execute(admin_url, f'DROP DATABASE IF EXISTS "{checked(name)}" WITH (FORCE)')


async def prepare(
    admin_url: str, name: str, passwords: Mapping[str, str], *, mode: str
) -> Database:
    """Run init.sql in the database; `passwords` has one for each service."""
    inside = in_database(admin_url, name)
    connection = await asyncpg.connect(inside)
    try:
        await connection.execute("SELECT set_config('regua.mode', $1, false)", mode)
        for service in SERVICES:
            await connection.execute(
                "SELECT set_config($1, $2, false)", f"regua.password_{service}", passwords[service]
            )
        await _run_init(connection)
    finally:
        await connection.close()
    return Database(admin_url=inside, name=name, passwords=passwords)


async def _run_init(connection: Any) -> None:
    """Roles belong to the whole server: another run may be changing them in this very moment."""
    for attempt in range(1, INIT_ATTEMPTS_MAX + 1):
        try:
            await connection.execute(INIT_SQL.read_text())
        except (asyncpg.InternalServerError, asyncpg.UniqueViolationError):
            if attempt == INIT_ATTEMPTS_MAX:
                raise
            await asyncio.sleep(INIT_PAUSE_SECONDS * attempt)
        else:
            return


async def mode(database: Database) -> str:
    """The mode that a prepared database was made for."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        return str(await connection.fetchval("SELECT mode FROM platform.law_clock"))
    finally:
        await connection.close()


async def set_mode(database: Database, mode: str) -> None:
    """Make a prepared database a sandbox or production one; its law clock runs free again."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute("UPDATE platform.law_clock SET mode = $1, frozen_at = NULL", mode)
    finally:
        await connection.close()


def checked(name: str) -> str:
    """The name, when it is safe inside a quoted identifier."""
    if not NAME.fullmatch(name):
        raise ValueError(f"not a database name: {name!r}")
    return name


async def _execute(admin_url: str, statement: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
