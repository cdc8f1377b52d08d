"""From task to provider to fact: one call at most, and what each answer of a provider means."""

import asyncio
import time

import msgspec
import pytest

from tests.support.bus import read_all, until
from tests.support.contacts import PHONE, a_permit, a_task, a_template, now
from tests.support.sending import Stage
from tests.support.wire import Script

DLQ = "contact.tasks.sms.v1{}.dlq"


async def test_a_task_becomes_one_call_and_an_accepted_fact(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        await stage.dispatch(task)
        accepted = await stage.fact(task, "accepted")
    assert [each["To"] for each in stage.provider.requests] == [task.address]
    assert stage.provider.requests[0]["Body"] == "Olá Maria, sua fatura de R$ 120,00 venceu."
    assert 7_100 < int(stage.provider.requests[0]["ValidityPeriod"]) <= 7_200
    assert accepted.n == 1
    assert accepted.segments == 1
    assert accepted.text_sealed is not None
    assert "Maria" not in accepted.text_sealed
    assert await stage.states(task) == ["ACCEPTED"]
    assert stage.exit_code == 0


async def test_a_repeated_task_is_called_once(stage: Stage) -> None:
    task, last = a_task(), a_task()
    async with stage.running():
        await stage.dispatch(task, task)
        await stage.fact(task, "accepted")
        await stage.dispatch(task)
        await stage.dispatch(last)
        await stage.fact(last, "accepted")
    async with stage.running():  # a new process, which reads its tasks again
        await stage.dispatch(task)
        await until(lambda: _drained(stage))
    assert len(stage.provider.requests) == 2
    assert await stage.kinds(task) == ["accepted"]


async def test_a_thousand_tasks_are_each_called_once(stage: Stage) -> None:
    tasks = [a_task() for _ in range(1_000)]
    async with stage.running():
        await stage.dispatch(*tasks)
        await until(lambda: _drained(stage, calls=len(tasks)), 60.0)
        await stage.dispatch(*tasks)
        await until(lambda: _drained(stage, calls=len(tasks)), 60.0)
    assert len(stage.provider.requests) == len(tasks)
    facts = await stage.facts()
    assert len(facts) == len(tasks)
    assert {kind for kind, _ in facts} == {"accepted"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (Script(status=500, body=b'{"code": 20500}'), "status_500"),
        (Script(status=201, body=b"<html>"), "garbled_success"),
        (Script(status=400, body=b"<html>proxy</html>"), "garbled_400"),
        (Script(status=302, headers={"Location": "http://127.0.0.1:1/"}), "status_302"),
        (Script(status=201, body=b"x" * 100_000), "answer_too_large"),
        (Script(hang=True), "timeout"),
        (Script(drop=True), "connection_lost"),
    ],
)
async def test_what_may_have_been_accepted_is_unknown_and_never_sent_again(
    stage: Stage, script: Script, why: str
) -> None:
    task, other = a_task(), a_task()
    stage.provider.scripts = [script]
    async with stage.running():
        await stage.dispatch(task)
        unknown = await stage.fact(task, "unknown")
        await stage.dispatch(task)
        await stage.dispatch(other)
        await stage.fact(other, "accepted")
    assert unknown.error == why
    assert unknown.resolve_by is not None
    assert unknown.text_sealed is not None
    assert len(stage.provider.requests) == 2
    assert await stage.states(task) == ["UNKNOWN"]


async def test_a_throttled_call_is_tried_again_when_the_provider_says(stage: Stage) -> None:
    task = a_task()
    stage.provider.scripts = [
        Script(status=429, body=b'{"code": 20429}', headers={"Retry-After": "1"})
    ]
    async with stage.running():
        began = time.monotonic()
        await stage.dispatch(task)
        accepted = await stage.fact(task, "accepted")
        took = time.monotonic() - began
    refused = await stage.fact(task, "attempt_refused")
    assert (refused.error, refused.retryable, refused.n) == ("throttled", True, 1)
    assert accepted.n == 2
    assert took >= 1.0
    rows = await stage.rows("SELECT state, tries FROM attempt ORDER BY n")
    assert [(row["state"], row["tries"]) for row in rows] == [("REFUSED", 0), ("ACCEPTED", 0)]


