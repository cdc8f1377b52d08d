"""Stop means stop: holds, lifts, stale feeds, windows, and requests to close."""

from datetime import timedelta

import asyncpg

from shared.events.hold import subject_of
from tests.support.bus import until
from tests.support.contacts import TENANT, a_hold, a_permit, a_task, now
from tests.support.sending import Stage
from tests.support.wire import Script, is_ready


async def test_a_held_task_is_cancelled_and_says_why(stage: Stage) -> None:
    task, free = a_task(), a_task()
    hold = a_hold(task.subjects[3])
    async with stage.running():
        await stage.hold(hold)
        await until(lambda: _held(stage, 1))
        await stage.dispatch(task, free)
        cancelled = await stage.fact(task, "cancelled")
        await stage.fact(free, "accepted")
    assert cancelled.reasons[0].rule == "hold"
    assert cancelled.reasons[0].inputs["hold_id"] == str(hold.hold_id)
    assert len(stage.provider.requests) == 1
    assert await stage.states(task) == ["CANCELLED"]


async def test_a_tombstone_is_for_ever(stage: Stage) -> None:
    task, last = a_task(), a_task()
    hold = a_hold(task.subjects[3])
    async with stage.running():
        await stage.hold(hold)
        await until(lambda: _held(stage, 1))
        await stage.dispatch(task)
        await stage.fact(task, "cancelled")
        await stage.hold(a_hold(hold.subject, hold_id=hold.hold_id, version=2, state="lifted"))
        await stage.dispatch(task)
        await stage.dispatch(last)
        await stage.fact(last, "accepted")
    assert await stage.kinds(task) == ["cancelled"]
    assert len(stage.provider.requests) == 1


async def test_a_lift_newer_than_the_permit_cancels_and_an_older_one_does_not(
    stage: Stage,
) -> None:
    before = now() - timedelta(minutes=10)
    stale = a_task(permit=a_permit(issued_at=before))
    fresh = a_task(subjects=stale.subjects, permit=a_permit(issued_at=now() + timedelta(minutes=1)))
    lifted = a_hold(stale.subjects[2], state="lifted", version=2, placed_at=before, lifted_at=now())
    async with stage.running():
        await stage.hold(lifted)
        await until(lambda: _held(stage, 1))
        await stage.dispatch(stale, fresh)
        await stage.fact(stale, "cancelled")
        await stage.fact(fresh, "accepted")
    assert len(stage.provider.requests) == 1


async def test_a_hold_ends_by_itself_for_permits_issued_after_it_was_placed(stage: Stage) -> None:
    placed = now() - timedelta(hours=2)
    task = a_task()
    over = a_hold(task.subjects[2], placed_at=placed, until=now() - timedelta(hours=1))
    async with stage.running():
        await stage.hold(over)
        await until(lambda: _held(stage, 1))
        await stage.dispatch(task)
        await stage.fact(task, "accepted")


async def test_a_stop_during_a_backlog_ends_the_calls_within_a_second(stage: Stage) -> None:
    await stage.configure(rate_per_second=40.0)
    tasks = [a_task() for _ in range(120)]
    async with stage.running():
        await stage.dispatch(*tasks)
        await until(lambda: len(stage.provider.requests) >= 10)
        await stage.hold(a_hold(subject_of("tenant", TENANT), reason="emergency_stop"))
        at_hold = len(stage.provider.requests)

        async def all_decided() -> bool:
            return len(await stage.facts()) == len(tasks)

        await until(all_decided, 30.0)
    kinds = [kind for kind, _ in await stage.facts()]
    assert set(kinds) == {"accepted", "cancelled"}
    assert kinds.count("accepted") == len(stage.provider.requests)
    assert len(stage.provider.requests) <= at_hold + 40  # a second's worth at the very most


