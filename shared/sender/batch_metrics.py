"""How long batches take in the database, and how large they are.

In: a step (claim, record, store, interpret), the number of items, and when the batch began.
"""

import time

from shared.telemetry import metrics

_SECONDS = {
    step: metrics.SENDER_BATCH_SECONDS.labels(step)
    for step in ("claim", "record", "store", "interpret")
}
_ITEMS = {step: metrics.SENDER_BATCH_ITEMS.labels(step) for step in _SECONDS}


def observe_batch(step: str, items: int, began: float) -> None:
    """Note a finished batch; `began` is the monotonic clock in seconds."""
    _SECONDS[step].observe(time.monotonic() - began)
    _ITEMS[step].inc(items)