async def test_a_wrong_number_fails_for_good_and_suppresses_the_address(stage: Stage) -> None:
    task = a_task()
    body = b'{"code": 21211, "message": "The \'To\' number is not valid", "status": 400}'
    stage.provider.scripts = [Script(status=400, body=body)]
    async with stage.running():
        await stage.dispatch(task)
        failed = await stage.fact(task, "failed")
    assert (failed.error, failed.code, failed.fault) == ("recipient_invalid", "21211", "recipient")
    assert failed.suppress_address
    assert len(stage.provider.requests) == 1


async def test_an_unreachable_provider_is_tried_three_times(stage: Stage) -> None:
    task = a_task()
    await stage.provider.stop()
    async with stage.running():
        await stage.dispatch(task)
        failed = await stage.fact(task, "failed")
    assert (failed.error, failed.n, failed.retryable) == ("unreachable", 3, False)
    assert (await stage.kinds(task)).count("attempt_refused") == 2


async def test_a_bad_secret_opens_the_breaker_and_work_is_handed_back(stage: Stage) -> None:
    await stage.configure(rate_per_second=10.0)  # one call at a time
    stage.provider.scripts = [Script(status=401, body=b'{"code": 20003}') for _ in range(50)]
    tasks = [a_task() for _ in range(12)]
    async with stage.running():
        await stage.dispatch(*tasks)

        async def handed_back() -> bool:
            return sum(kind == "deferred" for kind, _ in await stage.facts()) >= 6

        await until(handed_back, 30.0)
        calls = len(stage.provider.requests)
    assert 5 <= calls <= 7
    reasons = {fact.reasons[0].rule for kind, fact in await stage.facts() if kind == "deferred"}
    assert reasons == {"breaker_open"}


async def test_the_account_rate_is_kept(stage: Stage) -> None:
    await stage.configure(rate_per_second=20.0)
    tasks = [a_task() for _ in range(40)]
    async with stage.running():
        await stage.dispatch(*tasks)
        await until(lambda: len(stage.provider.requests) >= 1)
        began = time.monotonic()
        await until(lambda: len(stage.provider.requests) == 40)
        took = time.monotonic() - began
    assert 1.8 <= took <= 4.0


async def test_tasks_that_cannot_have_a_permit_within_five_seconds_go_back(stage: Stage) -> None:
    await stage.configure(rate_per_second=1.0)
    tasks = [a_task() for _ in range(20)]
    async with stage.running():
        await stage.dispatch(*tasks)

        async def all_decided() -> bool:
            return len(await stage.facts()) == len(tasks)

        await until(all_decided, 20.0)
    facts = await stage.facts()
    kinds = [kind for kind, _ in facts]
    assert 4 <= kinds.count("accepted") <= 8
    back = [fact for kind, fact in facts if kind == "deferred"]
    assert {fact.reasons[0].rule for fact in back} == {"no_rate_permit"}
    assert all(fact.until > fact.at for fact in back)
    assert len(back) == len(tasks) - len(stage.provider.requests)


async def test_a_template_that_has_not_arrived_is_waited_for(stage: Stage) -> None:
    task, never = a_task(template_version=2), a_task(template_id="unheard-of")
    async with stage.running():
        await stage.dispatch(task, never)
        await until(lambda: _waiting(stage, 2))
        await stage.store("template", task.template_id, a_template("Versão 2, {name}"), version=2)
        await stage.fact(task, "accepted")
        deferred = await stage.fact(never, "deferred")
    assert [each["Body"] for each in stage.provider.requests] == ["Versão 2, Maria"]
    assert deferred.reasons[0].rule == "template_missing"
    assert await stage.states(never) == []


