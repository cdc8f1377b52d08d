"""/v1/holds and /v1/emergency-stop: pause contact, see what is paused, resume it.

In: a scope and what it names. Out: holds, published on their lane before anything else. Scope
operator; `everything` needs a platform key.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, get_args
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples
from services.scheduler.api.callers import After, Tenant, cursor, tenant_of
from services.scheduler.holds import Holds
from services.scheduler.intake.addresses import canonical_address
from services.scheduler.intake.figures import instant
from services.scheduler.store import holds as store
from shared.events.hold import Hold, subject_of
from shared.http import bodies
from shared.http.auth import PLATFORM_TENANT, Principal, require
from shared.http.operations import operation
from shared.http.problems import FieldError, Problem, invalid
from shared.http.server import json_response
from shared.postgres.connection import Pool
from shared.privacy import address_subject

CREATED = 201
Operator = Annotated[Principal, Depends(require("operator"))]
# Hand-offs to people are held as a whole (scope channel); the address of one is a telephone's
# (`voice`) or a postal one (`letter`), which no sender has, so that they have no channel to hold.
Channel = Literal["sms", "email", "whatsapp", "handoff"]
AddressChannel = Literal["sms", "email", "whatsapp", "voice", "letter"]
HoldId = Annotated[UUID, Path(description="the hold")]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Reason = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class HoldRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hold to place. Each scope but everything and tenant needs the field that names it.

    The scope channel takes sms, email, whatsapp or handoff; the scope address takes sms, email,
    whatsapp, voice or letter: what people may not use is held on voice or letter.
    """

    scope: Literal[
        "everything", "tenant", "portfolio", "channel", "template", "debtor", "debt", "address"
    ]
    reason: Reason
    portfolio_id: Name | None = None
    channel: Literal["sms", "email", "whatsapp", "handoff", "voice", "letter"] | None = None
    template_id: Name | None = None
    debtor_id: UUID | None = None
    debt_id: UUID | None = None
    address: Name | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class StopRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An emergency stop: a hold of wide scope."""

    scope: Literal["everything", "tenant", "portfolio", "channel", "template"]
    reason: Reason = "emergency_stop"
    portfolio_id: Name | None = None
    channel: Channel | None = None
    template_id: Name | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None


class HoldPage(msgspec.Struct, frozen=True, kw_only=True):
    """Holds, by id; `next` is the cursor of the next page, null on the last."""

    holds: list[Hold]
    next: UUID | None


_NAMED_BY: dict[str, Callable[[HoldRequest], object]] = {
    "portfolio": lambda wanted: wanted.portfolio_id,
    "channel": lambda wanted: wanted.channel,
    "template": lambda wanted: wanted.template_id,
    "debtor": lambda wanted: wanted.debtor_id,
    "debt": lambda wanted: wanted.debt_id,
}


def create_router(pool: Pool, holds: Holds, *, address_key: bytes) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["holds"])
    _add_placing(router, holds, address_key)
    _add_holds(router, pool, holds)
    return router


def _add_placing(router: APIRouter, holds: Holds, address_key: bytes) -> None:
    async def placed(wanted: HoldRequest, caller: Principal, tenant: str | None) -> Response:
        tenant_id, subject = _subject(wanted, caller, tenant, address_key)
        hold = await holds.place(
            tenant_id=tenant_id,
            scope=wanted.scope,
            subject=subject,
            reason=wanted.reason,
            until=instant(wanted.until, "until") if wanted.until else None,
        )
        return json_response(hold, CREATED)

    @router.post(
        "/v1/holds",
        openapi_extra=operation(
            "place_hold",
            takes=HoldRequest,
            examples=examples.HOLDS,
            gives=Hold,
            status=CREATED,
            meaning="The hold, in force",
        ),
    )
    async def place(request: Request, caller: Operator, tenant: Tenant = None) -> Response:
        """Place a hold: contact in its scope stops within a second."""
        return await placed(await bodies.read(request, HoldRequest), caller, tenant)

    @router.post(
        "/v1/emergency-stop",
        openapi_extra=operation(
            "stop",
            takes=StopRequest,
            examples=examples.STOPS,
            gives=Hold,
            status=CREATED,
            meaning="The hold, in force",
        ),
    )
    async def stop(request: Request, caller: Operator, tenant: Tenant = None) -> Response:
        """Stop everything in a wide scope; lift it with DELETE /v1/holds/{id}."""
        wanted = await bodies.read(request, StopRequest)
        return await placed(HoldRequest(**msgspec.structs.asdict(wanted)), caller, tenant)


def _add_holds(router: APIRouter, pool: Pool, holds: Holds) -> None:
    @router.get("/v1/holds", openapi_extra=operation("list_holds", gives=HoldPage))
    async def listed(
        caller: Operator,
        tenant: Tenant = None,
        state: Annotated[
            Literal["active", "lifted"], Query(description="holds in this state")
        ] = "active",
        after: After = None,
    ) -> Response:
        """One page of holds, by id; `next` is the cursor of the next page."""
        async with pool.acquire() as conn:
            page = await store.page(
                conn,
                tenant_id=_seen_by(caller, tenant),
                state=state,
                after=cursor(after),
                limit=store.PAGE_HOLDS_MAX,
            )
        following = page[-1].hold_id if len(page) == store.PAGE_HOLDS_MAX else None
        return json_response(HoldPage(holds=page, next=following))

    @router.get("/v1/holds/{hold_id}", openapi_extra=operation("read_hold", gives=Hold))
    async def found(hold_id: HoldId, caller: Operator) -> Response:
        """One hold."""
        async with pool.acquire() as conn:
            return json_response(
                _there(await store.find(conn, tenant_id=caller.tenant_id, hold_id=hold_id))
            )

    @router.delete("/v1/holds/{hold_id}", openapi_extra=operation("lift_hold", gives=Hold))
    async def lift(hold_id: HoldId, caller: Operator) -> Response:
        """Lift a hold; what was planned under it is planned anew."""
        lifted = await holds.lift(
            tenant_id=caller.tenant_id, hold_id=hold_id, reason="lifted_by_operator"
        )
        return json_response(_there(lifted))


def _subject(
    wanted: HoldRequest, caller: Principal, tenant: str | None, address_key: bytes
) -> tuple[str, str]:
    """Return the hold's tenant and subject; raise the problem that names the missing field."""
    if wanted.scope == "everything":
        if caller.tenant_id != PLATFORM_TENANT:
            raise Problem(403, detail="Stopping everything needs a platform key; stop the tenant.")
        return PLATFORM_TENANT, subject_of("everything")
    tenant_id = tenant_of(caller, tenant)
    if wanted.scope == "tenant":
        return tenant_id, subject_of("tenant", tenant_id)
    if wanted.scope == "address":
        return tenant_id, _held_address(wanted, tenant_id, address_key)
    name = _NAMED_BY[wanted.scope](wanted)
    if name is None:
        field = "channel" if wanted.scope == "channel" else f"{wanted.scope}_id"
        raise _missing(field, field)
    if wanted.scope == "channel" and wanted.channel not in get_args(Channel):
        raise _not_of("channel", Channel)
    return tenant_id, subject_of(wanted.scope, tenant_id, str(name))


def _held_address(wanted: HoldRequest, tenant_id: str, address_key: bytes) -> str:
    if wanted.channel is None or wanted.address is None:
        raise _missing("address", "channel and address")
    if wanted.channel not in get_args(AddressChannel):
        raise _not_of("address", AddressChannel)
    address = canonical_address(wanted.channel, wanted.address, country=None, field="address")
    return address_subject(address_key, tenant_id, wanted.channel, address)


def _seen_by(caller: Principal, tenant: str | None) -> str:
    if caller.tenant_id == PLATFORM_TENANT and tenant is None:
        return PLATFORM_TENANT
    return tenant_of(caller, tenant)


def _there(hold: Hold | None) -> Hold:
    if hold is None:
        raise Problem(404)
    return hold


def _missing(field: str, wanted: str) -> Problem:
    return invalid(
        [FieldError(field=field, message="missing for this scope", remedy=f"add {wanted}")]
    )


def _not_of(scope: str, channels: object) -> Problem:
    """Return the problem of a channel that a hold of this scope would not stop."""
    return invalid(
        [
            FieldError(
                field="channel",
                message=f"not a channel that the scope {scope} stops",
                remedy=f"send one of {', '.join(get_args(channels))}",
            )
        ]
    )
