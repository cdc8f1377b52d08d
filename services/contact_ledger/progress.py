"""How far the ledger is: what a driver of the stepped clock, or an operator, asks.

In: the recorders and the logs' ends. Out: monotone counters and what is pending (0 when drained):
records that Kafka holds and the ledger does not, holds not read. Nothing in the ledger is ever due.
"""

from services.contact_ledger.holds import HoldRecorder
from services.contact_ledger.recorder import Recorder
from services.contact_ledger.store import offsets
from shared.http.server import Progress
from shared.kafka.client import ConnectionFailures
from shared.kafka.ends import LogEnds
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
        lag = await self._lag()
        # A log that was replaced ends before the stored offset: then only the recorder knows.
        waiting = max(lag, recorder.in_hand, int(not recorder.caught_up))
        return Progress(
            counters={
                "entries": recorder.entries_total + holds.entries_total,
                "records": recorder.records_total,
            },
            pending={"records": waiting, "holds": int(not holds.caught_up)},
        )

    async def _lag(self) -> int:
        """Records of both topics that are not recorded yet, by the offsets stored with the work."""
        try:
            ends = await self._ends.ask()
        except ConnectionFailures:
            return UNKNOWN_LAG
        async with self._pool.acquire() as conn:
            stored = await offsets.positions(conn)
        return sum(max(0, end - stored.get(target, 0)) for target, end in ends.items())