async def test_a_hold_between_claim_and_call_stops_the_call(stage: Stage) -> None:
    """The claim statement cannot see what comes after it: the last look, in memory, does."""
    held = a_task()
    async with stage.running():
        # The row of the hold is kept from the claim by a lock; memory has it at once.
        locker = await asyncpg.connect(stage.database.admin_url)
        try:
            async with locker.transaction():
                await locker.execute("LOCK TABLE sms_sender.hold IN SHARE ROW EXCLUSIVE MODE")
                await stage.hold(a_hold(held.subjects[3]))
                await until(lambda: _lane_waits(stage))
                await stage.dispatch(held)
                cancelled = await stage.fact(held, "cancelled")
        finally:
            await locker.close()
    assert stage.provider.requests == []
    assert cancelled.reasons[0].rule == "hold"
    assert await stage.states(held) == ["CANCELLED"]


async def test_a_stale_feed_claims_nothing_until_it_is_current_again(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        stage.marking = False
        await until(lambda: _stale(stage), 10.0)
        await stage.dispatch(task)
        await until(lambda: _waiting(stage))
        assert stage.provider.requests == []
        assert await stage.states(task) == []
        stage.marking = True
        await stage.fact(task, "accepted")
    assert len(stage.provider.requests) == 1


async def test_a_task_after_its_window_expires(stage: Stage) -> None:
    at = now()
    over = a_permit(not_before=at - timedelta(hours=2), not_after=at + timedelta(seconds=1))
    task = a_task(permit=over)  # a call would not be over in time
    async with stage.running():
        await stage.dispatch(task)
        expired = await stage.fact(task, "expired")
    assert expired.reasons[0].rule == "permit_interval"
    assert stage.provider.requests == []
    assert await stage.states(task) == ["EXPIRED"]


async def test_closing_an_unseen_contact_writes_a_tombstone_that_refuses_the_task(
    stage: Stage,
) -> None:
    task, last = a_task(), a_task()
    async with stage.running():
        await stage.request_close(task)
        await stage.fact(task, "cancelled")
        await stage.dispatch(task)
        await stage.dispatch(last)
        await stage.fact(last, "accepted")
    assert await stage.kinds(task) == ["cancelled"]
    assert len(stage.provider.requests) == 1


async def test_closing_states_again_what_a_contact_came_to(stage: Stage) -> None:
    accepted, unknown = a_task(), a_task()
    async with stage.running():
        await stage.dispatch(accepted)
        first = await stage.fact(accepted, "accepted")
        stage.provider.scripts = [Script(status=500)]
        await stage.dispatch(unknown)
        await stage.fact(unknown, "unknown")
        await stage.request_close(accepted)
        await stage.request_close(unknown)

        async def stated_again() -> bool:
            kinds = await stage.kinds(accepted) + await stage.kinds(unknown)
            return sorted(kinds) == ["accepted", "accepted", "unknown", "unknown"]

        await until(stated_again)
    again = [fact for kind, fact in await stage.facts(accepted) if kind == "accepted"]
    assert again[0].at == again[1].at == first.at  # the same event, at the same instant
    assert await stage.states(accepted) == ["ACCEPTED"]


async def test_closing_a_refused_contact_ends_it_before_its_next_attempt(stage: Stage) -> None:
    task = a_task()
    stage.provider.scripts = [
        Script(status=429, body=b'{"code": 20429}', headers={"Retry-After": "20"})
    ]
    async with stage.running():
        await stage.dispatch(task)
        await stage.fact(task, "attempt_refused")
        await stage.request_close(task)
        cancelled = await stage.fact(task, "cancelled")
        pending = (await stage.progress())["pending"]["retries"]
    assert cancelled.attempt_id is not None
    assert pending == 0
    assert await stage.states(task) == ["REFUSED", "CANCELLED"]
    assert len(stage.provider.requests) == 1


async def _held(stage: Stage, count: int) -> bool:
    return len(await stage.rows("SELECT 1 FROM hold")) == count


async def _lane_waits(stage: Stage) -> bool:
    rows = await stage.rows(
        "SELECT 1 FROM pg_locks WHERE relation = 'hold'::regclass AND NOT granted"
    )
    return bool(rows)


async def _stale(stage: Stage) -> bool:
    return not await is_ready(stage.port)


async def _waiting(stage: Stage) -> bool:
    return bool((await stage.progress())["pending"]["tasks_waiting"] == 1)
