"""The calendar: when contact is lawful, as instants, for a set of zones and rules.

In: weekly local windows, closed days, zones. Out: half-open UTC intervals in which every rule is
satisfied in every zone at once, found from any instant. A closed day is closed from midnight to
midnight, also for an overnight window of the day before. Where clocks jump, the interval is the
part in which the local clock surely reads inside the window.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.scheduler.policy.rulebook import Window

HORIZON_DAYS = 16  # carnival, a long weekend and a strike of holidays fit; beyond is "no window"
MEMORY_DAYS_MAX = 512  # days kept per calendar: a run of simulations does not grow for ever
DAY_MINUTES = 24 * 60
ONE_DAY = timedelta(days=1)
SEARCH_STEPS = 20  # halvings that bring an hour's gap below a second


class Interval(NamedTuple):
    """A half-open interval of instants, in UTC."""

    open: datetime
    close: datetime


class WeekRule(NamedTuple):
    """One rule's windows in one zone. `windows(day)` gives that date's; () means closed."""

    zone: ZoneInfo
    windows: Callable[[date], tuple[Window, ...]]


class Calendar:
    """The intersection of rules. With no rule at all nothing is lawful."""

    def __init__(self, rules: tuple[WeekRule, ...]) -> None:
        """Keep the rules; days are computed when first asked for."""
        self._rules = rules
        self._days: dict[date, tuple[Interval, ...]] = {}
        self._last: Interval | None = None

    @property
    def ruleless(self) -> bool:
        """Whether nothing at all is said about when."""
        return not self._rules

    def find(self, now: datetime) -> Interval | None:
        """Return the interval that contains `now`, else the next one; None within 16 days."""
        last = self._last
        if last is not None and last.open <= now < last.close:
            return last
        day = now.astimezone(UTC).date() - ONE_DAY
        for _ in range(HORIZON_DAYS + 2):
            for interval in self._of_day(day):
                if now < interval.close:
                    self._last = interval
                    return interval
            day += ONE_DAY
        return None

    def next_lawful(self, now: datetime) -> datetime | None:
        """Return the next lawful instant: `now` itself when it is lawful."""
        interval = self.find(now)
        return None if interval is None else max(now, interval.open)

    def lawful(self, now: datetime) -> bool:
        """Say whether contact is lawful at this instant."""
        interval = self.find(now)
        return interval is not None and interval.open <= now

    def _of_day(self, day: date) -> tuple[Interval, ...]:
        found = self._days.get(day)
        if found is None:
            if len(self._days) >= MEMORY_DAYS_MAX:
                self._days.clear()
            found = self._days[day] = self._compute(day)
        return found

    def _compute(self, day: date) -> tuple[Interval, ...]:
        """Intersect all rules around one UTC date; keep what opens on it."""
        if not self._rules:
            return ()
        lawful = _around(self._rules[0], day)
        for rule in self._rules[1:]:
            lawful = _intersect(lawful, _around(rule, day))
        start = datetime.combine(day, time(), UTC)
        return tuple(i for i in lawful if start <= i.open < start + ONE_DAY)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local date."""
    return _instant(day, 0, zone, closing=False)


def _around(rule: WeekRule, day: date) -> list[Interval]:
    """Intervals of one rule on the local dates that can touch a UTC date, and their neighbours."""
    intervals: list[Interval] = []
    for shift in (-2, -1, 0, 1, 2):
        local = day + timedelta(days=shift)
        for window in rule.windows(local):
            _add(intervals, local, window.open, min(window.close, DAY_MINUTES), rule.zone)
            if window.close > DAY_MINUTES and rule.windows(local + ONE_DAY):
                _add(intervals, local + ONE_DAY, 0, window.close - DAY_MINUTES, rule.zone)
    return _merge(intervals)


def _add(intervals: list[Interval], day: date, opens: int, closes: int, zone: ZoneInfo) -> None:
    interval = Interval(
        _instant(day, opens, zone, closing=False), _instant(day, closes, zone, closing=True)
    )
    if interval.open < interval.close:
        intervals.append(interval)


def _instant(day: date, minutes: int, zone: ZoneInfo, *, closing: bool) -> datetime:
    """Turn a local wall time into an instant, on the safe side where clocks jump.

    A time that occurs twice opens late and closes early; one that does not occur is the jump.
    """
    days, minute = divmod(minutes, DAY_MINUTES)
    wall = datetime.combine(day + timedelta(days=days), time(minute // 60, minute % 60))
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return first
    if first < second:  # the hour is repeated
        return first if closing else second
    return _jump(second, first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant between the two at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    for _ in range(SEARCH_STEPS):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return (after + timedelta(milliseconds=500)).replace(microsecond=0)


def _merge(intervals: list[Interval]) -> list[Interval]:
    """Join intervals that overlap; those that only touch stay apart, so that each has its date."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.open < merged[-1].close:
            merged[-1] = Interval(merged[-1].open, max(merged[-1].close, interval.close))
        else:
            merged.append(interval)
    return merged


def _intersect(left: list[Interval], right: list[Interval]) -> list[Interval]:
    """Return what lies in both lists; each is sorted and free of overlaps."""
    both: list[Interval] = []
    i = j = 0
    while i < len(left) and j < len(right):
        opens = max(left[i].open, right[j].open)
        closes = min(left[i].close, right[j].close)
        if opens < closes:
            both.append(Interval(opens, closes))
        if left[i].close <= right[j].close:
            i += 1
        else:
            j += 1
    return both
