"""The ledger's gauges: KPIs of each portfolio as GET /v1/kpis has them, for a bounded number."""

from datetime import timedelta

import msgspec
import pytest

from services.contact_ledger import figures
from services.contact_ledger.figures import LedgerFigures
from services.contact_ledger.kpis import ratios
from services.contact_ledger.store import kpis
from services.contact_ledger.store.kpis import Period
from shared.directory import Directory
from shared.events.configuration import ConfigEntry
from shared.kafka.ends import LogEnds
from shared.postgres import Pool
from shared.telemetry import metrics
from tests.support.ledger import PORTFOLIO, TENANT, Debtor, a_writer, write
from tests.support.lives import END, START

NAMES = (PORTFOLIO, "another", "third")


def gauge(name: str, **labels: str) -> float | None:
    found: float | None = metrics.REGISTRY.get_sample_value(name, {"tenant": TENANT, **labels})
    return found


def directory() -> Directory:
    made = Directory()
    made.apply(
        ConfigEntry(
            kind="portfolio",
            tenant_id=TENANT,
            id=name,
            version=1,
            body=msgspec.Raw(b"{}"),
            changed_at=START,
            changed_by="test",
        )
        for name in NAMES
    )
    return made


async def test_portfolios_show_their_kpis_and_no_figure_where_nothing_is_divided(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "PORTFOLIOS_MAX", 2)
    reached, silent = Debtor(), Debtor()
    told, asked = reached.contact(), silent.contact()
    at = END - timedelta(days=3)
    facts = [debtor.registered(START) for debtor in (reached, silent)]
    facts += [contact.state("contact.accepted", at) for contact in (told, asked)]
    await write(pool, a_writer(), [*facts, told.state("contact.delivered", at)])
    ends = LogEnds("127.0.0.1:9", [])

    await LedgerFigures(pool, ends, directory(), lambda: END).kpis()

    period = Period(tenant_id=TENANT, portfolio_id=PORTFOLIO, starts=END - figures.PERIOD, ends=END)
    async with pool.acquire() as conn:
        expected = ratios(await kpis.count(conn, period, []))
    assert expected.penetration == 0.5
    assert gauge("regua_kpi_ratio", portfolio=PORTFOLIO, kpi="penetration") == 0.5
    assert gauge("regua_kpi_ratio", portfolio=PORTFOLIO, kpi="intensity") == expected.intensity
    assert gauge("regua_kpi_ratio", portfolio=PORTFOLIO, kpi="ptp") is None
    assert gauge("regua_kpi_assigned_accounts", portfolio=PORTFOLIO) == 2
    shown = {
        each for each in NAMES if gauge("regua_kpi_assigned_accounts", portfolio=each) is not None
    }
    assert shown == set(sorted(NAMES)[:2])
