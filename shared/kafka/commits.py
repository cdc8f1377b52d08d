"""Offsets told to Kafka, for its lag metrics only: at most once a second, and at revocation.

In: the next offset per partition, as work is done. Out: bounded commits that never fail the caller:
the offsets that count are stored with the work, and redelivery is harmless.
"""

import asyncio
import logging
from collections.abc import Mapping

from aiokafka import TopicPartition as RawPartition

from shared.kafka.client import ConnectionFailures, RawConsumer
from shared.kafka.records import TopicPartition

log = logging.getLogger(__name__)

COMMIT_SECONDS_MAX = 3.0  # nothing waits longer for a commit


class Commits:
    """What was noted and not yet sent, of one group member."""

    def __init__(self, interval_seconds: float) -> None:
        """Send at most once per `interval_seconds`."""
        self._interval_seconds = interval_seconds
        self._noted: dict[TopicPartition, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._sent_at = 0.0

    def note(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember the next offset per partition."""
        self._noted.update(offsets)

    def keep_only(self, partitions: frozenset[TopicPartition]) -> None:
        """Forget partitions that are not ours any more."""
        self._noted = {k: offset for k, offset in self._noted.items() if k in partitions}

    def clear(self) -> None:
        """Forget everything: the log they belong to is gone."""
        self._noted = {}

    def send_when_due(self, raw: RawConsumer) -> None:
        """Send in the background when there is something and the interval has passed."""
        loop = asyncio.get_running_loop()
        if not self._noted or loop.time() - self._sent_at < self._interval_seconds:
            return
        if self._sending is None or self._sending.done():
            self._sent_at = loop.time()
            self._sending = loop.create_task(self.send(raw))

    async def send(self, raw: RawConsumer) -> None:
        """Send what is noted and still ours; log and drop what Kafka refuses."""
        owned = raw.assignment()
        noted = {RawPartition(*target): offset for target, offset in self._noted.items()}
        self._noted = {}
        offsets = {target: offset for target, offset in noted.items() if target in owned}
        if not offsets:
            return
        try:
            async with asyncio.timeout(COMMIT_SECONDS_MAX):
                await raw.commit(offsets)
        except ConnectionFailures as error:
            # Membership changed, or the brokers are away. Old offsets must not be sent again.
            log.info("offsets not committed (%s)", type(error).__name__)
