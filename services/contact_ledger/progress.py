"""How far the ledger is: what a driver of the stepped clock, or an operator, asks.

In: the offsets that all replicas store with their work, the logs' ends, and what this process
knows besides. Out: monotone counters of this process, and what is pending for all of them (0 when
drained): records that Kafka holds and nobody has recorded, holds not read. Whichever replica is
asked, it says the same. Nothing in the ledger is ever due.
"""

from collections.abc import Mapping

from services.contact_ledger.holds import HoldRecorder
from services.contact_ledger.recorder import Recorder
from services.contact_ledger.store import offsets
from shared.http.server import Progress
from shared.kafka.client import ConnectionFailures
from shared.kafka.ends import LogEnds
from shared.kafka.records import TopicPartition
from shared.postgres import Pool

UNKNOWN_LAG = 1  # the broker does not answer: something may be pending, so nobody jumps ahead
STARTING = Progress(counters={}, pending={"starting": 1})


class ProgressReport:
    """Answers GET /v1/progress."""

    def __init__(self, pool: Pool, ends: LogEnds, recorder: Recorder, holds: HoldRecorder) -> None:
        self._pool = pool
        self._ends = ends
        self._recorder = recorder
        self._holds = holds

    async def progress(self) -> Progress:
        """Ask for the lag first: whatever is recorded meanwhile shows in the counters."""
        recorder, holds = self._recorder, self._holds
        waiting = max(await self._unrecorded(), recorder.in_hand)
        return Progress(
            counters={
                "entries": recorder.entries_total + holds.entries_total,
                "records": recorder.records_total,
            },
            pending={"records": waiting, "holds": int(not holds.caught_up)},
        )

    async def _unrecorded(self) -> int:
        """Records of both topics that no replica has recorded, by the offsets stored with the work.

        Three requests and one small query, whatever the logs hold.
        """
        try:
            # The id first: a cluster that is replaced in between is seen by the next question.
            cluster_id = await self._ends.cluster_id()
            ends = await self._ends.ask()
            unchecked = await self._unchecked(ends)
        except ConnectionFailures:
            cluster_id, ends, unchecked = "", {}, UNKNOWN_LAG
        async with self._pool.acquire() as conn:
            stored = await offsets.recorded(conn)
        return sum(offsets.behind(ends, cluster_id, stored).values()) + unchecked

    async def _unchecked(self, ends: Mapping[TopicPartition, int]) -> int:
        """Partitions just assigned here whose log may be another one, with records that tell."""
        unchecked = self._recorder.unchecked & ends.keys()
        if not unchecked:
            return 0
        firsts = await self._ends.beginnings(unchecked)
        return sum(firsts[target] < ends[target] for target in unchecked)
