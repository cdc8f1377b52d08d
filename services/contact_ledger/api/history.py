"""GET /v1/debtors/{debtor_id}/history: everything that happened to one debtor, in order."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.contact_ledger import cursors
from services.contact_ledger.api.reading import (
    OF_ANOTHER,
    PAGE_DEFAULT,
    Cursor,
    DebtorId,
    Limit,
    Reading,
    Tenant,
    id_or_404,
    not_found,
    place,
)
from services.contact_ledger.store import history
from services.contact_ledger.timeline import Line
from shared.http.operations import operation
from shared.http.server import json_response


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of one debtor's timeline; `next_cursor` is null on the last page."""

    debtor_id: UUID
    entries: list[Line]
    next_cursor: str | None


def router(reading: Reading) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["history"])

    @routes.get(
        "/v1/debtors/{debtor_id}/history",
        openapi_extra=operation("read_history", gives=HistoryPage, refuses=OF_ANOTHER),
    )
    async def read_history(
        tenant: Tenant,
        debtor_id: DebtorId,
        cursor: Cursor = None,
        limit: Limit = PAGE_DEFAULT,
        order: Annotated[
            Literal["oldest", "newest"], Query(description="which lines come first")
        ] = "oldest",
    ) -> Response:
        """One debtor's timeline: what, when, why, and the words that were sent."""
        after = place(cursor, history.Place)
        person = id_or_404(debtor_id)
        async with reading.pool.acquire() as conn:
            if not await history.known(conn, tenant, person):
                raise not_found()
            entries = await history.page(
                conn,
                tenant,
                await history.with_merged(conn, tenant, person),
                after=after,
                limit=limit,
                newest_first=order == "newest",
            )
            lines = await reading.opener.lines(conn, entries)
        last = entries[-1] if len(entries) == limit else None
        end = last and history.Place(
            event_time=last.event_time, machine_at=last.machine_at, event_id=last.event_id
        )
        return json_response(
            HistoryPage(
                debtor_id=person,
                entries=lines,
                next_cursor=cursors.write(end) if end is not None else None,
            )
        )

    return routes
