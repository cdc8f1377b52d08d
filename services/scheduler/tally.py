"""What one planning transaction came to, counted once, after its commit.

In: contacts planned, withheld, put off, handed over. Out: the counters of `shared.telemetry`, one
look per kind and batch. Caps are named by their family: their keys are whatever a pack says.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from shared.events.contact import Reason
from shared.telemetry import metrics
from shared.telemetry.labels import VALUES_MAX, Counts, bounded

# Verdicts of rules that let a contact pass; the first other one is what stopped it.
PASSING = frozenset({"pass", "none", "free", "allowed", "lawful", "due", "contact", "planned"})
CAPS = "caps"

_METRICS = {
    "planned": metrics.CONTACTS_PLANNED,
    "handed_over": metrics.CONTACTS_HANDED_OVER,
    "withheld": metrics.CONTACTS_WITHHELD,
    "deferred": metrics.CONTACTS_DEFERRED,
}


class Tally:
    """Counts of one transaction."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def planned(self, channels: Iterable[str]) -> None:
        """Note contacts that were planned."""
        self._counts.update(("planned", channel) for channel in channels)

    def handed_over(self, channel: str) -> None:
        """Note a contact that went to its sender."""
        self._counts["handed_over", channel] += 1

    def withheld(self, reasons: Sequence[Reason]) -> None:
        """Note a contact that was decided against for good."""
        self._counts["withheld", rule_of(reasons)] += 1

    def deferred(self, reasons: Sequence[Reason]) -> None:
        """Note a due contact that was put off."""
        self._counts["deferred", rule_of(reasons)] += 1

    def publish(self) -> None:
        """Count it all; call it once, after the commit."""
        for (kind, label), count in self._counts.items():
            _child(kind, label).inc(count)


def rule_of(reasons: Sequence[Reason]) -> str:
    """Return the rule that decided: the first that let nothing pass, else the last."""
    if not reasons:
        return "unnamed"
    stopped = next((each for each in reasons if each.verdict not in PASSING), reasons[-1])
    family = stopped.rule.partition(".")[0]
    return CAPS if family == CAPS else bounded("rule", stopped.rule)


@lru_cache(len(_METRICS) * VALUES_MAX)
def _child(kind: str, label: str) -> Counts:
    return _METRICS[kind].labels(label)
