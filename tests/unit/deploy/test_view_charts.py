"""The page's charts: rates, levels and percentiles as Prometheus reckons them, bounded."""

import pytest

from deploy.documents.tables import declared_metrics
from deploy.view.charts import CHARTS, LINES_MAX, POINTS_MAX, Chart, Drawing, How, Sample, quantile

RATE = Chart(title="x", metric="x_total", how=How.RATE, by=("a",))
LEVEL = Chart(title="y", metric="y", how=How.LEVEL, by=("service",))
SLOWEST = Chart(title="z", metric="z_seconds", how=How.SLOWEST, by=())


def drawn(drawing: Drawing) -> dict[str, list[float | None]]:
    lines = drawing.as_json()["lines"]
    assert isinstance(lines, list)
    return {line["name"]: [value for _, value in line["points"]] for line in lines}


def test_a_rate_is_what_grew_a_second_over_all_processes() -> None:
    drawing = Drawing(RATE)
    for now, first, second in ((100.0, 10.0, 1.0), (103.0, 16.0, 4.0), (106.0, 0.0, 5.0)):
        drawing.add(
            [
                Sample("x_total", {"a": "b", "service": "one"}, first),
                Sample("x_total", {"a": "b", "service": "two"}, second),
                Sample("x_other", {"a": "b", "service": "two"}, 99.0),
            ],
            now,
        )
    assert drawn(drawing) == {"b": [None, 3.0, None]}  # a process that started anew is a gap


def test_what_appears_between_two_looks_has_grown_from_nothing() -> None:
    drawing = Drawing(RATE)
    drawing.add([], 100.0)
    drawing.add([Sample("x_total", {"a": "b"}, 6.0)], 103.0)
    assert drawn(drawing) == {"b": [2.0]}


def test_a_level_is_the_largest_of_what_was_told() -> None:
    drawing = Drawing(LEVEL)
    drawing.add([Sample("y", {"service": "s"}, 2.0), Sample("y", {"service": "s"}, 7.0)], 1.0)
    assert drawn(drawing) == {"s": [7.0]}


def test_a_percentile_is_of_what_came_since_the_last_look() -> None:
    drawing = Drawing(SLOWEST)
    for now, quick, all_of_them in ((0.0, 1_000.0, 1_000.0), (3.0, 1_000.0, 1_010.0)):
        drawing.add(
            [
                Sample("z_seconds_bucket", {"le": "0.1"}, quick),
                Sample("z_seconds_bucket", {"le": "1.0"}, all_of_them),
                Sample("z_seconds_bucket", {"le": "+Inf"}, all_of_them),
            ],
            now,
        )
    [(name, values)] = drawn(drawing).items()
    assert name == "all"
    assert values[0] is None
    assert values[1] == pytest.approx(0.991)


@pytest.mark.parametrize(
    ("buckets", "expected"),
    [
        ({"1": 0.0, "+Inf": 0.0}, None),
        ({"1": 0.0, "+Inf": 5.0}, 1.0),
        ({"1": 50.0, "2": 100.0, "+Inf": 100.0}, 1.0),
        ({}, None),
    ],
)
def test_a_quantile_lies_inside_its_bucket(
    buckets: dict[str, float], expected: float | None
) -> None:
    assert quantile(0.5, buckets) == expected


def test_a_line_begins_when_there_is_something_to_see() -> None:
    drawing = Drawing(LEVEL)
    drawing.add([Sample("y", {"service": "s"}, 0.0)], 1.0)
    assert not drawn(drawing)
    drawing.add([Sample("y", {"service": "s"}, 1.0)], 2.0)
    drawing.add([Sample("y", {"service": "s"}, 0.0)], 3.0)
    assert drawn(drawing) == {"s": [1.0, 0.0]}


def test_lines_and_points_are_bounded() -> None:
    drawing = Drawing(RATE)
    for now in range(POINTS_MAX + 10):
        drawing.add(
            [Sample("x_total", {"a": str(n)}, now + 1.0) for n in range(LINES_MAX + 5)], float(now)
        )
    lines = drawn(drawing)
    assert len(lines) == LINES_MAX
    assert {len(points) for points in lines.values()} == {POINTS_MAX}


def test_charts_are_about_metrics_and_labels_that_exist() -> None:
    known = {}
    for metric in declared_metrics():
        family = metric.describe()[0]  # type: ignore[attr-defined]
        name = f"{family.name}_total" if family.type == "counter" else family.name
        known[name] = {"service", *metric._labelnames}  # type: ignore[attr-defined]
    for chart in CHARTS:
        if chart.metric.startswith("regua_"):
            assert set(chart.by) <= known[chart.metric], chart.title
