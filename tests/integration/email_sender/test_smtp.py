"""E-mail over SMTP, end to end: mails out, bounces, complaints, replies and one click back."""

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from deploy.local import databases
from deploy.local.databases import Database
from shared.events.contact import ContactTask
from shared.kafka import admin
from shared.postgres import migrate
from shared.privacy import Sealer, key_bytes
from shared.sender.attempts import Attempt, Frame
from shared.sender.callbacks import Callbacks
from tests.support.bus import until
from tests.support.contacts import TENANT, a_permit, now
from tests.support.mail import DOMAIN, PASSWORD, SENDER, USERNAME, MailStage
from tests.support.sandbox import Sandbox
from tests.support.sending import PARTITIONS
from tests.support.ses import ACCOUNT, a_mail_task


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(Sandbox()) as made:
        yield made


@pytest.fixture
async def stage(
    fresh_database: Database,
    kafka_bootstrap: str,
    topic_suffix: str,
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
) -> AsyncIterator[MailStage]:
    """A sender's surroundings; in sandbox mode, where a relay may show any certificate."""
    monkeypatch.setenv("TEST_MAIL_USER", USERNAME)
    monkeypatch.setenv("TEST_MAIL_PASSWORD", PASSWORD)
    await databases.set_mode(fresh_database, "sandbox")
    migrate.upgrade("email_sender", fresh_database.url("email_sender"))
    await admin.ensure_topics(
        kafka_bootstrap, partitions=PARTITIONS, replication=1, suffix=topic_suffix
    )
    made = MailStage(fresh_database, kafka_bootstrap, topic_suffix, sandbox)
    await made.behave()
    await made.open()
    yield made
    await made.close()


def a_mail(name: str = "ana", **changes: Any) -> ContactTask:
    task = a_mail_task(f"{name}.{uuid4().hex[:8]}@example.net")
    fields = {each: getattr(task, each) for each in task.__struct_fields__}
    return ContactTask(**(fields | changes))


async def test_a_mails_whole_life(stage: MailStage, capfd: pytest.CaptureFixture[str]) -> None:
    """Accepted, delivered, answered by a machine, then by the person; and no log tells of it."""
    task = a_mail()
    async with stage.running():
        await stage.dispatch(task)
        await stage.fact(task, "delivered")
        await stage.says(task, "", "away")
        await until(lambda: _marked(stage, 2))
        await stage.says(task, "Vou pagar R$ 120,00 amanhã", "promise")
        replied = await stage.fact(task, "replied")
        accepted = await stage.fact(task, "accepted")
    assert await stage.kinds(task) == ["accepted", "delivered", "replied"]
    assert len(await stage.truth("accepted", task)) == 1
    assert (replied.intent, replied.promise_amount) == ("promise", 12_000)
    assert replied.address_subject == task.subjects[4]
    assert accepted.provider_ref.startswith(task.contact_id.hex)
    assert accepted.provider_ref.endswith(f"@{DOMAIN}")
    read = Sealer(b"t" * 32).open(accepted.text_sealed, str(task.contact_id))
    assert read.startswith("Uma mensagem para Maria\n\nOlá Maria, sua fatura de R$ 120,00 venceu.")
    assert "http" not in read  # the link to unsubscribe would let a reader opt out
    logged = "".join(capfd.readouterr())
    assert "service_started" in logged
    for secret in (task.address, "Maria", "120,00", PASSWORD, USERNAME, accepted.provider_ref):
        assert secret not in logged


async def test_bounces_lost_answers_and_what_never_goes_out(stage: MailStage) -> None:
    """A bounce condemns the address; a report settles what a lost answer left in the dark."""
    bounced, lost, refused = a_mail("gone"), a_mail("lost"), a_mail("nobody")
    offer = a_mail(content_class="marketing")
    hostile = a_mail(values={"name": "Ana\r\nBcc: all@example.net", "amount": "<b>R$ 1</b>"})
    async with stage.running():
        await stage.dispatch(offer, hostile)
        not_ours = await stage.fact(offer, "failed")
        await stage.fact(hostile, "accepted")
        await stage.script(lost, kind="reset_connection", accepted=True)
        await stage.script(refused, kind="refuse", code="550 5.1.1 no such user")
        await stage.dispatch(lost, refused)
        await stage.fact(lost, "delivered")
        failed = await stage.fact(refused, "failed")
        await stage.behave(undelivered=1.0, undelivered_codes={"30005": 1.0})
        await stage.dispatch(bounced)
        undelivered = await stage.fact(bounced, "undelivered")
    assert await stage.kinds(lost) == ["unknown", "accepted", "delivered"]
    assert len(await stage.truth("accepted", lost)) == 1
    assert (failed.error, failed.code, failed.suppress_address) == (
        "recipient_invalid",
        "5.1.1",
        True,
    )
    assert (undelivered.error, undelivered.code) == ("recipient_invalid", "5.1.1")
    assert undelivered.suppress_address
    assert (not_ours.error, not_ours.fault) == ("policy_refused", "ours")
    assert await stage.truth("request", offer) == []
    assert len(await stage.truth("accepted", hostile)) == 1


