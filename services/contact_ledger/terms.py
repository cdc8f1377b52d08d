"""How portfolios reckon, by their configuration: zones of dates, days of grace.

In: the directory. Out: `Terms` for the queries of the KPIs; a zone that nobody knows is UTC.
"""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.contact_ledger.store.kpis import DEFAULT_ZONE, Terms
from shared.directory import Directory
from shared.events.configuration import Portfolio


def terms_of(directory: Directory, tenant: str) -> list[Terms]:
    """Return how each portfolio of the tenant reckons, as far as it is configured."""
    found = []
    for entry in directory.entries("portfolio", tenant):
        body = directory.body("portfolio", tenant, entry.id, Portfolio)
        if body is not None:
            found.append(
                Terms(
                    portfolio_id=entry.id,
                    zone=_zone(body.zone),
                    grace_days=body.promise_grace_days,
                )
            )
    return found


def _zone(name: str | None) -> str:
    """Return a zone that both Python and the database know."""
    try:
        return ZoneInfo(name).key if name else DEFAULT_ZONE
    except (ZoneInfoNotFoundError, ValueError):
        return DEFAULT_ZONE
