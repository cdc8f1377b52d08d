"""What comes back: receipts, replies, and whom to believe."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import msgspec

from shared.events import envelope
from shared.events.contact import ContactTask
from shared.events.envelope import Envelope
from shared.events.hold import Hold
from shared.events.topics import CONTACT_HOLDS
from tests.support.bus import read_all, until
from tests.support.contacts import ACCOUNT, PHONE, TENANT, a_task, now
from tests.support.sending import Stage
from tests.support.wire import Script


async def test_receipts_become_facts_in_their_order(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        for status in ("queued", "sent", "delivered"):
            assert await stage.callback(request, status) == 200
        delivered = await stage.fact(task, "delivered")
    assert await stage.kinds(task) == ["accepted", "sent", "delivered"]
    assert delivered.late is False
    assert delivered.provider_ref == request["sid"]


async def test_repeated_and_late_receipts_are_recorded_and_move_nothing_back(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        await stage.callback(request, "delivered")
        await stage.fact(task, "delivered")
        await stage.callback(request, "delivered")
        await stage.callback(request, "delivered", RawDlrDoneDate="2611221530")
        await stage.callback(request, "sent")
        await stage.callback(request, "undelivered", ErrorCode="30003")
        await until(lambda: _marked(stage, 4))
        late = await stage.fact(task, "undelivered")
    rows = await stage.rows("SELECT reported FROM attempt")
    assert rows[0]["reported"] == 80
    assert late.late is True
    assert sorted(await stage.kinds(task)) == ["accepted", "delivered", "sent", "undelivered"]
    marks = await stage.rows("SELECT state, count(*) AS n FROM receipt GROUP BY state")
    assert {row["state"]: row["n"] for row in marks} == {"applied": 1, "repeated": 1, "late": 2}


async def test_a_negative_receipt_names_its_error(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        await stage.callback(request, "undelivered", ErrorCode="30005")
        undelivered = await stage.fact(task, "undelivered")
    assert (undelivered.error, undelivered.code) == ("recipient_invalid", "30005")
    assert undelivered.suppress_address


async def test_a_receipt_proves_that_an_unknown_call_was_accepted(stage: Stage) -> None:
    task = a_task()
    stage.provider.scripts = [Script(hang=True)]
    async with stage.running():
        await stage.dispatch(task)
        await stage.fact(task, "unknown")
        request = {**stage.provider.requests[0], "sid": f"SM{uuid4().hex}"}
        await stage.callback(request, "delivered")
        await stage.fact(task, "delivered")
        progress = await stage.progress()
    assert await stage.kinds(task) == ["unknown", "accepted", "delivered"]
    assert await stage.states(task) == ["ACCEPTED"]
    assert progress["next_due"] is None
    assert len(stage.provider.requests) == 1


async def test_a_receipt_that_overtakes_the_answer_waits_for_it(stage: Stage) -> None:
    task = a_task()
    gate = asyncio.Event()
    sid = f"SM{uuid4().hex}"
    body = msgspec.json.encode({"sid": sid, "status": "queued"})
    stage.provider.scripts = [Script(gate=gate, body=body)]
    async with stage.running(PROVIDER_READ_SECONDS_MAX="10"):
        await stage.dispatch(task)
        await until(lambda: bool(stage.provider.requests))
        await stage.callback({**stage.provider.requests[0], "sid": sid}, "sent")
        assert await stage.kinds(task) == []
        gate.set()
        await stage.fact(task, "sent")
    assert await stage.kinds(task) == ["accepted", "sent"]
    accepted = await stage.fact(task, "accepted")
    assert accepted.text_sealed is not None


async def test_a_receipt_counts_while_the_answer_does_not_come(stage: Stage) -> None:
    task = a_task()
    stage.provider.scripts = [Script(hang=True)]
    async with stage.running(PROVIDER_READ_SECONDS_MAX="9"):
        await stage.dispatch(task)
        await until(lambda: bool(stage.provider.requests))
        request = {**stage.provider.requests[0], "sid": f"SM{uuid4().hex}"}
        await stage.callback(request, "delivered")
        accepted = await stage.fact(task, "accepted")
        await stage.fact(task, "delivered")
    assert accepted.text_sealed is not None
    assert await stage.kinds(task) == ["accepted", "delivered"]
    assert await stage.states(task) == ["ACCEPTED"]


async def test_forged_webhooks_change_nothing(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        fields = {"MessageSid": request["sid"], "MessageStatus": "delivered"}
        url = request["StatusCallback"]
        other = url.replace(str(task.contact_id), str(uuid4()))
        answers = [
            await stage.webhook(url, fields, signature="forged"),
            await stage.webhook(url, fields, signature=""),
            await stage.webhook(other, fields),  # signed, but not a URL of ours
            await stage.webhook(url.replace(ACCOUNT, "unknown"), fields),
            await stage.webhook(url.replace("/twilio/", "/twilio_compatible/"), fields),
        ]
        oversize = {"MessageSid": "SM1", "Body": "x" * 300_000, "From": PHONE, "To": PHONE}
        answers.append(await stage.webhook(url, oversize))
    assert answers == [403, 403, 403, 404, 404, 413]
    assert await stage.rows("SELECT 1 FROM receipt") == []
    assert await stage.kinds(task) == ["accepted"]


async def test_a_stop_is_obeyed_at_once_and_told_to_everybody(stage: Stage) -> None:
    first, second, third = a_task(), a_task(), a_task(address="+5511900000000")
    async with stage.running():
        await _accepted(stage, first)
        assert await stage.reply("Por favor, SAIR!") == 200
        await stage.dispatch(second, third)
        cancelled = await stage.fact(second, "cancelled")
        await stage.fact(third, "accepted")
        opted_out = await stage.fact(first, "opted_out")
        await until(lambda: _drained(stage))
    holds = await _holds(stage)
    assert [hold.subject for hold in holds] == [first.subjects[4]]
    assert (holds[0].scope, holds[0].reason) == ("address", "opted_out")
    assert holds[0].origin == "sms_sender"
    assert cancelled.reasons[0].inputs["reason"] == "opted_out"
    assert opted_out.address_subject == first.subjects[4]
    replied = await stage.fact(first, "replied")
    assert (replied.intent, replied.confident) == ("opt_out", True)
    assert "SAIR" not in (replied.text_sealed or "SAIR")


async def test_a_stop_without_a_contact_is_obeyed_all_the_same(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        assert await stage.reply("STOP") == 200
        await stage.dispatch(task)
        await stage.fact(task, "cancelled")
    assert stage.provider.requests == []


async def test_a_promise_is_read_with_its_amount_and_day(stage: Stage) -> None:
    older, newer = a_task(), a_task()
    async with stage.running():
        await _accepted(stage, older)
        await _accepted(stage, newer)
        sid = f"SM{uuid4().hex}"
        await stage.reply("Vou pagar R$ 1.120,50 amanhã", sid)
        await stage.reply("Vou pagar R$ 1.120,50 amanhã", sid)  # the provider sends it twice
        replied = await stage.fact(newer, "replied")
        await until(lambda: _drained(stage))
    assert (replied.intent, replied.confident, replied.right_party) == ("promise", True, True)
    assert replied.promise_amount == 112_050
    assert replied.promise_date == now().date() + timedelta(days=1)
    assert await stage.kinds(newer) == ["accepted", "replied"]
    assert await stage.kinds(older) == ["accepted"]


async def test_an_early_reply_waits_for_its_contact(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        await stage.reply("já paguei")
        await until(lambda: _marks(stage, "unmatched"))
        await _accepted(stage, task)
        replied = await stage.fact(task, "replied")
    assert replied.intent == "paid"


async def test_an_account_wide_callback_finds_its_attempt_by_the_reference(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        bare = f"http://127.0.0.1:{stage.port}/webhooks/twilio/{TENANT}/{ACCOUNT}"
        await stage.callback({**request, "StatusCallback": bare}, "delivered")
        await stage.fact(task, "delivered")


async def test_webhooks_that_a_process_left_behind_are_read_by_the_next(stage: Stage) -> None:
    task = a_task()
    async with stage.running():
        request = await _accepted(stage, task)
        await stage.callback(request, "sent")
        await stage.fact(task, "sent")
    await stage.rows(
        "UPDATE receipt SET state = 'new', received_at = received_at - interval '1 minute',"
        " body = replace(convert_from(body, 'UTF8'), 'sent', 'delivered')::bytea"
    )
    async with stage.running():
        await stage.fact(task, "delivered")


async def _accepted(stage: Stage, task: ContactTask) -> Mapping[str, str]:
    """Dispatch a task, wait until it is accepted, return the provider's request with its sid."""
    await stage.dispatch(task)
    accepted = await stage.fact(task, "accepted")
    return {**stage.provider.requests[-1], "sid": accepted.provider_ref}


