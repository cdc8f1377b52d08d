"""Recording from a real Kafka: once in effect, whatever is redelivered, emptied or unreadable."""

import asyncio
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from services.contact_ledger.holds import HoldRecorder
from services.contact_ledger.progress import ProgressReport
from services.contact_ledger.store import offsets
from shared.events.debt import PaymentReceived
from shared.events.envelope import Envelope, encode
from shared.events.hold import CompleteThrough, Hold, subject_of
from shared.events.topics import dead_letters
from shared.kafka import admin
from shared.kafka.ends import LogEnds
from shared.kafka.reader import CompactedReader
from shared.postgres import Pool
from tests.support.bus import until
from tests.support.ledger import NOW, TENANT, Debtor, a_writer, an_envelope
from tests.support.ledger_bus import Bus, entries, envelope_of, lives, wait_for_entries


async def test_everything_published_is_recorded_once(pool: Pool, bus: Bus) -> None:
    debts, contacts = lives(100)
    await bus.publish(bus.debts, debts)
    await bus.publish(bus.contacts, [*contacts, *contacts[:50]])
    async with bus.recording(pool, a_writer()) as recorder:
        await wait_for_entries(pool, 600)
        await until(lambda: recorder.caught_up)
    assert recorder.entries_total == 600
    assert recorder.records_total == 650
    states = await pool.fetch("SELECT state, count(*) FROM contact GROUP BY state")
    assert [tuple(row) for row in states] == [(80, 100)]
    stored = await pool.fetch("SELECT topic, partition, next_offset FROM consumed")
    ends = await admin.end_offsets(bus.bootstrap, [bus.debts, bus.contacts])
    assert {(row["topic"], row["partition"]): row["next_offset"] for row in stored} == ends


async def test_it_resumes_where_the_database_says(pool: Pool, bus: Bus) -> None:
    debts, contacts = lives(20)
    writer = a_writer()
    await bus.publish(bus.debts, debts)
    async with bus.recording(pool, writer):
        await wait_for_entries(pool, 20)
    await bus.publish(bus.contacts, contacts)
    async with bus.recording(pool, writer) as recorder:
        await wait_for_entries(pool, 120)
        await until(lambda: recorder.caught_up)
    assert recorder.records_total == 100  # not one of the debts was recorded again


async def test_another_clusters_offsets_mean_the_beginning(pool: Pool, bus: Bus) -> None:
    debts, _ = lives(20)
    writer = a_writer()
    await bus.publish(bus.debts, debts)
    async with bus.recording(pool, writer):
        await wait_for_entries(pool, 20)
    await pool.execute("UPDATE consumed SET cluster_id = 'the one before'")
    async with bus.recording(pool, writer) as recorder:
        await until(lambda: recorder.records_total == 20)
    assert await entries(pool) == 20


@pytest.mark.parametrize("skew", [0, 1_000_000], ids=["other record", "beyond the end"])
async def test_a_log_emptied_behind_its_name_is_read_from_its_beginning(
    pool: Pool, bus: Bus, skew: int
) -> None:
    debts, _ = lives(20)
    writer = a_writer()
    await bus.publish(bus.debts, debts[:10])
    async with bus.recording(pool, writer):
        await wait_for_entries(pool, 10)
    # What the ledger remembers now belongs to a log that is gone.
    await pool.execute(
        "UPDATE consumed SET last_event_id = gen_random_uuid(), next_offset = next_offset + $1 "
        "WHERE next_offset > 0",
        skew,
    )
    await bus.publish(bus.debts, debts[10:])
    async with bus.recording(pool, writer) as recorder:
        await wait_for_entries(pool, 20)
        await until(lambda: recorder.records_total == 20)


async def test_what_nobody_can_read_is_buried_and_the_rest_recorded(pool: Pool, bus: Bus) -> None:
    debts, _ = lives(30)
    debts[3] = msgspec.structs.replace(debts[3], type="debt.unheard_of.v1")
    debts[7] = msgspec.structs.replace(debts[7], data=b"{")
    await bus.publish(bus.debts, debts)
    async with bus.recording(pool, a_writer()) as recorder:
        await wait_for_entries(pool, 28)
        await until(lambda: recorder.caught_up)
    letters = await admin.end_offsets(bus.bootstrap, [dead_letters(bus.debts)])
    assert sum(letters.values()) == 2
    assert not recorder.stopped_partitions


async def test_a_value_that_only_the_database_refuses_is_found_and_buried(
    pool: Pool, bus: Bus
) -> None:
    await pool.execute("ALTER TABLE payment ADD CHECK (amount <> 666)")
    debtors = [Debtor() for _ in range(30)]
    facts = [
        d.paid(NOW + timedelta(minutes=i), 666 if i == 13 else i) for i, d in enumerate(debtors)
    ]
    await bus.publish(bus.debts, [envelope_of(fact) for fact in facts])
    async with bus.recording(pool, a_writer()) as recorder:
        await wait_for_entries(pool, 29)
        await until(lambda: recorder.caught_up)
    letters = await admin.end_offsets(bus.bootstrap, [dead_letters(bus.debts)])
    assert sum(letters.values()) == 1


