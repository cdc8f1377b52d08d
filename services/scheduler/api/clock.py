"""/v1/clock: read the two clocks; in sandbox mode, step law time.

In: an instant to step to. Out: both clocks. Law time never goes backwards; the database refuses it
outside sandbox mode too, whatever this process believes.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples
from shared.clock import Clock
from shared.http import bodies
from shared.http.auth import PLATFORM_TENANT, Principal, require
from shared.http.operations import operation
from shared.http.problems import Problem
from shared.http.server import json_response
from shared.postgres.connection import Pool
from shared.postgres.engine import now

Mode = Literal["sandbox", "production"]
Operator = Annotated[Principal, Depends(require("operator"))]


class ClockReading(msgspec.Struct, frozen=True, kw_only=True):
    """Law time and machine time."""

    law_now: datetime
    machine_now: datetime
    mode: Mode


class ClockStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where law time goes next."""

    law_now: Annotated[datetime, Meta(tz=True)]


STEP = operation(
    "step_clock",
    takes=ClockStep,
    examples=examples.CLOCK,
    gives=ClockReading,
    refuses=(409,),
)


def create_router(pool: Pool, clock: Clock, *, sandbox: bool) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["clock"])
    mode: Mode = "sandbox" if sandbox else "production"

    async def read() -> Response:
        async with pool.acquire() as conn:
            law, machine = await now(conn)
        clock.observe(law, machine)
        return json_response(ClockReading(law_now=law, machine_now=machine, mode=mode))

    @router.get("/v1/clock", openapi_extra=operation("read_clock", gives=ClockReading))
    async def reading(_: Operator) -> Response:
        """Both clocks."""
        return await read()

    @router.put("/v1/clock", openapi_extra=STEP)
    async def step(request: Request, caller: Operator) -> Response:
        """Step law time forward (sandbox mode, platform keys)."""
        wanted = (await bodies.read(request, ClockStep)).law_now
        if not sandbox:
            detail = "Law time is the database's clock; only MODE=sandbox can step it."
            raise Problem(409, "Not a sandbox", detail, "not-a-sandbox")
        if caller.tenant_id != PLATFORM_TENANT:
            raise Problem(403, detail="Law time is everybody's; stepping it needs a platform key.")
        async with pool.acquire() as conn:
            before = (await now(conn)).law
            frozen = await conn.fetchval("SELECT frozen_at FROM platform.law_clock")
            if frozen is not None and wanted < before:
                detail = "Law time never goes backwards; send a later instant."
                raise Problem(409, "Law time is later already", detail, "clock-backwards")
            await conn.execute("SELECT platform.set_law_now($1)", wanted)
        return await read()

    return router
