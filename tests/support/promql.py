"""What an expression of PromQL asks for: its metrics, and the labels it selects and groups by.

In: PromQL as dashboards and rules have it. Out: names. Grafana's own variables are filled in first.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser

INTERVAL = "$__rate_interval"
VARIABLE = re.compile(r"\$\w+")


class Asked(NamedTuple):
    """One selector: the metric, and the labels that it is matched on."""

    metric: str
    labels: frozenset[str]


def parsed(text: str) -> Any:
    """Return the expression; raise `ValueError` when it is none."""
    return promql_parser.parse(VARIABLE.sub("x", text.replace(INTERVAL, "5m")))


def selectors(node: Any) -> Iterator[Asked]:
    """Every selector of an expression."""
    if isinstance(node, promql_parser.VectorSelector):
        matchers = frozenset(matcher.name for matcher in node.matchers.matchers)
        yield Asked(node.name or "", matchers)
    for child in children(node):
        yield from selectors(child)


def groupings(node: Any) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """Every (labels kept, metrics below) of an aggregation."""
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        metrics = frozenset(asked.metric for asked in selectors(node.expr))
        yield frozenset(node.modifier.labels), metrics
    for child in children(node):
        yield from groupings(child)


def children(node: Any) -> Iterator[Any]:
    """The expressions below one."""
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs"):
        child = getattr(node, name, None)
        if child is not None:
            yield child
    yield from getattr(node, "args", None) or ()
