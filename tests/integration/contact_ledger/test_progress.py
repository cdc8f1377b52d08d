"""How far the ledger is, asked of one replica, is how far all of them are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from services.contact_ledger.holds import HoldRecorder
from services.contact_ledger.progress import ProgressReport
from services.contact_ledger.recorder import Recorder
from shared.kafka.ends import LogEnds
from shared.kafka.records import TopicPartition
from shared.postgres import Pool
from tests.support.bus import until
from tests.support.ledger import a_writer
from tests.support.ledger_bus import Bus, lives, wait_for_entries

PEOPLE = 20


class _NoHolds:
    """A reader of holds that has read them all."""

    caught_up, entries_total = True, 0


class Replicas:
    """Two recorders that share the partitions, and what each answers."""

    def __init__(self, first: Recorder, second: Recorder, pool: Pool, ends: LogEnds) -> None:
        self.first, self.second = first, second
        holds = cast("HoldRecorder", _NoHolds())
        self._reports = [ProgressReport(pool, ends, each, holds) for each in (first, second)]

    async def pending(self) -> list[int]:
        """Records that the first and the second replica say are waiting."""
        return [(await each.progress()).pending["records"] for each in self._reports]

    async def idle(self) -> bool:
        """Whether both have partitions and nothing to do."""
        return self.first.caught_up and self.second.caught_up and await self.pending() == [0, 0]


@pytest.fixture
async def ends(bus: Bus) -> AsyncIterator[LogEnds]:
    made = LogEnds(bus.bootstrap, (bus.debts, bus.contacts))
    yield made
    await made.close()


@asynccontextmanager
async def two_replicas(pool: Pool, bus: Bus, ends: LogEnds) -> AsyncIterator[Replicas]:
    async with bus.recording(pool, a_writer()) as first, bus.recording(pool, a_writer()) as second:
        replicas = Replicas(first, second, pool, ends)
        await until(replicas.idle)
        yield replicas


async def test_what_one_replica_has_not_recorded_is_pending_for_the_other(
    pool: Pool, bus: Bus, ends: LogEnds
) -> None:
    debts, _ = lives(PEOPLE)
    async with two_replicas(pool, bus, ends) as replicas:
        theirs = owned_by(replicas.second)
        async with pool.transaction() as conn:
            # The second cannot go on meanwhile: somebody holds the rows of its partitions.
            rows = await conn.fetch(
                "SELECT partition FROM consumed JOIN unnest($1::text[], $2::int[])"
                " AS t (topic, partition) USING (topic, partition) FOR UPDATE",
                [topic for topic, _ in theirs],
                [partition for _, partition in theirs],
            )
            assert len(rows) == len(theirs) == 2
            await bus.publish(bus.debts, debts)
            left = sum(end for target, end in (await ends.ask()).items() if target in theirs)
            assert 0 < left < PEOPLE
            await until(lambda: replicas.first.records_total == PEOPLE - left)
            await until(lambda: replicas.first.caught_up)
            assert await replicas.pending() == [left, left]
        await wait_for_entries(pool, PEOPLE)
        await until(replicas.idle)


@pytest.mark.parametrize("change", ["cluster_id = 'before'", "next_offset = next_offset + 1000000"])
async def test_a_log_that_began_anew_is_pending_for_whoever_does_not_own_it(
    pool: Pool, bus: Bus, ends: LogEnds, change: str
) -> None:
    await bus.publish(bus.debts, lives(PEOPLE)[0])
    async with two_replicas(pool, bus, ends) as replicas:
        [theirs] = [target for target in owned_by(replicas.second) if target[0] == bus.debts]
        await pool.execute(
            f"UPDATE consumed SET {change} WHERE topic = $1 AND partition = $2",  # noqa: S608
            *theirs,
        )
        again = (await ends.ask())[theirs]
        assert again > 0
        assert await replicas.pending() == [again, again]


async def test_a_replica_without_partitions_is_not_pending_for_ever(
    pool: Pool, bus: Bus, ends: LogEnds
) -> None:
    async with (
        two_replicas(pool, bus, ends) as replicas,
        bus.recording(pool, a_writer()) as third,
    ):
        await until(lambda: len(idlers(replicas.first, replicas.second, third)) == 1)
        [idler] = idlers(replicas.first, replicas.second, third)
        report = ProgressReport(pool, ends, idler, cast("HoldRecorder", _NoHolds()))

        async def drained() -> bool:
            return not any((await report.progress()).pending.values())

        await until(drained)


def owned_by(recorder: Recorder) -> set[TopicPartition]:
    return set(recorder._epochs)


def idlers(*recorders: Recorder) -> list[Recorder]:
    """Those without a partition, when the others share all of them."""
    owned = set().union(*(owned_by(each) for each in recorders))
    return [each for each in recorders if not owned_by(each)] if len(owned) == 4 else []
