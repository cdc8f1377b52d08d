"""Which offsets may move: a record's ticket is settled when a row or a fact carries its fate.

In: fetched records. Out: tickets, and per partition the next offset that may be noted.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from shared.kafka.records import Record, TopicPartition
from shared.sender.attempts import Ticket


class Tickets:
    """Which offsets may move: per partition, the settled records at the front of the line.

    `next` is the next offset of every partition that is ours.
    """

    def __init__(self) -> None:
        self._lines: dict[TopicPartition, deque[Ticket]] = {}
        self.next: dict[TopicPartition, int] = {}

    def begin(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Take over partitions from these offsets."""
        self._lines.clear()
        self.next = dict(offsets)

    def issue(self, record: Record) -> Ticket:
        """Return the ticket of a fetched record."""
        partition = (record.topic, record.partition)
        ticket = Ticket(partition, record.offset)
        self._lines.setdefault(partition, deque()).append(ticket)
        return ticket

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset of each partition whose front was settled since the last call."""
        moved: dict[TopicPartition, int] = {}
        for partition, line in self._lines.items():
            while line and line[0].settled:
                moved[partition] = line.popleft().offset + 1
        self.next.update(moved)
        return moved

    def forget(self, partitions: Iterable[TopicPartition]) -> None:
        """Drop the lines of partitions that are not ours any more."""
        for partition in partitions:
            self._lines.pop(partition, None)
            self.next.pop(partition, None)
