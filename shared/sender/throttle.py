"""Rate permits, leased: exact across replicas, one database call per twentieth of a second.

In: an account's rate and how many calls are about to be made. Out: how many may be made now, or
how long to wait. Leased permits are spent within a second or lost. A provider's "slow down" holds
back the account or the number for every replica.
"""

import math
import time

import msgspec

from shared.postgres import Pool
from shared.sender.batch_metrics import throttle_seconds
from shared.sender.errors import Slows
from shared.sender.provider import Account
from shared.sender.store import permits
from shared.telemetry import metrics

LEASES_PER_SECOND = 20  # a lease is a twentieth of the rate: the burst nobody notices
LEASE_SECONDS_MAX = 1.0  # unspent permits are forgotten: they must not pile up into a burst
PUSH_BACK_SECONDS_DEFAULT = 1.0  # a 429 without Retry-After
PUSH_BACK_SECONDS_MAX = 3_600.0  # what a provider may ask for at most; the breaker knows the rest


class Lease(msgspec.Struct):
    """Permits in hand for one account, or the instant (monotonic) before which there are none."""

    left: int = 0
    expires_at: float = 0.0
    wait_until: float = 0.0


class Throttle:
    """The permits of one process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._leases: dict[str, Lease] = {}

    async def take(self, account: Account, wanted: int) -> tuple[int, float]:
        """Take up to `wanted` permits; return (granted, seconds to wait when none)."""
        key = account_key(account)
        lease = self._leases.setdefault(key, Lease())
        now = time.monotonic()
        if now >= lease.expires_at:
            lease.left = 0
        if lease.left == 0:
            if now < lease.wait_until:
                return 0, lease.wait_until - now
            await self._renew(account, lease)
        granted = min(wanted, lease.left)
        lease.left -= granted
        return granted, max(0.0, lease.wait_until - time.monotonic()) if granted == 0 else 0.0

    def give_back(self, account: Account, count: int) -> None:
        """Return permits that were not used (their tasks turned out not to be callable)."""
        lease = self._leases.get(account_key(account))
        if lease is not None:
            lease.left += count

    async def push_back(self, account: Account, slows: Slows, seconds: float | None) -> None:
        """Hold back the account or its number, for everybody, as the provider asked."""
        if slows is Slows.NOTHING:
            return
        metrics.SENDER_PUSH_BACKS.labels(account.settings.provider, slows.value).inc()
        pause = min(seconds or PUSH_BACK_SECONDS_DEFAULT, PUSH_BACK_SECONDS_MAX)
        key = account_key(account) if slows is Slows.ACCOUNT else number_key(account)
        lease = self._leases.setdefault(account_key(account), Lease())
        lease.left = 0
        lease.wait_until = time.monotonic() + pause
        async with self._pool.acquire() as conn:
            await permits.push_back(conn, key, pause)

    async def _renew(self, account: Account, lease: Lease) -> None:
        rate = account.settings.rate_per_second
        size = max(1, math.ceil(rate / LEASES_PER_SECOND))
        keys = sorted([account_key(account), number_key(account)])
        async with self._pool.acquire() as conn:
            granted, wait = await permits.take(
                conn, keys, [rate] * len(keys), [size] * len(keys), size
            )
        now = time.monotonic()
        lease.left = granted
        lease.expires_at = now + LEASE_SECONDS_MAX
        # Wait for a whole lease, not for a single permit: one call in 50 ms, not one per permit.
        whole = wait + (size - 1) / rate
        lease.wait_until = 0.0 if granted else now + min(whole, PUSH_BACK_SECONDS_MAX)
        if not granted:
            throttle_seconds(account.settings.provider).observe(lease.wait_until - now)


def account_key(account: Account) -> str:
    """Return the throttle key of an account."""
    return f"account:{account.tenant_id}:{account.account_id}"


def number_key(account: Account) -> str:
    """Return the throttle key of the sender an account writes from (our number, not a debtor's).

    Another tenant that claims the same number neither spends its permits nor holds it back.
    """
    return f"number:{account.tenant_id}:{account.settings.provider}:{account.settings.sender}"
