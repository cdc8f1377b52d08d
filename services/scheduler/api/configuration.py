"""/v1/config and /v1/api-keys: what the platform runs on, versioned, with who and when.

In: entries as JSON bodies of `shared.events.configuration`. Out: stored versions, published to
every service. Scope config:write; tenants and keys need admin. `If-Match: "<version>"` guards a
change against another that came between (0: only if there is none yet).
"""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples, schemas
from services.scheduler.api.callers import actor_of, tenant_of
from services.scheduler.configuration import Configuration, MadeKey
from services.scheduler.store import configuration as store
from shared.events.configuration import CONFIG_KINDS, ConfigEntry
from shared.http import bodies
from shared.http.auth import PLATFORM_TENANT, SCOPES, Principal, require
from shared.http.operations import operation
from shared.http.problems import FieldError, Problem, invalid
from shared.http.server import json_response
from shared.postgres.connection import Pool

CREATED = 201
NOT_FOUND = 404
FORBIDDEN = 403
HISTORY_VERSIONS_MAX = 100
VERSION_MAX = 2**31 - 1

Configurer = Annotated[Principal, Depends(require("config:write"))]
Admin = Annotated[Principal, Depends(require("admin"))]
Tenant = Annotated[str | None, Query(description="tenant to act for; platform keys only")]
IfMatch = Annotated[
    str | None,
    Header(
        description='version that the change is based on, e.g. "3"; 0: only if there is none yet',
    ),
]
Kind = Annotated[
    str,
    Path(description="kind of entry", json_schema_extra={"enum": [*sorted(CONFIG_KINDS)]}),
]


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to make; `tenant_id` * makes a platform key."""

    tenant_id: Annotated[str, Meta(min_length=1, max_length=100)]
    label: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: tuple[str, ...]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one kind, by id; `next` is the cursor of the next page, null on the last."""

    entries: list[ConfigEntry]
    next: str | None


class EntryHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of an entry, newest first."""

    versions: list[ConfigEntry]


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, by id, without their secrets; `next` is the cursor of the next page."""

    keys: list[ConfigEntry]
    next: str | None


def create_router(pool: Pool, configuration: Configuration) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["configuration"])
    _add_entries(router, pool, configuration)
    _add_reads(router, pool)
    _add_keys(router, pool, configuration)
    return router


def _add_entries(router: APIRouter, pool: Pool, configuration: Configuration) -> None:
    del pool

    @router.put(
        "/v1/config/{kind}/{entry_id}",
        openapi_extra=operation(
            "put_entry",
            takes=schemas.config_body(),
            examples=examples.CONFIG,
            gives=schemas.stored_entry(),
            meaning="A new version, or the one that was there",
            also={CREATED: "The first version"},
            refuses=(405, 412),
            headers=schemas.ETAG,
        ),
    )
    async def put(
        kind: Kind,
        entry_id: str,
        request: Request,
        caller: Configurer,
        tenant: Tenant = None,
        if_match: IfMatch = None,
    ) -> Response:
        """Store an entry; the same body again is no new version."""
        tenant_id = _owner(kind, entry_id, caller, tenant)
        entry = await configuration.put(
            kind=kind,
            tenant_id=tenant_id,
            entry_id=entry_id,
            body=await request.body(),
            actor=actor_of(caller),
            if_version=_version(if_match),
        )
        return _shown(entry, CREATED if entry.version == 1 else 200)

    @router.delete(
        "/v1/config/{kind}/{entry_id}",
        openapi_extra=operation(
            "delete_entry",
            gives=schemas.stored_entry(),
            meaning="The version that says it is gone",
            refuses=(405, 409, 412),
            headers=schemas.ETAG,
        ),
    )
    async def delete(
        kind: Kind,
        entry_id: str,
        caller: Configurer,
        tenant: Tenant = None,
        if_match: IfMatch = None,
    ) -> Response:
        """Delete an entry; its versions stay in the history."""
        entry = await configuration.delete(
            kind=_known(kind),
            tenant_id=_owner(kind, entry_id, caller, tenant),
            entry_id=entry_id,
            actor=actor_of(caller),
            if_version=_version(if_match),
        )
        return _shown(entry)


