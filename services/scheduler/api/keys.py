"""/v1/api-keys: who may call, and what for. Scope admin.

In: a tenant, a label, scopes. Out: a key, whose secret is shown this once and stored nowhere; lists
without secrets; revocations, which every service knows within seconds.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples, schemas
from services.scheduler.api.callers import Tenant, actor_of
from services.scheduler.api.configuration import (
    CREATED,
    FORBIDDEN,
    NOT_FOUND,
    Following,
    shown,
    wrong,
)
from services.scheduler.configuration import Configuration, MadeKey
from services.scheduler.store import configuration as store
from shared.events.configuration import ConfigEntry
from shared.http import bodies
from shared.http.auth import PLATFORM_TENANT, SCOPES, Principal, require
from shared.http.operations import operation
from shared.http.problems import Problem
from shared.http.server import json_response
from shared.postgres.connection import Pool

Admin = Annotated[Principal, Depends(require("admin"))]
KeyId = Annotated[str, Path(description="the key's id, as it was made")]


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make; `tenant_id` * makes a platform key."""

    tenant_id: Annotated[str, Meta(min_length=1, max_length=100)]
    label: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: tuple[Annotated[str, Meta(extra_json_schema={"enum": [*SCOPES]})], ...]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, by id, without their secrets; `next` is the cursor of the next page."""

    keys: list[ConfigEntry]
    next: str | None


MAKE = operation(
    "make_key",
    takes=KeyRequest,
    examples=examples.KEY,
    gives=MadeKey,
    status=CREATED,
    meaning="The key and its secret, this once",
)


def create_router(pool: Pool, configuration: Configuration) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["configuration"])

    _add_making(router, pool, configuration)

    @router.get("/v1/api-keys", openapi_extra=operation("list_keys", gives=KeyPage))
    async def listed(caller: Admin, tenant: Tenant = None, after: Following = "") -> Response:
        """Keys of a tenant, without their secrets (which nobody has)."""
        owner = tenant or caller.tenant_id
        if not caller.may_act_for(owner):
            raise Problem(FORBIDDEN, detail="This API key belongs to another tenant.")
        async with pool.acquire() as conn:
            page = await store.of_kind(conn, "api_key", owner, after=after)
        following = page[-1].id if len(page) == store.PAGE_ENTRIES_MAX else None
        return json_response(KeyPage(keys=page, next=following))

    @router.delete(
        "/v1/api-keys/{key_id}",
        openapi_extra=operation("revoke_key", gives=schemas.stored_entry(), headers=schemas.ETAG),
    )
    async def revoke(key_id: KeyId, caller: Admin, tenant: Tenant = None) -> Response:
        """Revoke a key: every service forgets it within seconds."""
        owner = tenant or caller.tenant_id
        if not caller.may_act_for(owner):
            raise Problem(NOT_FOUND)
        entry = await configuration.delete(
            kind="api_key", tenant_id=owner, entry_id=key_id, actor=actor_of(caller)
        )
        return shown(entry)

    return router


def _add_making(router: APIRouter, pool: Pool, configuration: Configuration) -> None:
    @router.post("/v1/api-keys", openapi_extra=MAKE)
    async def make(request: Request, caller: Admin) -> Response:
        """Make an API key; the answer holds its secret, this once."""
        wanted = await bodies.read(request, KeyRequest)
        _check_key(wanted, caller)
        async with pool.acquire() as conn:
            tenant = await store.newest(conn, "tenant", wanted.tenant_id, wanted.tenant_id)
        if wanted.tenant_id != PLATFORM_TENANT and (tenant is None or tenant.deleted):
            raise wrong("tenant_id", "no such tenant", "create the tenant first")
        made = await configuration.make_key(
            tenant_id=wanted.tenant_id,
            label=wanted.label,
            scopes=wanted.scopes,
            expires_at=wanted.expires_at,
            actor=actor_of(caller),
        )
        return json_response(made, CREATED, {"Cache-Control": "no-store"})


def _check_key(wanted: KeyRequest, caller: Principal) -> None:
    if not caller.may_act_for(wanted.tenant_id):
        raise Problem(FORBIDDEN, detail="This API key belongs to another tenant.")
    if not wanted.scopes or not set(wanted.scopes) <= set(SCOPES):
        raise wrong("scopes", "not known scopes", f"use some of {', '.join(SCOPES)}")
