"""GET /v1/kpis: the figures collections live by; GET /v1/balance: does every contact add up."""

from collections import defaultdict
from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.contact_ledger.api.reading import Reading, Tenant, instant, ordered, required
from services.contact_ledger.kpis import ratios
from services.contact_ledger.store import alarms, contacts, kpis
from services.contact_ledger.store.kpis import DEFAULT_ZONE, Period, Terms
from shared.directory import Directory
from shared.events.configuration import Portfolio
from shared.events.states import ContactState
from shared.http.server import json_response

REFUSALS = {"contact.withheld.v1": "withheld", "contact.deferred.v1": "deferred"}


def router(reading: Reading) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["figures"])

    @routes.get("/v1/kpis")
    async def read_kpis(
        tenant: Tenant,
        starts_at: Annotated[str | None, Query(alias="from", max_length=40)] = None,
        ends_at: Annotated[str | None, Query(alias="to", max_length=40)] = None,
        portfolio: str | None = None,
    ) -> Response:
        """KPIs of [from, to) in law time; dates are midnights in the portfolio's zone."""
        terms = _terms(reading.directory, tenant)
        zone = next((t.zone for t in terms if t.portfolio_id == portfolio), DEFAULT_ZONE)
        starts = instant("from", starts_at, zone)
        ends = instant("to", ends_at, zone)
        if starts is None:
            raise required("from")
        if ends is None:
            raise required("to")
        ordered(starts, ends)
        period = Period(tenant_id=tenant, portfolio_id=portfolio, starts=starts, ends=ends)
        return json_response(await _figures(reading, period, terms))

    _add_balance(routes, reading)
    return routes


def _add_balance(routes: APIRouter, reading: Reading) -> None:
    @routes.get("/v1/balance")
    async def read_balance(
        tenant: Tenant,
        day_from: Annotated[date | None, Query(alias="from")] = None,
        day_to: Annotated[date | None, Query(alias="to")] = None,
    ) -> Response:
        """Per local day: planned = withheld + cancelled + expired + failed + unknown + sent + open.

        Day null: contacts with outcomes whose plan is not recorded (yet). It is empty when drained.
        """
        async with reading.pool.acquire() as conn:
            days = await contacts.balance(conn, tenant, day_from, day_to)
        totals = {
            name: sum(getattr(day, name) for day in days) for name in ("planned", *contacts.CLASSES)
        }
        return json_response(
            {
                "days": [_day(msgspec.structs.asdict(day)) for day in days],
                "totals": _day(totals),
            }
        )

    @routes.get("/v1/alarms")
    async def read_alarms(tenant: Tenant) -> Response:
        """Contacts whose facts contradict each other, newest first (at most 1,000)."""
        async with reading.pool.acquire() as conn:
            return json_response({"alarms": await alarms.newest(conn, tenant)})


async def _figures(reading: Reading, period: Period, terms: list[Terms]) -> dict[str, Any]:
    async with reading.pool.acquire() as conn:
        counts = await kpis.count(conn, period, terms)
        outcomes = await kpis.outcomes(conn, period)
        reasons = await kpis.reasons(conn, period)
        paid = await kpis.payments(conn, period)
    channels: dict[str, dict[str, int]] = defaultdict(dict)
    for each in outcomes:
        channels[each.channel][ContactState(each.state).name.lower()] = each.contacts
    refused: dict[str, dict[str, int]] = {name: {} for name in REFUSALS.values()}
    for reason in reasons:
        refused[REFUSALS[reason.type]][reason.rule] = reason.decisions
    return {
        "from": period.starts,
        "to": period.ends,
        "portfolio": period.portfolio_id,
        "kpis": ratios(counts),
        "counts": counts,
        "channels": channels,
        **refused,
        "promises": {
            "made": counts.promises,
            "due": counts.promises_due,
            "kept": counts.promises_kept,
            "broken": counts.promises_broken,
        },
        "payments": {
            each.currency: {"count": each.payments, "amount": each.amount} for each in paid
        },
    }


def _terms(directory: Directory, tenant: str) -> list[Terms]:
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


def _day(row: dict[str, Any]) -> dict[str, Any]:
    total = sum(row[name] for name in contacts.CLASSES)
    return row | {"balanced": row["planned"] == total}
