"""Whom a request acts for: the key's own tenant, or the one a platform key names.

In: the caller, and `?tenant=` of the request. Out: a tenant id, or the problem that names the
remedy. A tenant's key never reaches another tenant: it is told that there is nothing.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from shared.http.auth import PLATFORM_TENANT, Principal
from shared.http.problems import FieldError, Problem, invalid

FORBIDDEN = 403
Tenant = Annotated[str | None, Query(description="tenant to act for; platform keys only")]
After = Annotated[str | None, Query(description="`next` of the page before")]


def tenant_of(caller: Principal, named: str | None) -> str:
    """Return the tenant this request is for."""
    if caller.tenant_id != PLATFORM_TENANT:
        if named not in (None, caller.tenant_id):
            raise Problem(FORBIDDEN, detail="This API key belongs to another tenant.")
        return caller.tenant_id
    if not named:
        raise invalid(
            [
                FieldError(
                    field="tenant",
                    message="missing with a platform key",
                    remedy="add ?tenant=<id>, or use a key of the tenant",
                )
            ]
        )
    return named


def actor_of(caller: Principal) -> str:
    """Return who a change is recorded as made by."""
    return f"{caller.tenant_id}/{caller.key_id}"


def cursor(text: str | None) -> UUID | None:
    """Read a page's cursor."""
    if text is None:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise invalid(
            [FieldError(field="after", message="not a cursor", remedy="send `next` of a page")]
        ) from None