async def test_a_domain_is_warmed_up_and_nobody_gets_two_mails_in_a_minute(
    stage: MailStage,
) -> None:
    """The account's day limit and pair rate, by law time, as on every channel."""
    await stage.configure(day_limit=2, pair_rate_per_minute=1.0)
    start = now() + timedelta(hours=1)
    await _law(stage, start)
    permit = a_permit(not_after=start + timedelta(days=3))
    first, other, third = (a_mail(permit=permit) for _ in range(3))
    again = a_mail(address=first.address, subjects=first.subjects, permit=permit)
    async with stage.running():
        await stage.dispatch(first)
        await stage.fact(first, "accepted")
        await stage.dispatch(again)
        resting = await stage.fact(again, "deferred")
        await stage.dispatch(other)
        await stage.fact(other, "accepted")
        await stage.dispatch(third)
        full = await stage.fact(third, "deferred")
        await _law(stage, full.until)
        await stage.dispatch(third)
        await stage.fact(third, "accepted")
    assert resting.reasons[0].rule == "pair_rate"
    assert resting.until == start + timedelta(minutes=1)
    assert full.reasons[0].rule == "day_limit"
    assert timedelta() <= full.until - (start + timedelta(days=1)) <= timedelta(minutes=5)
    assert await stage.truth("request", again) == []


async def _law(stage: MailStage, at: datetime) -> None:
    connection = await asyncpg.connect(stage.database.admin_url)
    try:
        await connection.execute("SELECT platform.set_law_now($1)", at)
    finally:
        await connection.close()


async def test_every_way_to_stop_stops_the_address_at_once(stage: MailStage) -> None:
    """One click, a complaint, a mail to unsubscribe, plain words; and a link that outlived rows."""
    ways = {
        "one_click": "opted_out",
        "complaint": "complained",
        "unsubscribe_mail": "opted_out",
        "words": "opted_out",
    }
    first = {way: a_mail(way) for way in ways}
    second = {way: a_mail(address=t.address, subjects=t.subjects) for way, t in first.items()}
    old = a_mail("old")
    async with stage.running():
        await stage.dispatch(*first.values(), old)
        for task in (*first.values(), old):
            await stage.fact(task, "delivered")
        for way, task in first.items():
            words = "Por favor, não me mandem mais e-mails. PARE" if way == "words" else ""
            await stage.says(task, words, way)
            await until(partial(_held, stage, task.subjects[4]))
        await stage.dispatch(*second.values())
        for way, reason in ways.items():
            cancelled = await stage.fact(second[way], "cancelled")
            assert cancelled.reasons[0].inputs["reason"] == reason
            await stage.fact(first[way], reason)
        await stage.rows("DELETE FROM attempt WHERE contact_id = $1", old.contact_id)
        await stage.says(old, "", "one_click")
        await until(lambda: _held(stage, old.subjects[2]))
        await until(lambda: _published(stage, len(ways) + 1))
    held = {(hold.scope, hold.subject) for hold in await stage.holds()}
    assert held == {
        *(("address", task.subjects[4]) for task in first.values()),
        ("debtor", old.subjects[2]),
    }
    assert len(await stage.truth("accepted")) == len(first) + 1


async def test_strangers_change_nothing(stage: MailStage) -> None:
    """Neither by mail nor by the link; a GET is no click; a plain stop is believed."""
    task = a_mail()
    async with stage.running(), aiohttp.ClientSession() as http:
        await stage.dispatch(task)
        await stage.fact(task, "delivered")
        reference = (await stage.fact(task, "accepted")).provider_ref.partition("@")[0]
        forged = reference[:-1] + ("0" if reference[-1] != "0" else "1")
        answers = [
            await stage.mail(f"r-{forged}@{DOMAIN}", "já paguei"),
            await stage.mail(f"b-{reference}@other.example", "x"),
            await stage.mail("nobody@other.example", "x"),
            await stage.mail(SENDER, "já paguei", sender=task.address),  # proves nothing
        ]
        here = f"http://127.0.0.1:{stage.port}/unsubscribe/{TENANT}/{ACCOUNT}/"
        link = _link(stage, task)
        assert link.startswith(f"{here}{reference}-")
        form = {"List-Unsubscribe": "One-Click"}
        async with http.get(link) as asked:
            page = await asked.text()
        # A Message-ID is no link: headers are seen by many.
        urls = [here + forged, here + "x", here + reference, link[:-1] + "g", link + "\u00e9"]
        for url, body in (*((url, form) for url in urls), (link, {"other": "1"})):
            async with http.post(url, data=body) as answer:
                answers.append(answer.status)
        assert await stage.rows("SELECT 1 FROM hold") == []
        assert await stage.mail(SENDER, "STOP", sender="ana@example.net") == 250
        await until(lambda: _published(stage, 1))
    assert answers == [550, 550, 550, 550, 404, 404, 404, 404, 404, 400]
    assert '<form method="post">' in page
    assert await stage.kinds(task) == ["accepted", "delivered"]


def _link(stage: MailStage, task: ContactTask) -> str:
    """The link to unsubscribe that stands in the mail of a contact's first attempt."""
    settings = stage.environment(stage.port)
    callbacks = Callbacks(settings["PUBLIC_URL"], key_bytes(settings["CALLBACK_KEY"]))
    return callbacks.unsubscribe_url(
        Attempt(
            attempt_id=task.contact_id,
            contact_id=task.contact_id,
            n=1,
            ends_on=task.permit.not_after.date(),
            debtor_id=task.debtor_id,
            tenant_id=TENANT,
            account_id=ACCOUNT,
            provider="smtp",
            frame=Frame(
                portfolio_id="", channel="email", step_key="", stage=1, template="", items=()
            ),
            not_after=task.permit.not_after,
        )
    )


async def _marked(stage: MailStage, count: int) -> bool:
    return len(await stage.rows("SELECT 1 FROM receipt WHERE state <> 'new'")) == count


async def _held(stage: MailStage, subject: str) -> bool:
    return bool(await stage.rows("SELECT 1 FROM hold WHERE subject = $1", subject))


async def _published(stage: MailStage, count: int) -> bool:
    return len(await stage.holds()) == count
