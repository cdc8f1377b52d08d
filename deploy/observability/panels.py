"""Panels and dashboards as Grafana's JSON has them.

In: titles, PromQL, units. Out: dictionaries with positions on Grafana's grid of 24 columns. Nothing
here knows a metric: `dashboards` does.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

Json = dict[str, Any]

SCHEMA_VERSION = 39  # of Grafana 11 and later, which migrate older ones
COLUMNS = 24
HEIGHT = 8
STAT_HEIGHT = 4
REFRESH = "30s"
SPAN = "now-3h"
PROMETHEUS = {"type": "prometheus", "uid": "prometheus"}
TEMPO = {"type": "tempo", "uid": "tempo"}


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel. `queries` are (PromQL, legend); `unit` is Grafana's name of it.

    `warn_at` colours a stat from that value on; `traceql` makes a list of traces instead.
    """

    title: str
    meaning: str
    queries: tuple[tuple[str, str], ...] = ()
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    warn_at: float | None = None
    stacked: bool = False
    traceql: str = ""


class Row(msgspec.Struct, frozen=True):
    """A titled group of panels."""

    title: str
    panels: tuple[Panel, ...]


SERVICE = "SERVICE"  # stands for the service's name in rows that several dashboards have
OF = f'job="{SERVICE}"'


def of_service(row: Row, service: str) -> Row:
    """Return a row that several services have, for one of them."""
    return Row(
        row.title,
        tuple(
            msgspec.structs.replace(
                panel,
                queries=tuple(
                    (text.replace(SERVICE, service), name) for text, name in panel.queries
                ),
                traceql=panel.traceql.replace(SERVICE, service),
            )
            for panel in row.panels
        ),
    )


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """One dashboard. `variables` are (name, metric, label): what a viewer may choose from."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[tuple[str, str, str], ...] = ()


def as_json(dashboard: Dashboard) -> Json:
    """Return a dashboard as Grafana reads it from a file."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["regua"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": REFRESH,
        "time": {"from": SPAN, "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "title": "Regua",
                "type": "dashboards",
                "tags": ["regua"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_variable(*each) for each in dashboard.variables]},
        "annotations": {"list": [_alerts_as_annotations()]},
        "panels": list(_placed(dashboard.rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterable[Json]:
    """Lay rows out from left to right, top to bottom; ids are places, so a diff stays small."""
    number, y = 0, 0
    for row in rows:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        }
        y += 1
        x = height = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + height
            number += 1
            height = STAT_HEIGHT if panel.kind == "stat" else HEIGHT
            place = {"h": height, "w": panel.width, "x": x, "y": y}
            yield _panel(panel) | {"id": number, "gridPos": place}
            x += panel.width
        y += height


def _panel(panel: Panel) -> Json:
    if panel.traceql:
        return _traces(panel)
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": PROMETHEUS,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": PROMETHEUS,
                "expr": expression,
                "legendFormat": legend,
                "range": panel.kind == "timeseries",
                "instant": panel.kind != "timeseries",
            }
            for number, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.warn_at is not None:
        steps.append({"color": "red", "value": panel.warn_at})
    defaults: Json = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
    }
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 25 if panel.stacked else 8,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
        }
    return defaults


def _options(panel: Panel) -> Json:
    reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": reduce, "colorMode": "background", "graphMode": "area"}
    if panel.kind == "bargauge":
        return {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic"}
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _traces(panel: Panel) -> Json:
    return {
        "type": "table",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": TEMPO,
        "targets": [
            {
                "refId": "A",
                "datasource": TEMPO,
                "queryType": "traceql",
                "query": panel.traceql,
                "limit": 20,
                "tableType": "traces",
            }
        ],
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    }


def _variable(name: str, metric: str, label: str) -> Json:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": PROMETHEUS,
        "query": {"query": f"label_values({metric}, {label})", "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _alerts_as_annotations() -> Json:
    return {
        "name": "Alerts",
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", severity="critical"}',
        "titleFormat": "{{alertname}}",
    }
