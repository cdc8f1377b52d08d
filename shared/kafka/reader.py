"""A compacted topic, read whole: every partition from its beginning, by every replica.

In: one topic. Out: batches of records (older versions of a key may come first: accept stale
values), and `caught_up` once everything that was there at the start has been handled. Survives
broker restarts; an emptied broker is read from its beginning again.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator

from aiokafka import TopicPartition as RawPartition

from shared.kafka.client import (
    CONNECT_BACKOFF_SECONDS_MAX,
    CONNECT_BACKOFF_SECONDS_MIN,
    ConnectionFailures,
    RawConsumer,
    as_record,
    ask_cluster,
    close_quietly,
    new_reader,
)
from shared.kafka.cluster import Brokers
from shared.kafka.errors import KafkaSilent
from shared.kafka.records import Record

log = logging.getLogger(__name__)

BATCH_RECORDS_MAX = 2_000  # one batch to apply; bounds memory and the time between two yields
WAIT_MS = 200  # how long one poll waits; `stop` is noticed within it
PROBE_INTERVAL_SECONDS = 3.0  # how soon another cluster (an emptied broker) is noticed
PROBE_SECONDS_MAX = 5.0  # one metadata answer
SILENCE_SECONDS_MAX = 180.0  # no sign of life for so long: let the process be restarted


class CompactedReader:
    """Reads one compacted topic for ever. One task iterates over `batches()`."""

    def __init__(
        self, brokers: Brokers, topic: str, *, silence_seconds_max: float = SILENCE_SECONDS_MAX
    ) -> None:
        """Keep the settings; nothing connects before `batches` is iterated. 0 = no watchdog."""
        self._brokers = brokers
        self.topic = topic
        self._silence_seconds_max = silence_seconds_max
        self.caught_up = asyncio.Event()
        self.partitions = 0
        self.cluster_id: str | None = None
        self._stopping = asyncio.Event()
        self._positions: dict[int, int] = {}
        self._goal: dict[int, int] = {}
        self._alive_at = 0.0

    async def stop(self) -> None:
        """End the iteration after the current batch."""
        self._stopping.set()

    async def batches(self) -> AsyncGenerator[list[Record], None]:
        """Yield batches until `stop`; raise `KafkaSilent` when the watchdog's time is up.

        A batch counts as handled when the next one is asked for: `caught_up` is set then.
        """
        loop = asyncio.get_running_loop()
        self._alive_at = loop.time()
        pause = CONNECT_BACKOFF_SECONDS_MIN
        while not self._stopping.is_set():
            raw: RawConsumer | None = None
            try:
                raw = await self._open()
                async for batch in self._read(raw):
                    pause = CONNECT_BACKOFF_SECONDS_MIN
                    yield batch
            except ConnectionFailures as error:
                silent_seconds = loop.time() - self._alive_at
                log.warning(
                    "reading %s failed (%s); trying again", self.topic, type(error).__name__
                )
                if self._silence_seconds_max and silent_seconds > self._silence_seconds_max:
                    msg = f"{self.topic}: no sign of life for {silent_seconds:.0f} s"
                    raise KafkaSilent(msg) from error
            finally:
                if raw is not None:
                    await close_quietly(raw.stop())
            await asyncio.sleep(0 if self._stopping.is_set() else pause)
            pause = min(pause * 2, CONNECT_BACKOFF_SECONDS_MAX)

    async def _open(self) -> RawConsumer:
        """Connect, take all partitions, and go to where we were (the beginning at first)."""
        raw = new_reader(self._brokers)
        try:
            await raw.start()
            await self._take_all(raw)
        except BaseException:
            await close_quietly(raw.stop())
            raise
        return raw

    async def _take_all(self, raw: RawConsumer) -> None:
        answer = await ask_cluster(raw, [self.topic])
        count = answer.partitions.get(self.topic, 0)
        if count == 0:
            msg = f"topic {self.topic} does not exist yet"
            raise ConnectionError(msg)
        if answer.cluster_id != self.cluster_id:
            self._positions.clear()
        self.cluster_id = answer.cluster_id
        self.partitions = count
        targets = [RawPartition(self.topic, number) for number in range(count)]
        raw.assign(targets)
        beginnings = await raw.beginning_offsets(targets)
        ends = await raw.end_offsets(targets)
        for target in targets:
            here = max(self._positions.get(target.partition, 0), beginnings[target])
            # Beyond the end: this log is younger than what we read. Start over.
            here = here if here <= ends[target] else beginnings[target]
            self._positions[target.partition] = here
            raw.seek(target, here)
        if not self.caught_up.is_set():
            self._goal = {target.partition: ends[target] for target in targets}
        self._alive_at = asyncio.get_running_loop().time()

    async def _read(self, raw: RawConsumer) -> AsyncGenerator[list[Record], None]:
        loop = asyncio.get_running_loop()
        probed_at = loop.time()
        while not self._stopping.is_set():
            self._note_progress()
            fetched = await raw.getmany(timeout_ms=WAIT_MS, max_records=BATCH_RECORDS_MAX)
            batch = [as_record(record) for records in fetched.values() for record in records]
            if batch:
                yield batch
                for record in batch:
                    self._positions[record.partition] = record.offset + 1
            if loop.time() - probed_at >= PROBE_INTERVAL_SECONDS:
                probed_at = loop.time()
                async with asyncio.timeout(PROBE_SECONDS_MAX):
                    found = await ask_cluster(raw)
                self._alive_at = loop.time()
                if found.cluster_id != self.cluster_id:
                    log.warning("another Kafka cluster: reading %s from its beginning", self.topic)
                    return

    def _note_progress(self) -> None:
        if not self.caught_up.is_set() and all(
            self._positions[number] >= end for number, end in self._goal.items()
        ):
            self.caught_up.set()
