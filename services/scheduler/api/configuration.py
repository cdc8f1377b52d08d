"""/v1/config: what the platform runs on, versioned, with who and when.

In: entries as JSON bodies of `shared.events.configuration`. Out: stored versions, published to
every service. Scope config:write; tenants need admin. `If-Match: "<version>"` guards a
change against another that came between (0: only if there is none yet).
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples, schemas
from services.scheduler.api.callers import Tenant, actor_of, tenant_of
from services.scheduler.configuration import Configuration
from services.scheduler.store import configuration as store
from shared.events.configuration import CONFIG_KINDS, ConfigEntry
from shared.http.auth import PLATFORM_TENANT, Principal, require
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
IfMatch = Annotated[
    str | None,
    Header(
        description='version that the change is based on, e.g. "3"; 0: only if there is none yet',
    ),
]
Following = Annotated[str, Query(description="`next` of the page before")]
EntryId = Annotated[
    str, Path(description="yours: up to 100 letters, digits and _ . : - (no colon in a tenant's)")
]
Kind = Annotated[
    str,
    Path(description="kind of entry", json_schema_extra={"enum": [*sorted(CONFIG_KINDS)]}),
]


class EntryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of one kind, by id; `next` is the cursor of the next page, null on the last."""

    entries: list[ConfigEntry]
    next: str | None


class EntryHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of an entry, newest first."""

    versions: list[ConfigEntry]


PUT = operation(
    "put_entry",
    takes=schemas.config_body(),
    examples=examples.CONFIG,
    gives=schemas.stored_entry(),
    meaning="A new version, or the one that was there",
    also={CREATED: "The first version"},
    refuses=(405, 412),
    headers=schemas.ETAG,
)
DELETE = operation(
    "delete_entry",
    gives=schemas.stored_entry(),
    meaning="The version that says it is gone",
    refuses=(405, 409, 412),
    headers=schemas.ETAG,
)
READ = operation("read_entry", gives=schemas.stored_entry(), headers=schemas.ETAG)
HISTORY = operation("read_entry_history", gives=EntryHistory)


def create_router(pool: Pool, configuration: Configuration) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["configuration"])
    _add_entries(router, pool, configuration)
    _add_reads(router, pool)
    _add_entry(router, pool, configuration)
    return router


def _add_entries(router: APIRouter, pool: Pool, configuration: Configuration) -> None:
    del pool

    @router.put("/v1/config/{kind}/{entry_id}", openapi_extra=PUT)
    async def put(
        kind: Kind,
        entry_id: EntryId,
        request: Request,
        caller: Configurer,
        tenant: Tenant = None,
        if_match: IfMatch = None,
    ) -> Response:
        """Store an entry; the same body again is no new version.

        `warnings` name the steps of a ladder that no channel can carry in a portfolio as
        configuration stands now, and what to add. Until then such steps are withheld.
        """
        tenant_id = _owner(kind, entry_id, caller, tenant)
        entry = await configuration.put(
            kind=kind,
            tenant_id=tenant_id,
            entry_id=entry_id,
            body=await request.body(),
            actor=actor_of(caller),
            if_version=_version(if_match),
        )
        status = CREATED if entry.version == 1 else 200
        return shown(entry, status, await configuration.warnings(entry))

    @router.delete("/v1/config/{kind}/{entry_id}", openapi_extra=DELETE)
    async def delete(
        kind: Kind,
        entry_id: EntryId,
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
        return shown(entry, warnings=await configuration.warnings(entry))


def _add_reads(router: APIRouter, pool: Pool) -> None:
    @router.get("/v1/config/{kind}", openapi_extra=operation("list_entries", gives=EntryPage))
    async def listed(
        kind: Kind, caller: Configurer, tenant: Tenant = None, after: Following = ""
    ) -> Response:
        """One page of a kind's entries, by id; `next` is the cursor of the next page."""
        async with pool.acquire() as conn:
            page = await store.of_kind(conn, _known(kind), tenant_of(caller, tenant), after=after)
        following = page[-1].id if len(page) == store.PAGE_ENTRIES_MAX else None
        return json_response(EntryPage(entries=page, next=following))

    @router.get("/v1/config/{kind}/{entry_id}/history", openapi_extra=HISTORY)
    async def history(
        kind: Kind,
        entry_id: EntryId,
        caller: Configurer,
        tenant: Tenant = None,
        before: Annotated[
            int, Query(ge=1, le=VERSION_MAX, description="versions older than this one")
        ] = VERSION_MAX,
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


def _add_entry(router: APIRouter, pool: Pool, configuration: Configuration) -> None:
    @router.get("/v1/config/{kind}/{entry_id}", openapi_extra=READ)
    async def found(
        kind: Kind, entry_id: EntryId, caller: Configurer, tenant: Tenant = None
    ) -> Response:
        """An entry's newest version; its ETag is what If-Match takes; `warnings` as of now."""
        async with pool.acquire() as conn:
            entry = await store.newest(conn, _known(kind), tenant_of(caller, tenant), entry_id)
        if entry is None or entry.deleted:
            raise Problem(NOT_FOUND)
        return shown(entry, warnings=await configuration.warnings(entry))


def _owner(kind: Kind, entry_id: EntryId, caller: Principal, tenant: str | None) -> str:
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


def _version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    text = if_match.removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or int(text) > VERSION_MAX:
        raise wrong("If-Match", "not a version", 'send the ETag of the entry, e.g. "3"')
    return int(text)


def shown(entry: ConfigEntry, status: int = 200, warnings: Sequence[FieldError] = ()) -> Response:
    """Answer with an entry and what is to be said of it; its version is the ETag."""
    told = schemas.StoredEntry(**msgspec.structs.asdict(entry), warnings=tuple(warnings))
    return json_response(told, status, {"ETag": f'"{entry.version}"'})


def wrong(field: str, message: str, remedy: str) -> Problem:
    """Return the problem of one field."""
    return invalid([FieldError(field=field, message=message, remedy=remedy)])