def _add_reads(router: APIRouter, pool: Pool) -> None:
    @router.get("/v1/config/{kind}", openapi_extra=operation("list_entries", gives=EntryPage))
    async def listed(
        kind: Kind, caller: Configurer, tenant: Tenant = None, after: str = ""
    ) -> Response:
        """One page of a kind's entries, by id; `next` is the cursor of the next page."""
        async with pool.acquire() as conn:
            page = await store.of_kind(conn, _known(kind), tenant_of(caller, tenant), after=after)
        following = page[-1].id if len(page) == store.PAGE_ENTRIES_MAX else None
        return json_response(EntryPage(entries=page, next=following))

    @router.get(
        "/v1/config/{kind}/{entry_id}",
        openapi_extra=operation("read_entry", gives=schemas.stored_entry(), headers=schemas.ETAG),
    )
    async def found(
        kind: Kind, entry_id: str, caller: Configurer, tenant: Tenant = None
    ) -> Response:
        """An entry's newest version; its ETag is what If-Match takes."""
        async with pool.acquire() as conn:
            entry = await store.newest(conn, _known(kind), tenant_of(caller, tenant), entry_id)
        if entry is None or entry.deleted:
            raise Problem(NOT_FOUND)
        return _shown(entry)

    @router.get(
        "/v1/config/{kind}/{entry_id}/history",
        openapi_extra=operation("read_entry_history", gives=EntryHistory),
    )
    async def history(
        kind: Kind,
        entry_id: str,
        caller: Configurer,
        tenant: Tenant = None,
        before: Annotated[int, Query(ge=1, le=VERSION_MAX)] = VERSION_MAX,
    ) -> Response:
        """An entry's versions, newest first: who changed what, when."""
        async with pool.acquire() as conn:
            versions = await store.history(
                conn,
                _known(kind),
                tenant_of(caller, tenant),
                entry_id,
                before=before,
                limit=HISTORY_VERSIONS_MAX,
            )
        if not versions:
            raise Problem(NOT_FOUND)
        return json_response(EntryHistory(versions=list(versions)))


def _add_keys(router: APIRouter, pool: Pool, configuration: Configuration) -> None:
    @router.post(
        "/v1/api-keys",
        openapi_extra=operation(
            "make_key",
            takes=KeyRequest,
            examples=examples.KEY,
            gives=MadeKey,
            status=CREATED,
            meaning="The key and its secret, this once",
        ),
    )
    async def make(request: Request, caller: Admin) -> Response:
        """Make an API key; the answer holds its secret, this once."""
        wanted = await bodies.read(request, KeyRequest)
        _check_key(wanted, caller)
        async with pool.acquire() as conn:
            tenant = await store.newest(conn, "tenant", wanted.tenant_id, wanted.tenant_id)
        if wanted.tenant_id != PLATFORM_TENANT and (tenant is None or tenant.deleted):
            raise _wrong("tenant_id", "no such tenant", "create the tenant first")
        made = await configuration.make_key(
            tenant_id=wanted.tenant_id,
            label=wanted.label,
            scopes=wanted.scopes,
            expires_at=wanted.expires_at,
            actor=actor_of(caller),
        )
        return json_response(made, CREATED, {"Cache-Control": "no-store"})

    @router.get("/v1/api-keys", openapi_extra=operation("list_keys", gives=KeyPage))
    async def listed(caller: Admin, tenant: Tenant = None, after: str = "") -> Response:
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
    async def revoke(key_id: str, caller: Admin, tenant: Tenant = None) -> Response:
        """Revoke a key: every service forgets it within seconds."""
        owner = tenant or caller.tenant_id
        if not caller.may_act_for(owner):
            raise Problem(NOT_FOUND)
        entry = await configuration.delete(
            kind="api_key", tenant_id=owner, entry_id=key_id, actor=actor_of(caller)
        )
        return _shown(entry)


def _owner(kind: Kind, entry_id: str, caller: Principal, tenant: str | None) -> str:
    """Return the tenant an entry belongs to; raise what the caller lacks."""
    if _known(kind) == "api_key":
        detail = "Keys are made by POST /v1/api-keys, which shows the secret once."
        raise Problem(405, detail=detail, headers={"Allow": "GET"})
    if kind == "tenant" and "admin" not in caller.scopes:
        raise Problem(FORBIDDEN, detail="A tenant's entry needs a key with the scope admin.")
    if kind == "tenant" and caller.tenant_id == PLATFORM_TENANT:
        return entry_id
    tenant_id = tenant_of(caller, tenant)
    if kind == "tenant" and entry_id != tenant_id:
        raise Problem(FORBIDDEN, detail="This API key belongs to another tenant.")
    return tenant_id


def _known(kind: str) -> str:
    if kind not in CONFIG_KINDS:
        detail = f"There is no such kind; use one of {', '.join(sorted(CONFIG_KINDS))}."
        raise Problem(NOT_FOUND, "Unknown kind", detail, "unknown-kind")
    return kind


def _check_key(wanted: KeyRequest, caller: Principal) -> None:
    if not caller.may_act_for(wanted.tenant_id):
        raise Problem(FORBIDDEN, detail="This API key belongs to another tenant.")
    if not wanted.scopes or not set(wanted.scopes) <= set(SCOPES):
        raise _wrong("scopes", "not known scopes", f"use some of {', '.join(SCOPES)}")


def _version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    text = if_match.removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or int(text) > VERSION_MAX:
        raise _wrong("If-Match", "not a version", 'send the ETag of the entry, e.g. "3"')
    return int(text)


def _shown(entry: ConfigEntry, status: int = 200) -> Response:
    return json_response(entry, status, {"ETag": f'"{entry.version}"'})


def _wrong(field: str, message: str, remedy: str) -> Problem:
    return invalid([FieldError(field=field, message=message, remedy=remedy)])
