"""Callback URLs: every message names its own, so that an early receipt finds its attempt.

In: an attempt. Out: a URL with its ids and our HMAC over them; and the ids back from such a URL.
Ids are random and the URL holds nothing personal. The provider's signature covers the URL as well;
ours stands where a provider signs nothing.
"""

import hmac
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from urllib.parse import quote
from uuid import UUID

import msgspec

from shared.sender.attempts import Attempt

ACCOUNTS_CACHED_MAX = 1_024
HMAC_BYTES = 8  # 64 bits: a forger has one guess per request, and the provider's signature besides


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that a callback URL names."""

    contact_id: UUID
    n: int
    ends_on: date


class Callbacks:
    """Makes and reads the callback URLs of one sender."""

    def __init__(self, public_url: str, key: bytes) -> None:
        """`public_url` is how providers reach this service."""
        self._base = public_url.rstrip("/")
        self._key = key

    def url(self, attempt: Attempt) -> str:
        """Return the callback URL of an attempt."""
        ids = {
            "a": str(attempt.attempt_id),
            "c": str(attempt.contact_id),
            "d": str(attempt.debtor_id),
            "n": str(attempt.n),
            "e": attempt.ends_on.isoformat().replace("-", ""),
        }
        path = webhook_path(attempt.provider, attempt.tenant_id, attempt.account_id)
        query = "&".join([f"{name}={value}" for name, value in ids.items()])
        mine = self._hmac(attempt.tenant_id, attempt.account_id, ids)
        return f"{self._base}{path}?{query}&s={mine}"

    def public(self, path: str, query: str) -> str:
        """Return the public URL of a request to this service, as the provider wrote it."""
        return f"{self._base}{path}?{query}" if query else f"{self._base}{path}"

    def read(self, tenant_id: str, account_id: str, query: Mapping[str, str]) -> Callback | None:
        """Return the attempt that a query names, None when it names none.

        Raise `ValueError` when the ids are not ours (wrong HMAC, malformed).
        """
        if "c" not in query:
            return None
        ids = {name: query.get(name, "") for name in ("a", "c", "d", "n", "e")}
        if not hmac.compare_digest(
            query.get("s", "").encode(), self._hmac(tenant_id, account_id, ids).encode()
        ):
            msg = "the callback's ids do not carry our signature"
            raise ValueError(msg)
        return Callback(
            contact_id=UUID(ids["c"]),
            n=int(ids["n"]),
            ends_on=date.fromisoformat(ids["e"]),
        )

    def _hmac(self, tenant_id: str, account_id: str, ids: Mapping[str, str]) -> str:
        text = "\x1f".join(
            [tenant_id, account_id, *(ids[name] for name in ("a", "c", "d", "n", "e"))]
        )
        return hmac.digest(self._key, text.encode(), "sha256")[:HMAC_BYTES].hex()


@lru_cache(maxsize=ACCOUNTS_CACHED_MAX)
def webhook_path(provider: str, tenant_id: str, account_id: str) -> str:
    """Return the path of an account's webhooks: receipts and inbound replies alike."""
    return "/webhooks/" + "/".join(
        quote(each, safe="") for each in (provider, tenant_id, account_id)
    )
