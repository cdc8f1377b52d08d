"""GET /v1/events: every fact of the tenant in a stable order, for clients without Kafka.

Ask with the last `cursor` again and again: nothing is skipped, nothing comes twice, and an old
cursor replays from there. `next_cursor` is null when there is nothing more for now.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.contact_ledger import cursors
from services.contact_ledger.api.reading import (
    OF_ANOTHER,
    PAGE_DEFAULT,
    Limit,
    Reading,
    Tenant,
    place,
)
from services.contact_ledger.store import feed
from services.contact_ledger.store.feed import BEGINNING, Mark
from services.contact_ledger.timeline import Line
from shared.http.operations import operation
from shared.http.server import json_response

TYPES_MAX = 64  # there are fewer types than that


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One fact, as a CloudEvent: `subject` is the debtor, `time` law time, `id` never repeats.

    `data` is as the type's schema in asyncapi.json says, without sealed texts; empty when erased.
    """

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    type: str
    source: str
    time: datetime
    subject: UUID | None
    datacontenttype: Literal["application/json"] = "application/json"
    data: dict[str, Any]


class FactPage(msgspec.Struct, frozen=True, kw_only=True):
    """Facts in a stable order; ask again with `cursor`. `next_cursor`: null when there is no more.

    An old cursor replays from there.
    """

    events: list[Fact]
    cursor: str
    next_cursor: str | None


def router(reading: Reading) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["feed"])

    @routes.get(
        "/v1/events", openapi_extra=operation("read_facts", gives=FactPage, refuses=OF_ANOTHER)
    )
    async def read_events(
        tenant: Tenant,
        after: Annotated[
            str | None,
            Query(
                max_length=cursors.CURSOR_CHARS_MAX,
                description="`cursor` of the last answer; from the beginning when left out",
            ),
        ] = None,
        cursor: Annotated[
            str | None,
            Query(max_length=cursors.CURSOR_CHARS_MAX, description="another name of `after`"),
        ] = None,
        types: Annotated[
            list[str] | None,
            Query(
                alias="type",
                max_length=TYPES_MAX,
                description="only these types, e.g. contact.delivered.v1; may be repeated",
            ),
        ] = None,
        limit: Limit = PAGE_DEFAULT,
    ) -> Response:
        """Facts since `after`, as CloudEvents; `type` may be given several times."""
        mark = place(after or cursor, Mark) or BEGINNING
        async with reading.pool.acquire() as conn:
            entries, end = await feed.page(conn, tenant, after=mark, limit=limit, types=types or [])
            lines = await reading.opener.lines(conn, entries)
        here = cursors.write(end)
        return json_response(
            FactPage(
                events=[_cloud_event(line) for line in lines],
                cursor=here,
                next_cursor=here if len(entries) == limit else None,
            )
        )

    return routes


def _cloud_event(line: Line) -> Fact:
    return Fact(
        id=line.event_id,
        type=line.type,
        source=line.source,
        time=line.at,
        subject=line.debtor_id,
        data=line.data,
    )
