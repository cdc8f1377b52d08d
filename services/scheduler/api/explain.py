"""GET /v1/debtors/{id}/explain: what would happen now, why not, and when next.

In: a debtor, or the client's reference to one (by POST: references are personal data and no URL
carries those). Out: the answer of the code that plans and dispatches. Scope operator.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from services.scheduler.api import examples
from services.scheduler.api.callers import Tenant, tenant_of
from services.scheduler.explaining import NotFound, explain_debtor
from services.scheduler.intake.lookup import find_debtor
from services.scheduler.policy.explain import Explanation
from services.scheduler.rulebooks import AddressSubjectOf, Rulebooks
from shared.http import bodies
from shared.http.auth import Principal, require
from shared.http.operations import operation
from shared.http.problems import FieldError, Problem, invalid
from shared.http.server import json_response
from shared.postgres.connection import Pool
from shared.privacy import Keyring

Operator = Annotated[Principal, Depends(require("operator"))]
Reference = Annotated[str, Meta(min_length=1, max_length=255)]


class ExplainRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to explain, in the client's terms; `at` is law time, now when left out."""

    debtor_ref: Reference | None = None
    debt_ref: Reference | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None


class ExplainDoor:
    """Answers; one per process."""

    def __init__(
        self,
        pool: Pool,
        rulebooks: Rulebooks,
        keyring: Keyring,
        *,
        address_subject_of: AddressSubjectOf,
    ) -> None:
        self._pool = pool
        self._rulebooks = rulebooks
        self._keyring = keyring
        self._address_subject_of = address_subject_of

    async def by_id(self, tenant_id: str, debtor_id: UUID, at: datetime | None) -> Response:
        """Explain a debtor by id; 404 when nothing about it was planned yet."""
        async with self._pool.transaction() as conn:
            try:
                answer = await explain_debtor(
                    conn,
                    self._rulebooks,
                    tenant_id=tenant_id,
                    debtor_id=debtor_id,
                    address_subject_of=self._address_subject_of,
                    at=at,
                )
            except NotFound:
                raise Problem(404) from None
        return json_response(answer)

    async def by_reference(self, tenant_id: str, wanted: ExplainRequest) -> Response:
        """Explain the debtor of a client's reference."""
        async with self._pool.acquire() as conn:
            debtor_id = await find_debtor(
                conn,
                self._keyring,
                tenant_id=tenant_id,
                debtor_ref=wanted.debtor_ref,
                debt_ref=wanted.debt_ref,
            )
        if debtor_id is None:
            raise Problem(404)
        return await self.by_id(tenant_id, debtor_id, wanted.at)


def create_router(door: ExplainDoor) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["explain"])

    @router.get(
        "/v1/debtors/{debtor_id}/explain",
        openapi_extra=operation("explain_debtor", gives=Explanation),
    )
    async def explain(
        debtor_id: Annotated[UUID, Path(description="the platform's own id of a debtor")],
        caller: Operator,
        at: Annotated[datetime | None, Query(description="law time; now when left out")] = None,
    ) -> Response:
        """Explain one debtor: what would happen now, why not, and when next."""
        if at is not None and at.tzinfo is None:
            raise invalid([FieldError(field="at", message="a naive time", remedy="add an offset")])
        return await door.by_id(caller.tenant_id, debtor_id, at)

    @router.post(
        "/v1/explain",
        openapi_extra=operation(
            "explain",
            takes=ExplainRequest,
            examples=examples.EXPLAIN,
            gives=Explanation,
            refuses=(404,),
        ),
    )
    async def explain_reference(
        request: Request, caller: Operator, tenant: Tenant = None
    ) -> Response:
        """Explain the debtor of a client's reference.

        By POST: references are personal data, and no URL carries those. 404 too while nothing
        about the debtor was planned yet, for some milliseconds after its first event.
        """
        wanted = await bodies.read(request, ExplainRequest)
        return await door.by_reference(tenant_of(caller, tenant), wanted)

    return router
