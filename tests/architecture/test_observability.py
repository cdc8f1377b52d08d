"""Dashboards and alerts: as generated, in PromQL, about metrics and labels that exist."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram

from deploy.documents.tables import declared_metrics
from deploy.observability.dashboards import DASHBOARDS, FOLDER, files
from shared.telemetry import metrics
from tests.support.promql import Asked, groupings, parsed, selectors

RULES = FOLDER.parents[1] / "prometheus" / "rules" / "regua.yml"
# What Prometheus adds to every series, and what it makes itself.
TARGET_LABELS = frozenset({"job", "instance"})
OWN_SERIES = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate", "severity"})}


def known() -> dict[str, frozenset[str]]:
    """Every series there can be, and its labels."""
    found = dict(OWN_SERIES)
    for metric in declared_metrics():
        name = metric.describe()[0].name  # type: ignore[attr-defined]
        labels = frozenset(metric._labelnames)  # type: ignore[attr-defined]
        if isinstance(metric, Histogram):
            found |= {f"{name}_count": labels, f"{name}_sum": labels}
            found[f"{name}_bucket"] = labels | {"le"}
        else:
            found[f"{name}_total" if isinstance(metric, Counter) else name] = labels
    for family in metrics.REGISTRY.collect():
        if not family.name.startswith("regua_"):
            found |= {sample.name: frozenset(sample.labels) for sample in family.samples}
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboards and the rules, with where it stands."""
    for path in sorted(FOLDER.glob("*.json")):
        for found in of_json(json.loads(path.read_text())):
            yield path.name, found
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def of_json(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for each in value.values():
            yield from of_json(each)
    elif isinstance(value, list):
        for each in value:
            yield from of_json(each)


def test_the_files_are_what_the_code_makes() -> None:
    assert {path: path.read_text() for path in FOLDER.glob("*.json")} == files(), "run `make docs`"


def test_every_metric_and_label_asked_for_exists() -> None:
    series = known()
    wrong = []
    for where, expression in expressions():
        tree = parsed(expression)
        for asked in selectors(tree):
            if asked.metric not in series:
                wrong.append(f"{where}: there is no {asked.metric}")
            elif not asked.labels <= series[asked.metric] | TARGET_LABELS:
                wrong.append(f"{where}: {asked.metric} has no such labels: {sorted(asked.labels)}")
        for kept, below in groupings(tree):
            there = frozenset[str]().union(*(series.get(name, frozenset()) for name in below))
            if not kept <= there | TARGET_LABELS:
                wrong.append(f"{where}: {sorted(below)} cannot be grouped by {sorted(kept)}")
    assert not wrong


def test_variables_ask_for_what_exists() -> None:
    series = known()
    for dashboard in DASHBOARDS:
        for _, metric, label in dashboard.variables:
            assert label in series[metric]


def test_every_metric_of_ours_is_looked_at() -> None:
    asked = {each.metric for _, text in expressions() for each in selectors(parsed(text))}
    unseen = [
        metric.describe()[0].name  # type: ignore[attr-defined]
        for metric in declared_metrics()
        if not any(name.startswith(metric.describe()[0].name) for name in asked)  # type: ignore[attr-defined]
    ]
    assert not unseen, "put it on a dashboard, or do not measure it"


def test_each_panel_says_what_it_shows() -> None:
    for dashboard in DASHBOARDS:
        titles = [panel.title for row in dashboard.rows for panel in row.panels]
        assert len(set(titles)) == len(titles), dashboard.title
        assert all(panel.meaning for row in dashboard.rows for panel in row.panels)


@pytest.mark.parametrize(
    ("expression", "metric", "labels"),
    [
        ("rate(regua_x_total[5m]) > 1", "regua_x_total", set()),
        ('sum by (a) (max_over_time(regua_y{b="1"}[1h])) / 2', "regua_y", {"b"}),
        ("histogram_quantile(0.9, sum by (le) (rate(z_bucket[5m])))", "z_bucket", set()),
    ],
)
def test_the_check_sees_what_is_asked_for(expression: str, metric: str, labels: set[str]) -> None:
    assert list(selectors(parsed(expression))) == [Asked(metric, frozenset(labels))]
