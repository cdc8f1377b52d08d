"""Kills and clocks: a claim without an outcome is never sent again, and never silent."""

from datetime import timedelta

import asyncpg

from deploy.local import databases
from tests.support.bus import until
from tests.support.contacts import a_permit, a_task, now
from tests.support.sending import Stage
from tests.support.wire import Script

# Start, call and grace of a sender with the stage's one-second time-outs.
SWEPT_SECONDS_MAX = 40.0


async def test_a_kill_between_claim_and_outcome_ends_unknown_and_is_never_sent_again(
    stage: Stage,
) -> None:
    tasks, later = [a_task() for _ in range(5)], a_task()
    stage.provider.scripts = [Script(hang=True) for _ in tasks]
    async with stage.spawned() as process:
        await stage.dispatch(*tasks)
        await until(lambda: len(stage.provider.requests) == len(tasks))
        process.kill()
        await process.wait()
    assert [await stage.states(task) for task in tasks] == [["CLAIMED"]] * len(tasks)
    async with stage.running():
        await stage.dispatch(*tasks)  # as Kafka would deliver them again
        await stage.dispatch(later)
        await stage.fact(later, "accepted")
        assert (await stage.progress())["pending"]["claims_abandoned"] >= 0
        await until(lambda: _all_unknown(stage, len(tasks)), SWEPT_SECONDS_MAX)
        for task in tasks:
            unknown = await stage.fact(task, "unknown")
            assert unknown.error == "no_outcome"
            assert unknown.resolve_by == task.permit.not_after + timedelta(hours=24)
    assert len(stage.provider.requests) == len(tasks) + 1


async def test_refusals_survive_a_kill_and_are_tried_by_the_next_process(stage: Stage) -> None:
    task = a_task()
    stage.provider.scripts = [
        Script(status=429, body=b'{"code": 20429}', headers={"Retry-After": "2"})
    ]
    async with stage.spawned() as process:
        await stage.dispatch(task)
        await until(lambda: _waiting_retries(stage))
        process.kill()
        await process.wait()
    async with stage.running():
        accepted = await stage.fact(task, "accepted")
    assert accepted.n == 2


async def test_an_unknown_without_evidence_becomes_final_on_its_date(stage: Stage) -> None:
    await databases.set_mode(stage.database, "sandbox")
    start = now()
    await _set_law(stage, start.isoformat())
    task = a_task(permit=a_permit(not_before=start - timedelta(hours=1)))
    stage.provider.scripts = [Script(status=500)]
    async with stage.running(MODE="sandbox"):
        await stage.dispatch(task)
        unknown = await stage.fact(task, "unknown")
        progress = await stage.progress()
        assert progress["next_due"].startswith(unknown.resolve_by.isoformat()[:19])
        await _set_law(stage, (unknown.resolve_by + timedelta(minutes=1)).isoformat())
        final = await stage.fact(task, "unknown_final")
        # The day ahead has a partition although nobody waited for its upkeep.
        at = unknown.resolve_by
        tomorrow = a_task(
            permit=a_permit(not_before=at - timedelta(hours=1), not_after=at + timedelta(hours=30))
        )
        await stage.dispatch(tomorrow)
        await stage.fact(tomorrow, "accepted")
    assert final.at > unknown.resolve_by
    assert await stage.states(task) == ["UNKNOWN_FINAL"]


async def _all_unknown(stage: Stage, count: int) -> bool:
    rows = await stage.rows("SELECT 1 FROM attempt WHERE state = 'UNKNOWN'")
    return len(rows) == count


async def _waiting_retries(stage: Stage) -> bool:
    return bool(await stage.rows("SELECT 1 FROM retry"))


async def _set_law(stage: Stage, instant: str) -> None:
    connection = await asyncpg.connect(stage.database.admin_url)
    try:
        await connection.execute(f"SELECT platform.set_law_now('{instant}')")
    finally:
        await connection.close()
