"""A group member that hands out whole batches; offsets live with the work, not in Kafka.

In: topics and two callbacks: `on_assigned` says from which offsets to go on (it reads them where
the work is stored), `on_revoked` lets work in flight end. Out: `fetch`, whole batches per
partition. Broker failures are logged and survived; `KafkaSilent` ends a loop that survives nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from aiokafka import TopicPartition as RawPartition

from shared.kafka.client import (
    CONNECT_BACKOFF_SECONDS_MAX,
    CONNECT_BACKOFF_SECONDS_MIN,
    ConnectionFailures,
    ConsumerSettings,
    RawConsumer,
    as_record,
    ask_cluster,
    attempt_until,
    close_quietly,
    listener,
    new_group_consumer,
)
from shared.kafka.cluster import Brokers
from shared.kafka.commits import Commits
from shared.kafka.errors import KafkaSilent
from shared.kafka.records import Record, TopicPartition
from shared.kafka.traffic import count_assigned, count_fetched

log = logging.getLogger(__name__)

REVOKE_SECONDS_MAX = 5.0  # how long a rebalance waits for work in flight; claims stay safe anyway
ASSIGN_SECONDS_MAX = 30.0  # a database restarts within it; longer means a fault of the program
PROBE_INTERVAL_SECONDS = 3.0  # how soon another cluster (an emptied broker) is noticed
PROBE_SECONDS_MAX = 5.0  # one metadata answer
FETCH_GRACE_SECONDS = 5.0  # a rebalance may hold a fetch beyond its wait; then it returns empty

OnAssigned = Callable[[frozenset[TopicPartition]], Awaitable[Mapping[TopicPartition, int] | None]]
OnRevoked = Callable[[frozenset[TopicPartition]], Awaitable[None]]


class GroupConsumer:
    """One member of a consumer group (range assignor). One task calls `fetch` in a loop."""

    def __init__(
        self,
        brokers: Brokers,
        group: str,
        topics: Sequence[str],
        settings: ConsumerSettings | None = None,
    ) -> None:
        """Keep the settings; `start` connects."""
        self._brokers = brokers
        self._group = group
        self._topics = list(topics)
        self._settings = settings or ConsumerSettings()
        self._raw: RawConsumer | None = None
        self._on_assigned: OnAssigned | None = None
        self._on_revoked: OnRevoked | None = None
        self._adopted = False
        self._assigned = False
        self._mine: frozenset[TopicPartition] = frozenset()
        self._unread: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._read_to: dict[TopicPartition, int] = {}
        self._commits = Commits(self._settings.commit_interval_seconds)
        self._not_told_since: float | None = None
        self._alive_at = 0.0
        self._probed_at = 0.0
        self._pause_seconds = CONNECT_BACKOFF_SECONDS_MIN
        self.cluster_id: str | None = None
        self.generation = 0

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """What this member owns now (empty during a rebalance)."""
        return self._mine if self._adopted else frozenset()

    async def start(
        self, on_assigned: OnAssigned | None = None, on_revoked: OnRevoked | None = None
    ) -> None:
        """Join the group.

        `on_assigned(partitions)` is awaited inside `fetch`, before the first record of a new
        assignment; it returns the next offset to read per partition (missing ones go on from the
        group's last commit, or the beginning). When it raises (a database that is away) it is
        asked again by the next `fetch`, and after 30 s of failures `fetch` raises its error.
        `on_revoked(partitions)` is awaited by the rebalance, at most 5 s, while `fetch`'s caller
        may still be at work. When `cluster_id` changed (an emptied broker) both are called, in
        this order, and missing offsets are the beginning.
        """
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        await attempt_until(self._connect, self._settings.start_seconds_max)
        self._alive_at = asyncio.get_running_loop().time()

    async def fetch(
        self, max_records: int | None, wait_ms: int
    ) -> dict[TopicPartition, list[Record]]:
        """Return what is there, at most `max_records`, waiting up to `wait_ms` for the first.

        Empty means: nothing now (idle, rebalancing, or the brokers are away). Raise `KafkaSilent`
        when the watchdog's time is up, and the error of an `on_assigned` that fails for 30 s.
        """
        try:
            raw = self._raw
            if raw is None:
                raw = await self._connect()
            await self._probe(raw)
            if self._assigned and not self._adopted and not await self._adopt(raw):
                return {}
            batches = await self._poll(raw, max_records, wait_ms)
            self._commits.send_when_due(raw)
        except ConnectionFailures as error:
            await self._survive(error)
            return {}
        count_fetched(batches)
        return batches

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read `partition` from `offset` next; ignored when it is not ours."""
        if self._raw is not None and (topic, partition) in self.partitions:
            self._raw.seek(RawPartition(topic, partition), offset)

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch nothing from these until `resume`; kept across rebalances."""
        self._paused.update(partitions)
        self._apply_pauses()

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Fetch from these again."""
        resumed = self._paused.intersection(partitions)
        self._paused -= resumed
        if self._raw is not None:
            self._raw.resume(*(RawPartition(*each) for each in resumed & self.partitions))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note the next offset per partition; sent at most once a second, for lag metrics.

        Never raises: the offsets that count are stored with the work. Offsets beyond what this
        assignment read are left out: they belong to a log that is gone.
        """
        self._commits.note(
            {t: offset for t, offset in offsets.items() if offset <= self._read_to.get(t, 0)}
        )
        if self._raw is not None:
            self._commits.send_when_due(self._raw)

    async def stop(self) -> None:
        """Commit what is noted, leave the group, close."""
        raw, self._raw = self._raw, None
        if raw is not None:
            await self._commits.send(raw)
            await close_quietly(raw.stop())

    async def _connect(self) -> RawConsumer:
        raw = new_group_consumer(self._brokers, self._group, self._settings)
        self._adopted = self._assigned = False
        raw.subscribe(self._topics, listener=listener(self._revoked, self._reassigned))
        try:
            await raw.start()
            self.cluster_id = (await ask_cluster(raw)).cluster_id
        except BaseException:
            await close_quietly(raw.stop())
            raise
        self._raw = raw
        return raw

    async def _revoked(self) -> None:
        """Rebalance, first half: runs in aiokafka's coordinator, beside the caller of `fetch`."""
        self._assigned = False
        self._unread.clear()
        await self._let_go()
        if self._raw is not None:
            await self._commits.send(self._raw)

    async def _let_go(self) -> None:
        mine, self._mine = self._mine, frozenset()
        adopted, self._adopted = self._adopted, False
        if adopted and mine and self._on_revoked is not None:
            try:
                await asyncio.wait_for(self._on_revoked(mine), REVOKE_SECONDS_MAX)
            except Exception:
                log.exception("work in flight did not end before its partitions went")

    def _reassigned(self) -> None:
        """Rebalance, second half: nothing is read before the next `fetch` has adopted it."""
        self._assigned = True

    async def _adopt(self, raw: RawConsumer) -> bool:
        """Ask where to go on, and go there; False when that could not be told now."""
        assigned = raw.assignment()
        mine = frozenset((each.topic, each.partition) for each in assigned)
        offsets: Mapping[TopicPartition, int] = {}
        if self._on_assigned is not None and mine:
            try:
                offsets = await self._on_assigned(mine) or {}
            except Exception as error:  # noqa: BLE001 - raised after 30 s
                await self._not_told(error)
                return False
        self._not_told_since = None
        if not self._assigned or raw.assignment() != assigned:
            return False  # another rebalance began meanwhile: the next fetch asks again
        self._read_to.clear()
        for target in mine:
            offset = offsets.get(target, self._unread.get(target))
            if offset is not None:
                raw.seek(RawPartition(*target), offset)
                self._read_to[target] = offset
        self._unread.clear()
        self._commits.keep_only(mine)
        self._mine = mine
        self._adopted = True
        self.generation += 1
        count_assigned(self._group)
        self._apply_pauses()
        return True

    async def _not_told(self, error: Exception) -> None:
        """Bear with a store that is away; a fault of the program ends the loop after a while."""
        now = asyncio.get_running_loop().time()
        since = self._not_told_since = self._not_told_since or now
        if now - since > ASSIGN_SECONDS_MAX:
            raise error
        log.warning("no offsets for the new assignment (%s)", type(error).__name__)
        await asyncio.sleep(self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, CONNECT_BACKOFF_SECONDS_MAX)

    async def _poll(
        self, raw: RawConsumer, max_records: int | None, wait_ms: int
    ) -> dict[TopicPartition, list[Record]]:
        try:
            async with asyncio.timeout(wait_ms / 1000 + FETCH_GRACE_SECONDS):
                fetched = await raw.getmany(timeout_ms=wait_ms, max_records=max_records)
        except TimeoutError:
            return {}  # a rebalance is under way
        self._pause_seconds = CONNECT_BACKOFF_SECONDS_MIN
        batches = {
            (target.topic, target.partition): [as_record(record) for record in records]
            for target, records in fetched.items()
        }
        if not self._adopted:
            # Assigned while we waited: these were read from a place nobody confirmed yet.
            for target, records in batches.items():
                self._unread.setdefault(target, records[0].offset)
            return {}
        for target, records in batches.items():
            self._read_to[target] = records[-1].offset + 1
        return batches

    async def _probe(self, raw: RawConsumer) -> None:
        """Ask for a sign of life now and then; a new cluster id means the log was emptied."""
        now = asyncio.get_running_loop().time()
        if now - self._probed_at < PROBE_INTERVAL_SECONDS:
            return
        self._probed_at = now
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            found = (await ask_cluster(raw)).cluster_id
        self._alive_at = now
        if found == self.cluster_id:
            return
        log.warning("the Kafka cluster is another one: reading from the beginning")
        self.cluster_id = found
        mine = self._mine
        await self._let_go()
        self._commits.clear()
        self._read_to.clear()
        self._unread = dict.fromkeys(mine, 0)

    async def _survive(self, error: Exception) -> None:
        """Log, pause, and after half the watchdog's time start over with a new connection."""
        loop = asyncio.get_running_loop()
        silent_seconds = loop.time() - self._alive_at
        limit = self._settings.silence_seconds_max
        log.warning("Kafka failed (%s); trying again", type(error).__name__)
        if limit and silent_seconds > limit:
            msg = f"no sign of life from the brokers for {silent_seconds:.0f} s"
            raise KafkaSilent(msg) from error
        await asyncio.sleep(self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, CONNECT_BACKOFF_SECONDS_MAX)
        raw = self._raw
        if raw is not None and (_is_dead(raw) or (limit and silent_seconds > limit / 2)):
            self._raw = None
            await self._let_go()
            await close_quietly(raw.stop())

    def _apply_pauses(self) -> None:
        held = self._paused & self.partitions
        if self._raw is not None and held:
            self._raw.pause(*(RawPartition(*each) for each in held))


def _is_dead(raw: RawConsumer) -> bool:
    """Say whether aiokafka's background tasks ended: such a consumer never reads again."""
    tasks = (("_coordinator", "_coordination_task"), ("_fetcher", "_fetch_task"))
    running = [getattr(getattr(raw, owner, None), task, None) for owner, task in tasks]
    return any(task is not None and task.done() for task in running)
