"""What the ledger shows besides its counters: lag by topic, and the KPIs of each portfolio.

In: the logs' ends, the offsets stored with the work, the projections. Out: gauges. The KPIs are
those of `GET /v1/kpis` over the last 30 days of law time, for a bounded number of portfolios, and
are reckoned so seldom that they never cost more than half a percent of the time.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import msgspec

from services.contact_ledger.kpis import Counts, ratios
from services.contact_ledger.store import kpis, offsets
from services.contact_ledger.store.kpis import Period
from services.contact_ledger.terms import terms_of
from shared.directory import Directory
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.postgres.figures import Figures
from shared.telemetry import metrics

PERIOD = timedelta(days=30)
PORTFOLIOS_MAX = 50  # in order of tenant and name: beyond it a dashboard shows nothing any more
KPI_PAUSE_SECONDS_MIN = 60.0
SHARE_OF_TIME = 200  # a reckoning of one second is followed by a pause of two hundred


class LedgerFigures:
    """The ledger's own looks."""

    def __init__(
        self, pool: Pool, ends: LogEnds, directory: Directory, law_now: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._ends = ends
        self._directory = directory
        self._law_now = law_now
        self._kpis_at = 0.0

    def all(self) -> Figures:
        """Return the loop with every figure of this service."""
        return Figures(self._pool, [self.lag, self.kpis])

    async def lag(self) -> None:
        """Records of each topic that are not recorded yet."""
        ends, cluster_id = await self._ends.ask(), await self._ends.cluster_id()
        async with self._pool.acquire() as conn:
            stored = await offsets.recorded(conn)
        waiting: Counter[str] = Counter()
        for (topic, _), records in offsets.behind(ends, cluster_id, stored).items():
            waiting[topic] += records
        for topic, records in waiting.items():
            metrics.KAFKA_LAG.labels(topic).set(records)

    async def kpis(self) -> None:
        """The KPIs of every portfolio, when it is time."""
        began = monotonic()
        if began < self._kpis_at:
            return
        found = [
            (entry.tenant_id, entry.id, await self._counts(entry.tenant_id, entry.id))
            for entry in sorted(
                self._directory.entries("portfolio"), key=lambda each: (each.tenant_id, each.id)
            )[:PORTFOLIOS_MAX]
        ]
        metrics.KPI_RATIO.clear()
        metrics.KPI_ACCOUNTS.clear()
        for tenant, portfolio, counts in found:
            metrics.KPI_ACCOUNTS.labels(tenant, portfolio).set(counts.accounts_assigned)
            for name, ratio in msgspec.structs.asdict(ratios(counts)).items():
                if ratio is not None:  # nothing to divide by is no figure
                    metrics.KPI_RATIO.labels(tenant, portfolio, name).set(ratio)
        now = monotonic()
        self._kpis_at = now + max(KPI_PAUSE_SECONDS_MIN, SHARE_OF_TIME * (now - began))

    async def _counts(self, tenant_id: str, portfolio_id: str) -> Counts:
        now = self._law_now()
        period = Period(
            tenant_id=tenant_id, portfolio_id=portfolio_id, starts=now - PERIOD, ends=now
        )
        async with self._pool.acquire() as conn:
            return await kpis.count(conn, period, terms_of(self._directory, tenant_id))
