"""E-mail over Amazon SES, end to end: mails out, signed events back, complaints obeyed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from uuid import uuid4

import aiohttp
import pytest

from deploy.local.databases import Database
from services.email_sender.providers.ses.certificates import FETCHES_MAX
from shared.kafka import admin
from shared.postgres import migrate
from shared.sender.callbacks import webhook_path
from tests.support.bus import until
from tests.support.contacts import TENANT, now
from tests.support.sandbox import Sandbox
from tests.support.sending import PARTITIONS
from tests.support.ses import ACCOUNT, SesStage, a_mail_task
from tests.support.ses_account import KEY_ID, SECRET, TOPIC


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox()) as made:
        made.control("POST", "/sandbox/behaviour", {"preset": "silent"})
        yield made


@pytest.fixture
async def stage(
    fresh_database: Database,
    kafka_bootstrap: str,
    topic_suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
) -> AsyncIterator[SesStage]:
    monkeypatch.setenv("TEST_SES_KEY_ID", KEY_ID)
    monkeypatch.setenv("TEST_SES_SECRET", SECRET)
    migrate.upgrade("email_sender", fresh_database.url("email_sender"))
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    made = SesStage(fresh_database, kafka_bootstrap, topic_suffix, sandbox)
    await made.open()
    yield made
    await made.close()


def an_address(name: str) -> str:
    return f"{name}.{uuid4().hex[:8]}@example.net"


async def test_a_mail_is_sent_and_its_events_raise_it(stage: SesStage) -> None:
    task = a_mail_task(an_address("maria"))
    async with stage.running():
        stage.subscribe(confirmed=False)
        await until(lambda: stage.confirmed() == [True])
        await stage.dispatch(task)
        delivered = await stage.fact(task, "delivered")
    assert await stage.kinds(task) == ["accepted", "delivered"]
    (line,) = [
        line
        for line in stage.sandbox.truth()
        if line["kind"] == "accepted" and line["contact_id"] == str(task.contact_id)
    ]
    assert delivered.provider_ref == line["message_sid"]
    # The confirmation, Send and Delivery: each was believed, stored and understood.
    marks = await stage.rows("SELECT state FROM receipt ORDER BY received_at")
    assert len(marks) == 3
    assert {row["state"] for row in marks} <= {"applied", "repeated", "unreadable"}


async def test_a_tag_proves_that_an_unknown_call_was_accepted(stage: SesStage) -> None:
    task = a_mail_task(an_address("joana"))
    fault = {
        "kind": "timeout_after_acceptance",
        "seconds": 30,
        "match": {"recipient": task.address},
    }
    late = {"kind": "late_receipt", "seconds": 3, "match": {"recipient": task.address}}
    async with stage.running():
        stage.subscribe()
        stage.sandbox.control("POST", "/sandbox/faults", [fault, late])
        await stage.dispatch(task)
        await stage.fact(task, "delivered")
        states = await stage.states(task)
    assert states == ["ACCEPTED"]
    kinds = await stage.kinds(task)
    assert kinds[-2:] == ["accepted", "delivered"]
    requests = [
        line
        for line in stage.sandbox.truth()
        if line["kind"] == "request" and line["contact_id"] == str(task.contact_id)
    ]
    assert len(requests) == 1


async def test_who_complains_is_left_alone(stage: SesStage) -> None:
    address = f"complaint+{uuid4().hex[:8]}@simulator.amazonses.com"
    first, second = a_mail_task(address), a_mail_task(address)
    async with stage.running():
        stage.subscribe()
        await stage.dispatch(first)
        complained = await stage.fact(first, "complained")
        await stage.dispatch(second)
        cancelled = await stage.fact(second, "cancelled")
    assert complained.contact_id == first.contact_id
    assert "delivered" in await stage.kinds(first)
    assert cancelled.reasons[0].inputs["reason"] == "complained"


async def test_a_hard_bounce_stops_the_address_and_an_answer_is_understood(
    stage: SesStage,
) -> None:
    gone = a_mail_task(f"bounce+{uuid4().hex[:8]}@simulator.amazonses.com")
    answering = a_mail_task(an_address("rui"))
    async with stage.running():
        stage.subscribe()
        await stage.dispatch(gone, answering)
        undelivered = await stage.fact(gone, "undelivered")
        await stage.fact(answering, "delivered")
        stage.sandbox.control(
            "POST",
            "/sandbox/replies",
            {"recipient": answering.address, "text": "Já paguei ontem", "provider": "ses"},
        )
        replied = await stage.fact(answering, "replied")
    assert (undelivered.error, undelivered.suppress_address) == ("recipient_invalid", True)
    assert (replied.intent, replied.confident) == ("paid", True)


async def test_strangers_are_refused_and_what_cannot_be_checked_now_must_come_again(
    stage: SesStage,
) -> None:
    stale = "2026-01-01T00:00:00.000Z"
    fresh = now().isoformat()
    async with stage.running(), aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{stage.port}{webhook_path('ses', TENANT, ACCOUNT)}"

        async def answer(timestamp: str, number: int) -> int:
            certificate = f"SimpleNotificationService-{number}.pem"
            envelope = {
                "Type": "Notification",
                "MessageId": "x",
                "TopicArn": TOPIC,
                "Message": "{}",
                "Timestamp": timestamp,
                "SignatureVersion": "1",
                "Signature": "AAAA",
                "SigningCertURL": f"{stage.sandbox.url}/{certificate}",
            }
            headers = {"x-amz-sns-topic-arn": TOPIC}
            async with client.post(url, json=envelope, headers=headers) as response:
                return response.status

        assert await answer(stale, 0) == 403
        given = [await answer(fresh, number) for number in range(FETCHES_MAX + 1)]
        async with client.post(url, data=b"{}") as response:
            assert response.status == 403
    assert given[-1] == 503  # as many certificates were asked for as may be within a minute
    assert set(given[:-1]) <= {403, 503}
    assert not await stage.rows("SELECT 1 FROM receipt")
