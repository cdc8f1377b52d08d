"""Servers and databases for tests: one server a run, one database a module, own servers to break.

In: what `deploy.local.servers` chooses. Out: the fixtures of `tests/conftest.py`.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from deploy.local import databases
from deploy.local.databases import Database

T = TypeVar("T")
# One password for all test roles: roles belong to the whole server, which runs may share.
PASSWORD = "regua-tests"
PASSWORDS = dict.fromkeys(databases.SERVICES, PASSWORD)


def now(work: Coroutine[Any, Any, T]) -> T:
    """Finish a coroutine from a synchronous fixture: a loop and a thread of its own."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, work).result()


def template(admin_url: str, name: str) -> None:
    """A database with init.sql applied, from which the modules' databases are copied."""
    now(databases.refuse_roles_of_others(_database(admin_url, "postgres")))
    now(databases.create(admin_url, name))
    now(databases.prepare(admin_url, name, PASSWORDS, mode="production"))


def copy(admin_url: str, source: str, name: str) -> Database:
    """A fresh database for one module."""
    now(databases.create(admin_url, name, template=source))
    return _database(admin_url, name)


def _database(admin_url: str, name: str) -> Database:
    inside = databases.in_database(admin_url, name)
    return Database(admin_url=inside, name=name, passwords=PASSWORDS)
