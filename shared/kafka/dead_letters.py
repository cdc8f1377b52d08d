"""Where records go that nobody can read: `<topic>.dlq`, with why, and never without a limit.

In: a consumed record and the reason. Out: the same key, headers and value on the dead-letter
topic plus `dlq_*` headers, acknowledged before the caller moves on. Beyond the hourly limit
`StopPartition` is raised: a flood of poison means that something else is broken.
"""

from collections import deque
from time import monotonic

from shared.events.topics import dead_letters
from shared.kafka.errors import StopPartition
from shared.kafka.producer import Producer
from shared.kafka.records import Outgoing, Record
from shared.telemetry import metrics

BURIED_PER_HOUR_MAX = 1_000  # more than a bad client makes, less than a broken release
HOUR_SECONDS = 3_600.0
REASON_CHARACTERS_MAX = 500  # a header is for people; longer texts are stack traces


class DeadLetters:
    """Buries records; one per process, shared by its consumers."""

    def __init__(self, producer: Producer, limit_per_hour: int = BURIED_PER_HOUR_MAX) -> None:
        """Keep the producer and the limit (records per topic and hour)."""
        self._producer = producer
        self._limit_per_hour = limit_per_hour
        self._buried: dict[str, deque[float]] = {}
        self.buried_total = 0

    async def bury(self, record: Record, reason: str, error: BaseException | None = None) -> None:
        """Publish `record` to its dead-letter topic and return when it is acknowledged.

        `reason` must hold no personal data (`UnreadableEvent` and `Poison` keep that promise); of
        `error` only the class is kept. Raise `StopPartition` beyond the limit, `PublishFailed`
        when the brokers do not answer: then do not move the offset.
        """
        times = self._buried.setdefault(record.topic, deque())
        now = monotonic()
        while times and now - times[0] > HOUR_SECONDS:
            times.popleft()
        if len(times) >= self._limit_per_hour:
            msg = f"{self._limit_per_hour} records of {record.topic} were unreadable within an hour"
            raise StopPartition(msg)
        await self._producer.publish([_letter(record, reason, error)])
        times.append(now)
        self.buried_total += 1
        metrics.DEAD_LETTERS.labels(record.topic).inc()


def _letter(record: Record, reason: str, error: BaseException | None) -> Outgoing:
    headers = [each for each in record.headers.items() if not each[0].startswith("dlq_")]
    headers += [
        ("dlq_topic", record.topic.encode()),
        ("dlq_partition", str(record.partition).encode()),
        ("dlq_offset", str(record.offset).encode()),
        ("dlq_reason", reason[:REASON_CHARACTERS_MAX].encode()),
        ("dlq_error", type(error).__name__.encode() if error is not None else b""),
    ]
    return Outgoing(
        dead_letters(record.topic),
        record.key or "",
        headers,
        # A tombstone stays one: dead letters are not compacted.
        record.value,
    )
