"""Jurisdiction: which packs bind a debtor, in which zones, with which caps and consent.

In: the debtor's places and phones, the portfolio, the rulebook. Out: a `Jurisdiction`, cached per
rulebook and set of indications, or one that is unresolved with the reason. Packs merge strictly:
windows intersect over every pack and every indicated zone, caps all apply, the strictest consent
binds.
"""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays

from services.scheduler.policy.calendar import Calendar, WeekRule
from services.scheduler.policy.consent import phone_points
from services.scheduler.policy.packs import HOLIDAY_LANGUAGE
from services.scheduler.policy.places import (
    subdivision_of,
    zone_info,
    zones_of_phone,
    zones_of_place,
)
from services.scheduler.policy.rulebook import Cap, HolidayRule, Pack, Rulebook, Window
from services.scheduler.policy.state import DebtorState
from shared.events.configuration import Portfolio
from shared.events.debt import Place

OPT_OUT_ORDER = ("address", "channel", "debtor")
CACHED_YEARS = 2_048  # (rule, subdivision, year) triples: every state of a dozen countries
DAYS_KEPT_MAX = 256  # (channel, date) pairs per jurisdiction; planning looks a few days ahead
CACHED_JURISDICTIONS_MAX = 100_000  # distinct sets of indications; beyond that, start afresh


class LawOfDay(NamedTuple):
    """What binds one channel on one local date. Each cap comes with its `pack@version`.

    `opt_in`: consent is needed before the first contact; `opt_out_scope`: how far an opt-out
    reaches (address, channel, debtor), the widest of all packs.
    """

    caps: tuple[tuple[Cap, str], ...]
    opt_in: bool
    opt_out_scope: str


class Jurisdiction:
    """What binds one debtor in one portfolio. `problem` is set when contact cannot be lawful."""

    def __init__(
        self,
        *,
        zones: tuple[ZoneInfo, ...],
        places: tuple[Place, ...],
        packs: tuple[tuple[int, Pack], ...],
        problem: str | None,
    ) -> None:
        """`zones[0]` is the debtor's own zone, in which dates are counted."""
        self.zones = zones
        self.zone = zones[0] if zones else ZoneInfo("UTC")
        self.packs = packs
        self.problem = problem
        self.versions = {f"pack:{pack.id}": str(version) for version, pack in packs}
        self.label = ",".join(f"{pack.id}@{version}" for version, pack in packs)
        self._places = places
        self._waiting = tuple((version, pack) for version, pack in packs if pack.stage_waits)
        self._days: dict[tuple[str, date], LawOfDay] = {}
        self._calendars: dict[str, Calendar] = {}

    def calendar(self, channel: str) -> Calendar:
        """Return the calendar of a channel."""
        found = self._calendars.get(channel)
        if found is None:
            found = self._calendars[channel] = Calendar(self._rules(channel))
        return found

    def on(self, channel: str, day: date) -> "LawOfDay":
        """Return what the packs in force on a local date say about a channel."""
        found = self._days.get((channel, day))
        if found is None:
            if len(self._days) >= DAYS_KEPT_MAX:
                self._days.clear()
            found = self._days[channel, day] = self._law(channel, day)
        return found

    def stage_wait(self, stage: int, day: date) -> int:
        """Return the days that must pass after the first sent step before this stage."""
        return max(
            (
                days
                for _, pack in self._waiting
                if pack.in_force(day)
                for least, days in pack.stage_waits.items()
                if stage >= least
            ),
            default=0,
        )

    def _law(self, channel: str, day: date) -> "LawOfDay":
        packs = [(version, pack) for version, pack in self.packs if pack.in_force(day)]
        return LawOfDay(
            caps=tuple(
                (cap, f"{pack.id}@{version}")
                for version, pack in packs
                for cap in pack.caps
                if channel in cap.channels
            ),
            opt_in=any(pack.consent.get(channel) == "granted" for _, pack in packs),
            opt_out_scope=max(
                (pack.opt_out_scope for _, pack in packs),
                key=OPT_OUT_ORDER.index,
                default="address",
            ),
        )

    def _rules(self, channel: str) -> tuple[WeekRule, ...]:
        if self.problem is not None:
            return ()
        packs = [p for _, p in self.packs if p.windows is not None and channel in p.channels]
        if not packs:
            return ()
        return tuple(self._rule(packs, zone) for zone in self.zones)

    def _rule(self, packs: list[Pack], zone: ZoneInfo) -> WeekRule:
        def windows(day: date) -> tuple[Window, ...]:
            bound = [pack for pack in packs if pack.in_force(day)]
            if not bound or any(self._closed(pack, day) for pack in bound):
                return ()
            week = [pack.windows[day.weekday()] for pack in bound if pack.windows is not None]
            return _common(week)

        return WeekRule(zone, windows)

    def _closed(self, pack: Pack, day: date) -> bool:
        rule = pack.holidays
        if rule is None:
            return False
        here = [p for p in self._places if p.country == rule.country]
        named = {subdivision_of(place) for place in here} | {None}
        if rule.subdivision != "of_place":
            named = {rule.subdivision, None}
        return any(day in _closed_days(rule, subdivision, day.year) for subdivision in named)


