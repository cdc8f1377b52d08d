"""GET /v1/kpis: the figures collections live by; GET /v1/balance: does every contact add up."""

from collections import defaultdict
from datetime import date, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.contact_ledger.api.reading import (
    OF_ANOTHER,
    FromDay,
    PortfolioId,
    Reading,
    Tenant,
    ToDay,
    instant,
    ordered,
)
from services.contact_ledger.kpis import Counts, Kpis, ratios
from services.contact_ledger.store import alarms, contacts, kpis
from services.contact_ledger.store.alarms import Alarm
from services.contact_ledger.store.contacts import DayBalance
from services.contact_ledger.store.kpis import DEFAULT_ZONE, Period, Terms
from services.contact_ledger.terms import terms_of
from shared.events.states import ContactState
from shared.http.operations import operation
from shared.http.server import json_response

REFUSALS = {"contact.withheld.v1": "withheld", "contact.deferred.v1": "deferred"}


class Promises(msgspec.Struct, frozen=True, kw_only=True):
    """What became of promises."""

    made: int
    due: int
    kept: int
    broken: int


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """Payments of one currency; `amount` in its minor units."""

    count: int
    amount: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a period, instants in law time.

    `kpis` are ratios of `counts`, null when their denominator is empty; `channels` counts contacts
    by channel and state; `withheld` and `deferred` count decisions by rule; `payments` are by
    currency.
    """

    starts: datetime = msgspec.field(name="from")
    ends: datetime = msgspec.field(name="to")
    portfolio: str | None
    kpis: Kpis
    counts: Counts
    channels: dict[str, dict[str, int]]
    withheld: dict[str, int]
    deferred: dict[str, int]
    promises: Promises
    payments: dict[str, Paid]


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts by class; `balanced`: planned is the sum of the classes."""

    planned: int
    withheld: int
    cancelled: int
    expired: int
    failed: int
    unknown: int
    sent: int
    open: int
    balanced: bool


class BalanceOfDay(Balance, frozen=True, kw_only=True):
    """One local day of the debtors; null: outcomes whose plan is not recorded (yet)."""

    day: date | None


class BalanceSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Days, and their sum."""

    days: list[BalanceOfDay]
    totals: Balance


class AlarmList(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms, newest first."""

    alarms: list[Alarm]


def router(reading: Reading) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["figures"])

    @routes.get("/v1/kpis", openapi_extra=operation("read_kpis", gives=Figures, refuses=OF_ANOTHER))
    async def read_kpis(
        tenant: Tenant,
        starts_at: Annotated[
            str,
            Query(alias="from", max_length=40, description="beginning: a date, or an instant"),
        ],
        ends_at: Annotated[
            str, Query(alias="to", max_length=40, description="end, not included: likewise")
        ],
        portfolio: PortfolioId = None,
    ) -> Response:
        """KPIs of [from, to) in law time; dates are midnights in the portfolio's zone."""
        terms = terms_of(reading.directory, tenant)
        zone = next((t.zone for t in terms if t.portfolio_id == portfolio), DEFAULT_ZONE)
        starts = instant("from", starts_at, zone)
        ends = instant("to", ends_at, zone)
        ordered(starts, ends)
        period = Period(tenant_id=tenant, portfolio_id=portfolio, starts=starts, ends=ends)
        return json_response(await _figures(reading, period, terms))

    _add_balance(routes, reading)
    return routes


def _add_balance(routes: APIRouter, reading: Reading) -> None:
    @routes.get(
        "/v1/balance",
        openapi_extra=operation("read_balance", gives=BalanceSheet, refuses=OF_ANOTHER),
    )
    async def read_balance(
        tenant: Tenant,
        day_from: FromDay = None,
        day_to: ToDay = None,
    ) -> Response:
        """Per local day: planned = withheld + cancelled + expired + failed + unknown + sent + open.

        Day null: contacts with outcomes whose plan is not recorded (yet). It is empty when drained.
        """
        async with reading.pool.acquire() as conn:
            days = await contacts.balance(conn, tenant, day_from, day_to)
        sheet = BalanceSheet(
            days=[
                BalanceOfDay(day=each.day, **msgspec.structs.asdict(_sum([each]))) for each in days
            ],
            totals=_sum(days),
        )
        return json_response(sheet)

    @routes.get(
        "/v1/alarms", openapi_extra=operation("read_alarms", gives=AlarmList, refuses=OF_ANOTHER)
    )
    async def read_alarms(tenant: Tenant) -> Response:
        """Contacts whose facts contradict each other, newest first (at most 1,000)."""
        async with reading.pool.acquire() as conn:
            return json_response(AlarmList(alarms=await alarms.newest(conn, tenant)))


async def _figures(reading: Reading, period: Period, terms: list[Terms]) -> Figures:
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
    return Figures(
        starts=period.starts,
        ends=period.ends,
        portfolio=period.portfolio_id,
        kpis=ratios(counts),
        counts=counts,
        channels=channels,
        withheld=refused["withheld"],
        deferred=refused["deferred"],
        promises=Promises(
            made=counts.promises,
            due=counts.promises_due,
            kept=counts.promises_kept,
            broken=counts.promises_broken,
        ),
        payments={each.currency: Paid(count=each.payments, amount=each.amount) for each in paid},
    )


def _sum(days: list[DayBalance]) -> Balance:
    """Return the sums of the classes, and whether they make up what was planned."""
    sums = {name: sum(getattr(day, name) for day in days) for name in contacts.CLASSES}
    planned = sum(day.planned for day in days)
    return Balance(planned=planned, balanced=planned == sum(sums.values()), **sums)
