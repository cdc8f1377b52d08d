"""Who is calling: API keys, of which only SHA-256 digests are known, and their scopes.

In: `X-API-Key` or `Authorization: Bearer`. Out: a `Principal` on the request, or 401 / 403. Every
route is authenticated by the edge (`shared.http.edge`) before it is looked up, so an unknown
caller cannot even learn which paths exist; `require(scope)` then asks for a scope.

Scopes: `events:write` (post debt events), `config:write` (configuration), `operator` (holds, work
items, progress, explain), `read` (ledger), `admin` (tenants and keys). Tenant `*` is the platform.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.types import Scope

from shared.events.configuration import ApiKey
from shared.http.problems import Problem

SCOPES = ("events:write", "config:write", "operator", "read", "admin")
PLATFORM_TENANT = "*"
API_KEY_CHARS_MAX = 512  # longer is not a key; hashing it would be work for nothing
STATE_KEY = "regua.principal"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a request."""

    tenant_id: str
    key_id: str
    scopes: tuple[str, ...]

    def may_act_for(self, tenant_id: str) -> bool:
        """Say whether this caller may see or change what belongs to `tenant_id`."""
        return self.tenant_id in (PLATFORM_TENANT, tenant_id)


class Authenticator(Protocol):
    """Where keys are looked up; `shared.directory.Directory` is one."""

    def api_key(self, sha256: str) -> tuple[str, str, ApiKey] | None:
        """Return (tenant, key id, key) for the digest of a presented key."""


def digest_of(api_key: str) -> str:
    """Return the digest under which a key is stored: SHA-256, lower-case hexadecimal."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def authenticate(
    headers: dict[bytes, bytes], auth: Authenticator, machine_now: Callable[[], datetime]
) -> Principal:
    """Return the caller that these request headers prove; raise the 401 problem if they do not.

    `machine_now` judges expiry: the database's clock, the same for every process.
    """
    presented = headers.get(b"x-api-key", b"")
    if not presented:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        presented = token.strip() if scheme.lower() == b"bearer" else b""
    if not presented:
        raise _refused("No API key was sent.", "missing-key")
    digest = hashlib.sha256(presented[:API_KEY_CHARS_MAX]).hexdigest()
    found = auth.api_key(digest)
    if found is None or not hmac.compare_digest(found[2].sha256.lower(), digest):
        raise _refused("This API key is not known.", "unknown-key")
    tenant_id, key_id, key = found
    if key.expires_at is not None and key.expires_at <= machine_now():
        raise _refused("This API key has expired.", "expired-key")
    return Principal(tenant_id=tenant_id, key_id=key_id, scopes=key.scopes)


def principal_of(request: Request) -> Principal:
    """Return the caller of an authenticated request."""
    found = request.scope.get(STATE_KEY)
    if not isinstance(found, Principal):
        raise _refused("No API key was sent.", "missing-key")
    return found


def check_scope(scope: Scope, wanted: str) -> None:
    """Raise the 403 problem unless the request's caller holds the scope `wanted`."""
    found = scope.get(STATE_KEY)
    if not isinstance(found, Principal) or wanted not in found.scopes:
        detail = f"This API key lacks the scope {wanted}; use a key that holds it."
        raise Problem(403, detail=detail, type_slug="missing-scope")


def require(scope: str) -> Callable[[Request], Principal]:
    """Return a FastAPI dependency that yields the caller, or 403 when `scope` is missing."""
    if scope not in SCOPES:
        msg = f"unknown scope {scope!r}: use one of {', '.join(SCOPES)}"
        raise ValueError(msg)

    async def scoped(request: Request) -> Principal:
        check_scope(request.scope, scope)
        return principal_of(request)

    scoped.scope = scope  # type: ignore[attr-defined]  # the architecture test reads it
    return scoped  # type: ignore[return-value]


def _refused(detail: str, slug: str) -> Problem:
    detail = f"{detail} Send a valid key as X-API-Key or Authorization: Bearer."
    return Problem(401, detail=detail, type_slug=slug, headers={"WWW-Authenticate": "Bearer"})
