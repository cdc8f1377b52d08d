"""What a stored configuration would leave undone: steps that nothing can carry in a portfolio.

In: an entry that was just stored (or is read), and the tenant's others. Out: warnings that name
portfolio, step, and remedy. They are no refusals: accounts and templates may follow the portfolio,
one channel after the other, and until then such steps are withheld, each with its reason. Looked at
outside the lock of the change, ladders parsed outside the loop.
"""

import asyncio
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from services.scheduler.policy.channels import check_steps
from services.scheduler.policy.ladder import load_ladder
from services.scheduler.policy.rulebook import Ladder
from services.scheduler.store import configuration as store
from shared.events.configuration import (
    ConfigEntry,
    Document,
    Portfolio,
    SenderAccount,
    Template,
)
from shared.http.problems import FieldError
from shared.postgres.connection import Connection

TELLING = frozenset({"portfolio", "ladder", "account", "template"})
WARNINGS_MAX = (
    100  # of one answer: a ladder of a hundred steps, or many portfolios with one mistake
)

T = TypeVar("T", bound=msgspec.Struct)


async def warnings_of(conn: Connection, entry: ConfigEntry) -> list[FieldError]:
    """Return what an entry's present version leaves undone, in its portfolio or all that use it."""
    if entry.kind not in TELLING:
        return []
    found: list[FieldError] = []
    ladders: dict[str, Ladder | None] = {}
    for portfolio_id, portfolio in await _portfolios(conn, entry):
        ladder_id = portfolio.ladder_id
        if ladder_id not in ladders:
            ladders[ladder_id] = await _ladder(conn, entry, ladder_id)
        ladder = ladders[ladder_id]
        if ladder is None:
            continue
        accounts = await _bodies(
            conn, "account", entry.tenant_id, portfolio.accounts.values(), SenderAccount
        )
        named = {name for step in ladder.steps for name in step.templates.values()}
        templates = await _bodies(conn, "template", entry.tenant_id, named, Template)
        where = "" if entry.kind == "portfolio" else f"portfolio {portfolio_id}: "
        found.extend(
            FieldError(field=where + each.field, message=each.message, remedy=each.remedy)
            for each in check_steps(portfolio, ladder, accounts, templates)
        )
        if len(found) >= WARNINGS_MAX:
            break
    return found[:WARNINGS_MAX]


async def _portfolios(conn: Connection, entry: ConfigEntry) -> list[tuple[str, Portfolio]]:
    """Return the entry itself, or the portfolios (one page of them) that may use it."""
    if entry.kind == "portfolio":
        if entry.deleted:
            return []
        return [(entry.id, msgspec.json.decode(entry.body, type=Portfolio))]
    found = []
    for other in await store.of_kind(conn, "portfolio", entry.tenant_id):
        portfolio = msgspec.json.decode(other.body, type=Portfolio)
        named = {"ladder": (portfolio.ladder_id,), "account": portfolio.accounts.values()}
        if entry.id in named.get(entry.kind, (entry.id,)):
            found.append((other.id, portfolio))
    return found


async def _ladder(conn: Connection, entry: ConfigEntry, ladder_id: str) -> Ladder | None:
    """Return a ladder, unless it has nothing to do with the template that was stored."""
    stored = await store.newest(conn, "ladder", entry.tenant_id, ladder_id)
    if stored is None or stored.deleted:
        return None
    text = msgspec.json.decode(stored.body, type=Document).text
    if entry.kind == "template" and entry.id not in text:
        return None
    return await asyncio.to_thread(load_ladder, text)


async def _bodies(
    conn: Connection, kind: str, tenant_id: str, ids: Iterable[str], shape: type[T]
) -> dict[str, T]:
    rows = await store.newest_of(conn, kind, tenant_id, sorted(set(ids)))
    return {row.id: msgspec.json.decode(row.body, type=shape) for row in rows}
