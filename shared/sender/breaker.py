"""A circuit breaker per account: a provider in trouble gets a probe now and then, not the queue.

In: what each call came to, and the process's monotonic clock. Out: whether calls may be made, and
for how long not. Work that finds it open is handed back without spending an attempt.
"""

import random

FAILURES_TO_OPEN = 5  # in a row: an account with a wrong secret burns no more than this
OPEN_SECONDS_FIRST = 5.0  # the pause before the first probe; it doubles with every failed probe
OPEN_SECONDS_MAX = 60.0


class Breaker:
    """State of one account as one process sees it; times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0
        self._pause_seconds = OPEN_SECONDS_FIRST
        self._tripped = False
        self._probing = False

    def shut_for(self, now: float) -> float:
        """Return for how many seconds no call may be made (0: go ahead)."""
        return max(0.0, self._open_until - now) if self._tripped else 0.0

    def room(self, now: float, wanted: int) -> int:
        """Return how many of `wanted` calls may be made: all, none, or one probe."""
        if not self._tripped:
            return wanted
        if self._probing or now < self._open_until:
            return 0
        return min(1, wanted)

    def probing(self) -> None:
        """Note that the one probe is on its way."""
        self._probing = self._tripped

    def abandon_probe(self) -> None:
        """Note that no call came of the probe after all (its task was not claimed)."""
        self._probing = False

    def succeeded(self) -> None:
        """A call was answered as providers in health answer."""
        self._failures = 0
        self._tripped = self._probing = False
        self._pause_seconds = OPEN_SECONDS_FIRST

    def failed(self, now: float) -> None:
        """A call failed in a way that the next one would, too."""
        self._failures += 1
        if self._failures < FAILURES_TO_OPEN and not self._tripped:
            return
        if self._tripped and not self._probing:
            return  # a call from before it opened
        if self._tripped:
            self._pause_seconds = min(self._pause_seconds * 2, OPEN_SECONDS_MAX)
        self._tripped, self._probing = True, False
        # Jitter: replicas must not all probe at the same instant.
        self._open_until = now + self._pause_seconds * random.uniform(0.8, 1.2)  # noqa: S311

    @property
    def is_open(self) -> bool:
        """Whether it stands open (for readiness and metrics)."""
        return self._tripped