def resolve(state: DebtorState, portfolio_id: str, rulebook: Rulebook) -> Jurisdiction:
    """Return what binds this debtor in this portfolio; cached by the indications themselves."""
    phones = tuple(zones_of_phone(point.address) for point in phone_points(state))
    key = (portfolio_id, state.places, phones)
    found = rulebook.jurisdictions.get(key)
    if isinstance(found, Jurisdiction):
        return found
    if len(rulebook.jurisdictions) >= CACHED_JURISDICTIONS_MAX:
        rulebook.jurisdictions.clear()
    portfolio = rulebook.portfolio(portfolio_id)
    if portfolio is None:
        made = Jurisdiction(zones=(), places=(), packs=(), problem="portfolio_missing")
    else:
        made = _resolve(state.places, phones, portfolio, rulebook)
    rulebook.jurisdictions[key] = made
    return made


def _resolve(
    places: tuple[Place, ...],
    phones: tuple[tuple[str, ...], ...],
    portfolio: Portfolio,
    rulebook: Rulebook,
) -> Jurisdiction:
    names, problem = _zones(places, phones, portfolio)
    zones = [zone_info(name) for name in names]
    known = tuple(zone for zone in zones if zone is not None)
    if len(known) < len(zones):
        problem = problem or "zone_unknown"
    indicated = places or (Place(country=portfolio.country),)
    packs = tuple(
        rulebook.packs[pack_id]
        for pack_id in portfolio.packs
        if pack_id in rulebook.packs
        and _binds(rulebook.packs[pack_id][1], indicated, portfolio.collector_role)
    )
    if any(pack_id not in rulebook.packs for pack_id in portfolio.packs):
        problem = problem or "pack_missing"
    if not all(_covered(place, packs) for place in indicated):
        problem = problem or "no_pack_for_place"
    return Jurisdiction(zones=known, places=indicated, packs=packs, problem=problem)


def _zones(
    places: tuple[Place, ...],
    phones: tuple[tuple[str, ...], ...],
    portfolio: Portfolio,
) -> tuple[list[str], str | None]:
    """Collect every indicated zone, places first; say what is wrong when there is none."""
    names = [zone for place in places for zone in zones_of_place(place)]
    names += [zone for zones in phones for zone in zones]
    if not names and not phones and portfolio.zone is not None:
        names = [portfolio.zone]  # the operator's word, for debtors without phone and place
    return list(dict.fromkeys(names)), None if names else "zone_unknown"


def _binds(pack: Pack, places: Iterable[Place], role: str) -> bool:
    if role not in pack.roles:
        return False
    return pack.country is None or any(_in(place, pack) for place in places)


def _in(place: Place, pack: Pack) -> bool:
    if place.country != pack.country:
        return False
    if pack.subdivision is not None and subdivision_of(place) != pack.subdivision:
        return False
    return pack.city is None or (place.city or "").casefold() == pack.city.casefold()


def _covered(place: Place, packs: tuple[tuple[int, Pack], ...]) -> bool:
    """Every indicated place needs a pack with windows, or nobody knows what is lawful there."""
    return any(
        pack.windows is not None and (pack.country is None or pack.country == place.country)
        for _, pack in packs
    )


def _common(week: list[tuple[Window, ...]]) -> tuple[Window, ...]:
    """Intersect the local windows of one day over all packs."""
    common = week[0]
    for windows in week[1:]:
        common = tuple(
            Window(open=max(a.open, b.open), close=min(a.close, b.close))
            for a in common
            for b in windows
            if max(a.open, b.open) < min(a.close, b.close)
        )
    return common


@lru_cache(maxsize=CACHED_YEARS)
def _closed_days(rule: HolidayRule, subdivision: str | None, year: int) -> frozenset[date]:
    """Return the closed days of a year: public holidays, the named optional ones, extra dates."""
    supported = holidays.list_supported_countries(include_aliases=False).get(rule.country, [])
    known = subdivision if subdivision in supported else None
    public = holidays.country_holidays(rule.country, subdiv=known, years=year)
    days = set(public)
    if rule.optional_days:
        optional = holidays.country_holidays(
            rule.country, years=year, categories=("optional",), language=HOLIDAY_LANGUAGE
        )
        wanted = set(rule.optional_days)
        days |= {day for day, names in optional.items() if wanted & set(names.split("; "))}
    return frozenset(days | {day for day in rule.extra_days if day.year == year})