async def _marked(stage: Stage, count: int) -> bool:
    return len(await stage.rows("SELECT 1 FROM receipt WHERE state <> 'new'")) == count


async def _marks(stage: Stage, state: str) -> bool:
    return bool(await stage.rows("SELECT 1 FROM receipt WHERE state = $1", state))


async def _drained(stage: Stage) -> bool:
    return not any((await stage.progress())["pending"].values())


async def _holds(stage: Stage) -> list[Hold]:
    found = await read_all(stage.bootstrap, CONTACT_HOLDS.name + stage.suffix)
    events = [
        Envelope.from_record(record.headers, record.value)
        for records in found.values()
        for record in records
    ]
    return [
        envelope.decode(event.data, Hold) for event in events if event.type == "hold.changed.v1"
    ]


async def test_a_webhook_that_cannot_be_applied_is_left_alone_and_the_others_go_on(
    stage: Stage,
) -> None:
    bad, *good = (a_task() for _ in range(4))
    async with stage.running():
        requests = [await _accepted(stage, task) for task in (bad, *good)]
        await stage.rows(
            f"""
            CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.contact_id = '{bad.contact_id}' THEN RAISE EXCEPTION 'broken'; END IF;
                RETURN NEW;
            END $$
            """
        )
        await stage.rows(
            "CREATE TRIGGER broken BEFORE UPDATE ON attempt "
            "FOR EACH ROW EXECUTE FUNCTION refuse_one()"
        )
        answers = [stage.callback(request, "delivered") for request in requests]
        assert await asyncio.gather(*answers) == [200] * 4
        for task in good:
            await stage.fact(task, "delivered")
        await until(lambda: _marked(stage, 4))
        progress = await stage.progress()
    assert await stage.kinds(bad) == ["accepted"]
    marks = await stage.rows("SELECT state, count(*) AS n FROM receipt GROUP BY state")
    assert {row["state"]: row["n"] for row in marks} == {"applied": 3, "unreadable": 1}
    assert progress["pending"]["receipts_uninterpreted"] == 0
