"""What can go wrong on Kafka, as few named errors that every consumer loop treats the same way.

In: raised by this package and by the handlers of records. Out: `Poison` sends one record to the
dead letters, `SlowDown` pauses a partition, the rest ends or restarts the process.
"""


class Poison(Exception):
    """This record can never be handled: bury it and go on. The text must hold no personal data."""


class SlowDown(Exception):
    """Not now: come back after `seconds`. Pause the partitions, keep polling, lose nothing."""

    def __init__(self, reason: str, seconds: float) -> None:
        """Keep why, and how long to wait (seconds)."""
        super().__init__(reason)
        self.seconds = seconds


class StopPartition(Exception):
    """Too many records of one topic were buried: something else is broken; a person must look."""


class PublishFailed(Exception):
    """A batch was not acknowledged in time; some of it may be on the log. Publish it again."""


class KafkaSilent(Exception):
    """The brokers gave no sign of life for longer than the watchdog allows: restart the process."""


class PartitionCountChanged(Exception):
    """A topic has another number of partitions than at its creation: keys would move. Refuse."""

    def __init__(self, topic: str, expected: int, found: int) -> None:
        """Name the topic and both counts."""
        super().__init__(
            f"topic {topic} has {found} partitions but was created with {expected}: "
            "records of one debtor would move to another partition; restore the old count",
        )
        self.topic = topic
        self.expected = expected
        self.found = found
