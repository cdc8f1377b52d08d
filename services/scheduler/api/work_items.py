"""/v1/work-items: what needs a human. Scope operator; a tenant sees its own."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler import decisions
from services.scheduler.api import examples
from services.scheduler.api.callers import After, Tenant, actor_of, cursor, tenant_of
from services.scheduler.store import work as store
from services.scheduler.store.work import WorkItem
from services.scheduler.work_items import WorkItems
from shared.http import bodies
from shared.http.auth import Principal, require
from shared.http.operations import operation
from shared.http.problems import Problem
from shared.http.server import json_response
from shared.postgres.connection import Pool

Operator = Annotated[Principal, Depends(require("operator"))]
ItemId = Annotated[UUID, Path(description="the item")]


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an item is closed: a decision of its kind, and why."""

    decision: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    note: Annotated[str, Meta(max_length=2000)] | None = None


class WorkItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Items, by id; `next` is the cursor of the next page, null on the last."""

    work_items: list[WorkItem]
    next: UUID | None


def create_router(pool: Pool, items: WorkItems) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["work items"])
    _add_reads(router, pool)
    _add_decisions(router, items)
    return router


def _add_reads(router: APIRouter, pool: Pool) -> None:
    @router.get("/v1/work-items", openapi_extra=operation("list_work_items", gives=WorkItemPage))
    async def listed(
        caller: Operator,
        tenant: Tenant = None,
        state: Annotated[
            Literal["open", "claimed", "closed"], Query(description="items in this state")
        ] = "open",
        after: After = None,
    ) -> Response:
        """One page of items in one state, by id; `next` is the cursor of the next page."""
        async with pool.acquire() as conn:
            page = await store.page(
                conn,
                tenant_id=tenant_of(caller, tenant),
                state=state,
                after=cursor(after),
                limit=store.PAGE_ITEMS_MAX,
            )
        following = page[-1].work_item_id if len(page) == store.PAGE_ITEMS_MAX else None
        return json_response(WorkItemPage(work_items=page, next=following))

    @router.get(
        "/v1/work-items/{work_item_id}",
        openapi_extra=operation("read_work_item", gives=WorkItem),
    )
    async def found(work_item_id: ItemId, caller: Operator, tenant: Tenant = None) -> Response:
        """One item."""
        tenant_id = tenant_of(caller, tenant)
        async with pool.acquire() as conn:
            item = await store.find(conn, tenant_id=tenant_id, work_item_id=work_item_id)
        if item is None:
            raise Problem(404)
        return json_response(item)


def _add_decisions(router: APIRouter, items: WorkItems) -> None:
    @router.post(
        "/v1/work-items/{work_item_id}/claim",
        openapi_extra=operation("claim_work_item", gives=WorkItem, refuses=(409,)),
    )
    async def claim(work_item_id: ItemId, caller: Operator, tenant: Tenant = None) -> Response:
        """Take an item, so that nobody else decides it."""
        return json_response(
            await items.claim(
                tenant_id=tenant_of(caller, tenant),
                work_item_id=work_item_id,
                actor=actor_of(caller),
            )
        )

    @router.post(
        "/v1/work-items/{work_item_id}/decision",
        description=decisions.described(),
        openapi_extra=operation(
            "decide_work_item",
            takes=Decision,
            examples=examples.DECISION,
            gives=WorkItem,
            refuses=(409,),
        ),
    )
    async def decide(
        work_item_id: ItemId, request: Request, caller: Operator, tenant: Tenant = None
    ) -> Response:
        """Close an item with a decision."""
        wanted = await bodies.read(request, Decision)
        return json_response(
            await items.decide(
                tenant_id=tenant_of(caller, tenant),
                work_item_id=work_item_id,
                actor=actor_of(caller),
                decision=wanted.decision,
                note=wanted.note,
            )
        )
