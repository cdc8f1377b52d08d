"""What the page draws: a fixed list of charts, each a bounded number of lines of bounded length.

In: parsed `/metrics` of each service. Out: points. Rates and percentiles are between two looks, as
Prometheus would reckon them; lines beyond the bound are left out, the largest are kept.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

LINES_MAX = 12  # of one chart
POINTS_MAX = 300  # of one line: a quarter of an hour at a look in three seconds
PERCENTILE = 0.99


class How(StrEnum):
    """What is drawn of a metric."""

    RATE = "a second"
    TOTAL = "since the start"
    LEVEL = "now"  # what all replicas see alike, or each has for itself: the largest
    SLOWEST = "99 % within"


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One chart. `metric` as /metrics names it; `by` are its labels (`service` is the process)."""

    title: str
    metric: str
    how: How
    by: tuple[str, ...]
    unit: str = ""


CHARTS = (
    Chart(title="Events in", metric="regua_intake_events_total", how=How.RATE, by=("outcome",)),
    Chart(
        title="Contacts planned",
        metric="regua_contacts_planned_total",
        how=How.RATE,
        by=("channel",),
    ),
    Chart(
        title="Contacts handed over",
        metric="regua_contacts_handed_over_total",
        how=How.RATE,
        by=("channel",),
    ),
    Chart(
        title="Provider calls",
        metric="regua_sender_calls_total",
        how=How.RATE,
        by=("provider", "result"),
    ),
    Chart(
        title="Receipts", metric="regua_sender_receipts_total", how=How.RATE, by=("service", "mark")
    ),
    Chart(title="Replies", metric="regua_sender_replies_total", how=How.TOTAL, by=("intent",)),
    Chart(
        title="Ledger entries", metric="regua_ledger_entries_total", how=How.RATE, by=("service",)
    ),
    Chart(title="Withheld", metric="regua_contacts_withheld_total", how=How.TOTAL, by=("rule",)),
    Chart(title="Put off", metric="regua_contacts_deferred_total", how=How.TOTAL, by=("rule",)),
    Chart(
        title="Work for people",
        metric="regua_work_items_open",
        how=How.LEVEL,
        by=("kind", "age"),
    ),
    Chart(
        title="Records behind",
        metric="regua_kafka_lag_records",
        how=How.LEVEL,
        by=("service", "topic"),
    ),
    Chart(
        title="Oldest unpublished row",
        metric="regua_outbox_age_seconds",
        how=How.LEVEL,
        by=("service", "outbox"),
        unit="s",
    ),
    Chart(
        title="Holds feed behind",
        metric="regua_sender_holds_age_seconds",
        how=How.LEVEL,
        by=("service",),
        unit="s",
    ),
    Chart(
        title="Unknown attempts",
        metric="regua_sender_unknown_attempts",
        how=How.LEVEL,
        by=("service", "age"),
    ),
    Chart(
        title="HTTP answers",
        metric="regua_http_request_duration_seconds",
        how=How.SLOWEST,
        by=("service",),
        unit="s",
    ),
    Chart(
        title="Time of a provider call",
        metric="regua_sender_call_duration_seconds",
        how=How.SLOWEST,
        by=("provider",),
        unit="s",
    ),
    Chart(
        title="Webhook to answer",
        metric="regua_sender_webhook_duration_seconds",
        how=How.SLOWEST,
        by=("provider",),
        unit="s",
    ),
    Chart(title="KPIs", metric="regua_kpi_ratio", how=How.LEVEL, by=("portfolio", "kpi")),
    Chart(title="CPU", metric="process_cpu_seconds_total", how=How.RATE, by=("service",), unit="s"),
    Chart(
        title="Memory",
        metric="process_resident_memory_bytes",
        how=How.LEVEL,
        by=("service",),
        unit="bytes",
    ),
)


class Sample(NamedTuple):
    """One sample of a scrape: its full name, its labels with `service`, its value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Line:
    """The points of one line; None is a gap. It was nothing at the look before its first."""

    def __init__(self, before_at: float | None) -> None:
        self.points: deque[tuple[float, float | None]] = deque(maxlen=POINTS_MAX)
        self.before: dict[str, float] = {}
        self.before_at = before_at


class Drawing:
    """One chart with its lines."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._lines: dict[str, Line] = {}
        self._looked_at: float | None = None

    def add(self, samples: Iterable[Sample], now: float) -> None:
        """Take one look's samples of the chart's metric; `now` is seconds since the epoch."""
        wanted = f"{self.chart.metric}_bucket" if self._percentile else self.chart.metric
        levels: dict[str, dict[str, float]] = {}
        for sample in samples:
            if sample.name != wanted:
                continue
            key = " ".join(sample.labels.get(label, "") for label in self.chart.by)
            parts = levels.setdefault(key, {})
            part = sample.labels["le"] if self._percentile else ""
            if self.chart.how is How.LEVEL:
                parts[part] = max(parts.get(part, sample.value), sample.value)
            else:
                parts[part] = parts.get(part, 0.0) + sample.value
        for key, parts in levels.items():
            line = self._lines.get(key)
            if line is None:
                # Every process has every metric; a line begins when there is something to see.
                if len(self._lines) >= LINES_MAX or not any(parts.values()):
                    continue
                line = self._lines[key] = Line(self._looked_at)
            line.points.append((round(now, 1), self._value(line, parts, now)))
            line.before, line.before_at = parts, now
        self._looked_at = now

    def as_json(self) -> dict[str, object]:
        """Return the chart as the page draws it."""
        return {
            "title": self.chart.title,
            "how": self.chart.how.value,
            "unit": self.chart.unit,
            "lines": [
                {"name": key or "all", "points": list(line.points)}
                for key, line in sorted(self._lines.items())
            ],
        }

    @property
    def _percentile(self) -> bool:
        return self.chart.how is How.SLOWEST

    def _value(self, line: Line, parts: Mapping[str, float], now: float) -> float | None:
        if self.chart.how in (How.LEVEL, How.TOTAL):
            return parts[""]
        if line.before_at is None or now <= line.before_at:
            return None
        grown = {part: value - line.before.get(part, 0.0) for part, value in parts.items()}
        if any(each < 0 for each in grown.values()):
            return None  # the process started anew
        if self._percentile:
            return quantile(PERCENTILE, grown)
        return grown[""] / (now - line.before_at)


def quantile(of: float, buckets: Mapping[str, float]) -> float | None:
    """Return a quantile of cumulative buckets (by upper bound); None when nothing was observed."""
    bounds = sorted((float(bound), count) for bound, count in buckets.items())
    if not bounds or bounds[-1][1] <= 0:
        return None
    rank, below, low = of * bounds[-1][1], 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            if bound == float("inf"):
                return low  # beyond the last bound nobody knows
            inside = count - below
            return low + (bound - low) * ((rank - below) / inside if inside else 1.0)
        below, low = count, bound
    return low
