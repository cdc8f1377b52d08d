"""The few forms of PromQL that dashboards are made of.

In: metric names and labels. Out: expressions. Figures that every replica sees alike (lag, outboxes,
the database) are taken once, by their maximum; what each replica counts for itself is summed.
"""

WINDOW = "[$__rate_interval]"


def per_second(metric: str, by: str = "", where: str = "") -> str:
    """Return the rate of a counter, summed over replicas."""
    return f"sum{_by(by)} (rate({metric}{_where(where)}{WINDOW}))"


def quantile(of: float, histogram: str, by: str = "", where: str = "") -> str:
    """Return a quantile of a histogram; `histogram` is its name without `_bucket`."""
    labels = f"le, {by}" if by else "le"
    rate = f"sum by ({labels}) (rate({histogram}_bucket{_where(where)}{WINDOW}))"
    return f"histogram_quantile({of:g}, {rate})"


def once(gauge: str, by: str = "", where: str = "") -> str:
    """Return what every replica sees alike."""
    return f"max{_by(by)} ({gauge}{_where(where)})"


def total(gauge: str, by: str = "", where: str = "") -> str:
    """Return what replicas hold together."""
    return f"sum{_by(by)} ({gauge}{_where(where)})"


def ratio(part: str, whole: str) -> str:
    """Return one expression by another."""
    return f"{part} / {whole}"


def in_an_hour(counter: str, by: str = "", where: str = "") -> str:
    """Return how much a counter grew within an hour."""
    return f"sum{_by(by)} (increase({counter}{_where(where)}[1h]))"


def in_a_day(counter: str, by: str = "", where: str = "") -> str:
    """Return how much a counter grew within 24 hours."""
    return f"sum{_by(by)} (increase({counter}{_where(where)}[24h]))"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""


def _where(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""