async def test_a_task_that_cannot_be_rendered_fails_and_the_fault_is_ours(stage: Stage) -> None:
    task = a_task(values={"name": "Maria"})
    async with stage.running():
        await stage.dispatch(task)
        failed = await stage.fact(task, "failed")
    assert (failed.error, failed.fault, failed.retryable) == ("render_failed", "ours", False)
    assert stage.provider.requests == []
    assert await stage.states(task) == ["INVALID"]


async def test_poison_is_buried_its_contact_ended_and_the_rest_goes_on(stage: Stage) -> None:
    spoilt, good = a_task(), a_task()
    value = msgspec.json.decode(msgspec.json.encode(spoilt))
    value["stage"] = "three"
    headers = [
        ("ce_id", str(spoilt.contact_id).encode()),
        ("ce_type", b"contact.task.v1"),
        ("ce_source", b"regua/scheduler"),
        ("ce_time", now().isoformat().encode()),
        ("ce_partitionkey", str(spoilt.debtor_id).encode()),
        ("ce_tenantid", b"acme"),
    ]
    async with stage.running():
        await stage.publish_raw(b"\xff\x00", headers, str(good.debtor_id))
        await stage.publish_raw(msgspec.json.encode(value), headers, str(good.debtor_id))
        await stage.publish_raw(b"{}", [], str(good.debtor_id))
        await stage.dispatch(good)
        await stage.fact(good, "accepted")
        failed = await stage.fact(spoilt, "failed")
        await until(lambda: _drained(stage))
    assert failed.error == "task_unreadable"
    buried = await read_all(stage.bootstrap, DLQ.format(stage.suffix))
    letters = [record for records in buried.values() for record in records]
    assert len(letters) == 3
    assert all(PHONE.encode() not in letter.headers["dlq_reason"] for letter in letters)


async def test_a_stop_in_order_leaves_nothing_unknown(stage: Stage) -> None:
    gate = asyncio.Event()
    tasks = [a_task() for _ in range(30)]
    stage.provider.scripts = [Script(gate=gate) for _ in tasks]
    async with stage.running(PROVIDER_READ_SECONDS_MAX="10") as service:
        await stage.dispatch(*tasks)
        await until(lambda: len(stage.provider.requests) == len(tasks))
        service.stop()
        gate.set()
    states = await stage.rows("SELECT state, count(*) AS n FROM attempt GROUP BY state")
    assert {row["state"]: row["n"] for row in states} == {"ACCEPTED": len(tasks)}


async def test_a_task_before_its_window_goes_back_until_then(stage: Stage) -> None:
    at = now()
    opens = at.replace(microsecond=0) + (a_permit().not_after - a_permit().not_before)
    task = a_task(permit=a_permit(not_before=opens, not_after=opens + (opens - at)))
    async with stage.running():
        await stage.dispatch(task)
        deferred = await stage.fact(task, "deferred")
    assert abs((deferred.until - opens).total_seconds()) < 5
    assert stage.provider.requests == []


async def _drained(stage: Stage, calls: int = 0) -> bool:
    progress = await stage.progress()
    return not any(progress["pending"].values()) and progress["counters"]["calls"] >= calls


async def _waiting(stage: Stage, count: int) -> bool:
    return bool((await stage.progress())["pending"]["tasks_waiting"] == count)


async def test_a_provider_that_hangs_leaves_calls_for_the_other_accounts(stage: Stage) -> None:
    await stage.configure(account_id="second")
    stage.provider.scripts = [Script(hang=True) for _ in range(6)]
    slow = [a_task() for _ in range(10)]
    other = a_task(account_id="second")
    async with stage.running(PROVIDER_CALLS_MAX="8", PROVIDER_READ_SECONDS_MAX="10"):
        await stage.dispatch(*slow)
        await until(lambda: len(stage.provider.requests) == 6)
        await stage.dispatch(other)
        await stage.fact(other, "accepted")
        assert len(stage.provider.requests) == 7, "three quarters of the calls, then the other's"