async def test_a_flood_of_poison_stops_its_partition_only(pool: Pool, bus: Bus) -> None:
    garbage = an_envelope(
        "debt.unheard_of.v1",
        Debtor().event(PaymentReceived, NOW, amount=1, currency="BRL", paid_at=NOW),
    )
    _, contacts = lives(5)
    await bus.publish(bus.debts, [garbage] * 10)
    await bus.publish(bus.contacts, contacts)
    async with bus.recording(pool, a_writer(), buried_max=3) as recorder:
        await wait_for_entries(pool, 25)
        await until(lambda: len(recorder.stopped_partitions) == 1)
    async with pool.acquire() as conn:
        stored = await offsets.recorded(conn)
    (stopped,) = recorder.stopped_partitions
    assert stopped[0] == bus.debts
    assert stored[stopped].next_offset == 0  # nothing of it is lost: it waits


async def test_a_former_owner_cannot_commit(pool: Pool) -> None:
    target = ("debt.events.v1", 0)
    async with pool.transaction() as conn:
        before = (await offsets.take_over(conn, "c", [target]))[target]
    async with pool.transaction() as conn:
        await offsets.take_over(conn, "c", [target])
    stale = offsets.Position(next_offset=5, last_event_id=None, epoch=before.epoch)
    with pytest.raises(offsets.Fenced):
        async with pool.transaction() as conn:
            await offsets.advance(conn, {target: stale})
    async with pool.acquire() as conn:
        assert await offsets.recorded(conn) == {target: ("c", 0)}


async def test_the_database_may_be_away_for_a_while(pool: Pool, bus: Bus) -> None:
    debts, _ = lives(50)
    async with bus.recording(pool, a_writer()) as recorder:
        await until(lambda: recorder.caught_up)
        await bus.publish(bus.debts, debts[:25])
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND application_name = 'contact_ledger'"
        )
        await bus.publish(bus.debts, debts[25:])
        await wait_for_entries(pool, 50)


def a_hold(scope: str, name: str, *, version: int = 1, state: str = "active") -> Envelope:
    debtor = Debtor()
    hold = Hold(
        hold_id=debtor.debt_id,
        tenant_id=TENANT,
        scope=scope,
        subject=subject_of(scope, TENANT, name),
        reason="dispute",
        version=version,
        state=state,
        placed_at=NOW,
    )
    return an_envelope("hold.changed.v1", hold)


async def test_each_version_of_a_hold_is_recorded_once(pool: Pool, bus: Bus) -> None:
    debtor = Debtor()
    first = a_hold("debt", str(debtor.debt_id))
    hold = msgspec.json.decode(first.data, type=Hold)
    lift = msgspec.structs.replace(hold, version=2, state="lifted", lifted_at=NOW)
    second = msgspec.structs.replace(
        first, id=debtor.debtor_id, data=encode(lift), time=NOW + timedelta(hours=1)
    )
    # Published again after a broker lost its log: same version, another time.
    again = msgspec.structs.replace(second, time=NOW + timedelta(days=1))
    mark = an_envelope("hold.complete_through.v1", CompleteThrough(at=NOW))
    unreadable = msgspec.structs.replace(first, data=b"{", key="other")
    wide = a_hold("tenant", "")
    await bus.publish(bus.holds, [first, mark, unreadable, second, again, wide])
    writer = a_writer()
    for _ in range(2):  # read whole at each start
        stop = asyncio.Event()
        recorder = HoldRecorder(
            pool=pool, reader=CompactedReader(bus.bootstrap, bus.holds), writer=writer
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run(stop))
            await until(partial(getattr, recorder, "caught_up"))
            stop.set()
    rows = await pool.fetch("SELECT debtor_id, debt_id FROM entry ORDER BY event_time, debt_id")
    assert [tuple(row) for row in rows] == [
        (None, debtor.debt_id),
        (None, None),
        (None, debtor.debt_id),
    ]
    held = await pool.fetch("SELECT state, version FROM hold ORDER BY version")
    assert [tuple(row) for row in held] == [("active", 1), ("lifted", 2)]


async def test_records_in_kafka_are_pending_before_anybody_fetched_them(
    pool: Pool, bus: Bus
) -> None:
    """A recorder that has caught up knows what it fetched; the logs know what is left."""
    ends = LogEnds(bus.bootstrap, (bus.debts, bus.contacts))
    reader = HoldRecorder(
        pool=pool, reader=CompactedReader(bus.bootstrap, bus.holds), writer=a_writer()
    )
    await bus.publish(bus.debts, lives(7)[0])
    async with bus.recording(pool, a_writer()) as recorder:
        await until(lambda: recorder.records_total == 7 and recorder.caught_up)
        report = ProgressReport(pool, ends, recorder, reader)
        assert (await report.progress()).pending["records"] == 0
    await bus.publish(bus.debts, lives(5)[0])
    assert (recorder.in_hand, recorder.caught_up) == (0, True)
    assert (await report.progress()).pending["records"] == 5
    await ends.close()

    silent = ProgressReport(pool, LogEnds("127.0.0.1:1", (bus.debts,)), recorder, reader)
    assert (await silent.progress()).pending["records"] == 1
