"""How long batches and calls take, and what calls come to: children of metrics, bound once.

In: a step (claim, record, store, interpret) with its items and beginning; a provider and a result.
Out: counts. Providers are those that the channel knows; asking for a child costs a look-up.
"""

import time
from functools import lru_cache

from shared.telemetry import metrics
from shared.telemetry.labels import Counts, Observes

CHILDREN_MAX = 512  # providers times results, and to spare
_SECONDS = {
    step: metrics.SENDER_BATCH_SECONDS.labels(step)
    for step in ("claim", "record", "store", "interpret")
}
_ITEMS = {step: metrics.SENDER_BATCH_ITEMS.labels(step) for step in _SECONDS}


def observe_batch(step: str, items: int, began: float) -> None:
    """Note a finished batch; `began` is the monotonic clock in seconds."""
    _SECONDS[step].observe(time.monotonic() - began)
    _ITEMS[step].inc(items)


@lru_cache(CHILDREN_MAX)
def calls(provider: str, result: str) -> Counts:
    """Return the counter of calls to a provider that came to this."""
    return metrics.SENDER_CALLS.labels(provider, result)


@lru_cache(CHILDREN_MAX)
def call_seconds(provider: str) -> Observes:
    """Return the histogram of a provider's calls."""
    return metrics.SENDER_CALL_SECONDS.labels(provider)


@lru_cache(CHILDREN_MAX)
def webhook_seconds(provider: str) -> Observes:
    """Return the histogram of answers to a provider's webhooks."""
    return metrics.SENDER_WEBHOOK_SECONDS.labels(provider)


@lru_cache(CHILDREN_MAX)
def throttle_seconds(provider: str) -> Observes:
    """Return the histogram of waits for permits to call a provider."""
    return metrics.SENDER_THROTTLE_SECONDS.labels(provider)
