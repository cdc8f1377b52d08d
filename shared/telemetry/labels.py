"""Label values that come from configuration, kept from growing without limit; children's types.

In: a label and a value (a rule of a pack, a provider's name). Out: the value, or "other" once the
label has as many as a dashboard can show. Values are names of ours, never a person's. `Counts` and
`Observes` are what bound children of metrics can do.
"""

from typing import Protocol

VALUES_MAX = 64  # of one label in one process
OTHER = "other"

_seen: dict[str, set[str]] = {}


class Counts(Protocol):
    """A counter."""

    def inc(self, amount: float = 1) -> None:
        """Count up."""


class Observes(Protocol):
    """A histogram."""

    def observe(self, amount: float) -> None:
        """Note one value."""


def bounded(label: str, value: str) -> str:
    """Return `value` while the label has few enough values in this process, then "other"."""
    seen = _seen.setdefault(label, set())
    if value in seen:
        return value
    if len(seen) >= VALUES_MAX:
        return OTHER
    seen.add(value)
    return value
