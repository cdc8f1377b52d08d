"""Callback URLs: every message names its own, so that an early receipt finds its attempt.

In: an attempt. Out: a URL with its ids and our HMAC over them; and the ids back from such a URL.
Providers with one URL per account get a reference instead, which their receipts bring back.
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

REFERENCE_PARTS = 4  # contact, n, day, seal
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

    def reference(self, attempt: Attempt) -> str:
        """Return the name of an attempt for receipts that carry a reference back, not a URL."""
        ids = [attempt.contact_id.hex, str(attempt.n), f"{attempt.ends_on:%Y%m%d}"]
        return "-".join([*ids, self._seal(attempt.tenant_id, attempt.account_id, *ids)])

    def read_reference(self, tenant_id: str, account_id: str, reference: str) -> Callback | None:
        """Return the attempt that a reference names; None when we did not make it."""
        ids = reference.split("-")[:REFERENCE_PARTS]
        if len(ids) != REFERENCE_PARTS or not hmac.compare_digest(
            ids[-1].encode(), self._seal(tenant_id, account_id, *ids[:-1]).encode()
        ):
            return None
        return Callback(contact_id=UUID(ids[0]), n=int(ids[1]), ends_on=date.fromisoformat(ids[2]))

    def unsubscribe_url(self, attempt: Attempt) -> str:
        """Return where a POST opts the recipient of an attempt out; it names the debtor, too.

        Mails are kept for longer than attempts: then the debtor's id still says who must be left
        alone.
        """
        ids = [self.reference(attempt), attempt.debtor_id.hex]
        mine = self._seal(attempt.tenant_id, attempt.account_id, *ids)
        path = "/".join(quote(each, safe="") for each in (attempt.tenant_id, attempt.account_id))
        return f"{self._base}/unsubscribe/{path}/{'-'.join([*ids, mine])}"

    def debtor_in(self, tenant_id: str, account_id: str, reference: str) -> UUID | None:
        """Return the debtor that a reference of an unsubscribe URL names; None without one."""
        rest, _, mine = reference.rpartition("-")
        ours, _, debtor = rest.rpartition("-")
        sealed = self._seal(tenant_id, account_id, ours, debtor)
        return UUID(debtor) if hmac.compare_digest(mine.encode(), sealed.encode()) else None

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
        return self._seal(tenant_id, account_id, *(ids[name] for name in ("a", "c", "d", "n", "e")))

    def _seal(self, *parts: str) -> str:
        text = "\x1f".join(parts)
        return hmac.digest(self._key, text.encode(), "sha256")[:HMAC_BYTES].hex()


@lru_cache(maxsize=ACCOUNTS_CACHED_MAX)
def webhook_path(provider: str, tenant_id: str, account_id: str) -> str:
    """Return the path of an account's webhooks: receipts and inbound replies alike."""
    return "/webhooks/" + "/".join(
        quote(each, safe="") for each in (provider, tenant_id, account_id)
    )
