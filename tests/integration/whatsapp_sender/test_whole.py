"""The whole WhatsApp sender against Meta's sandbox: out, back, and what it must never do."""

from datetime import timedelta
from typing import Any

import aiohttp
import msgspec

from services.whatsapp_sender.providers.meta import signature
from tests.support import meta
from tests.support.bus import until
from tests.support.contacts import now
from tests.support.whatsapp import NOTE, WhatsAppStage, a_message

# In this part of Brazil WhatsApp leaves out the ninth digit.
MARIA, JOAO, ANA = "+5531987654321", "+5531987654322", "+5531987654323"


async def stated(stage: WhatsAppStage, contact: Any, kind: str, why: str) -> Any:
    """Wait for a fact and check why it was stated."""
    fact = await stage.fact(contact, kind)
    reasons = [reason.rule for reason in getattr(fact, "reasons", ())]
    assert why in (getattr(fact, "error", None), *reasons)
    return fact


async def test_a_template_goes_out_a_button_comes_back_and_the_window_opens(
    stage: WhatsAppStage,
) -> None:
    first, early, answer = a_message(MARIA), a_message(MARIA, NOTE), a_message(MARIA, NOTE)
    async with stage.running():
        await stage.connect()
        await stage.dispatch(early)
        await stated(stage, early, "failed", "policy_refused")  # nobody has written to us yet
        await stage.dispatch(first)
        delivered = await stage.fact(first, "delivered")
        await stage.says(MARIA, "", "press:promise")
        replied = await stage.fact(first, "replied")
        await _at_the_pair_rate(stage)
        await stage.dispatch(answer)
        free = await stage.fact(answer, "delivered")
        progress = await stage.progress()
    assert (delivered.category, delivered.billable) == ("utility", True)
    assert (replied.intent, replied.confident, replied.right_party) == ("promise", False, True)
    assert replied.address_subject == first.subjects[-1]  # though WhatsApp spells it differently
    assert (free.category, free.billable) == ("service", False)
    assert await stage.kinds(first) == ["accepted", "sent", "delivered", "replied"]
    assert await stage.accepted_by_meta(first) == 1
    assert await stage.accepted_by_meta(early) == 0
    assert not [name for name, count in progress["pending"].items() if count]


async def _at_the_pair_rate(stage: WhatsAppStage) -> None:
    """Let six seconds pass for the pair, on the row that remembers them."""
    await stage.rows("UPDATE pair_rest SET free_at = free_at - interval '6 seconds'")


async def test_who_stops_under_another_name_is_left_alone(stage: WhatsAppStage) -> None:
    hidden = meta.account(None, username_share=1.0)
    stage.sandbox.control("POST", "/sandbox/accounts", hidden)
    first, second, other = a_message(JOAO), a_message(JOAO), a_message(ANA)
    async with stage.running():
        await stage.connect()
        await stage.dispatch(first)
        await stage.fact(first, "delivered")
        await stage.says(JOAO, "Não me mande mais mensagens")  # Meta shows a user id, no number
        opted_out = await stage.fact(first, "opted_out")
        await _at_the_pair_rate(stage)
        await stage.dispatch(second, other)
        await stated(stage, second, "cancelled", "hold")
        await stage.fact(other, "accepted")
    assert opted_out.address_subject == second.subjects[-1]
    assert await stage.accepted_by_meta(second) == 0


async def test_the_switch_in_whatsapp_and_the_button_stop_like_words(stage: WhatsAppStage) -> None:
    pressed, switched = a_message(MARIA), a_message(JOAO)
    async with stage.running():
        await stage.connect()
        await stage.dispatch(pressed, switched)
        await stage.fact(pressed, "delivered")
        await stage.fact(switched, "delivered")
        await stage.says(MARIA, "", "press:opt_out")
        await stage.says(JOAO, "", "preference:stop")
        await stage.fact(pressed, "opted_out")
        await stage.fact(switched, "opted_out")
        after = [a_message(MARIA), a_message(JOAO)]
        await _at_the_pair_rate(stage)
        await stage.dispatch(*after)
        for task in after:
            await stated(stage, task, "cancelled", "hold")


async def test_rates_tiers_and_roles_are_kept_here_too(stage: WhatsAppStage) -> None:
    agency = a_message(MARIA, portfolio_id="agency")
    one, again, third = a_message(MARIA), a_message(MARIA), a_message(ANA)
    async with stage.running():
        await stage.connect()
        await stage.dispatch(agency)
        await stated(stage, agency, "failed", "policy_refused")
        await stage.dispatch(one)
        await stage.fact(one, "accepted")
        await stage.dispatch(again)
        deferred = await stated(stage, again, "deferred", "pair_rate")
        assert timedelta() < deferred.until - deferred.at <= timedelta(seconds=6)
        await stage.rows(
            "INSERT INTO acquaintance (tenant_id, number_id, address_digest, business_id, begun_at)"
            " SELECT 'acme', 'another', n::text, $1, platform.law_now()"
            " FROM generate_series(1, 249) AS n",
            meta.WABA_ID,
        )
        await stage.configure(messaging_tier="TIER_250")
        await _configured(stage)
        await stage.dispatch(third)  # the 251st person of this day
        await stated(stage, third, "deferred", "messaging_tier")
    assert await stage.accepted_by_meta(again) == await stage.accepted_by_meta(third) == 0


async def _configured(stage: WhatsAppStage) -> None:
    """Wait until the sender follows an entry that was published after the others."""
    probe = a_message(JOAO, template="late")
    await stage.dispatch(probe)
    await stage.fact(probe, "deferred")


async def test_failed_statuses_unknown_words_and_forgeries(stage: WhatsAppStage) -> None:
    task = a_message(MARIA)
    stage.sandbox.control("POST", "/sandbox/faults", {"kind": "lose_receipts"})
    async with stage.running():
        await stage.connect()
        await stage.dispatch(task)
        accepted = await stage.fact(task, "accepted")
        answers = [
            await _posted(stage, accepted.provider_ref, "warning"),
            await _posted(stage, accepted.provider_ref, "failed", 131049),
            await _posted(stage, accepted.provider_ref, "read", secret="stolen"),
            await _posted(stage, accepted.provider_ref, "read", secret=""),
        ]
        undelivered = await stage.fact(task, "undelivered")
        quality = {"event": "DOWNGRADE", "current_limit": "TIER_1K"}
        answers.append(await _post(stage, quality, field="phone_number_quality_update"))
        await until(lambda: _kept(stage, {"applied": 2, "repeated": 1}))
        questions = [
            await stage.get(_question(token)) for token in (meta.VERIFY_TOKEN, "wrong", "")
        ]
    assert answers == [200, 200, 403, 403, 200]
    assert (undelivered.code, undelivered.error) == ("131049", "recipient_unreachable")
    assert not undelivered.suppress_address
    assert questions[0] == (200, "1158201444")
    assert [status for status, _ in questions[1:]] == [403, 403]
    assert await stage.kinds(task) == ["accepted", "undelivered"]


async def _kept(stage: WhatsAppStage, marks: dict[str, int]) -> bool:
    """Whether so many webhooks have come to so much: an unknown word moves nothing and is kept."""
    rows = await stage.rows("SELECT state, count(*) AS n FROM receipt GROUP BY state")
    return {row["state"]: row["n"] for row in rows} == marks


async def test_a_quoted_message_is_answered_once_whatever_company_it_comes_in(
    stage: WhatsAppStage,
) -> None:
    quoted, latest = a_message(MARIA), a_message(MARIA)
    async with stage.running():
        await stage.connect()
        await stage.dispatch(quoted)
        accepted = await stage.fact(quoted, "accepted")
        await _at_the_pair_rate(stage)
        await stage.dispatch(latest)
        await stage.fact(latest, "accepted")
        said = {
            "from": "12025550143",  # a number that we never wrote to
            "id": "wamid.reply",
            "timestamp": str(int(now().timestamp())),
            "type": "text",
            "text": {"body": "já paguei"},
            "context": {"from": "5511400028922", "id": accepted.provider_ref},
        }
        unread = {"id": "wamid.strange", "status": "read", "timestamp": "1"}
        for value in (
            {"messages": [said]},
            {"messages": [said], "statuses": [unread]},
            {"messages": [said, {**said, "id": "wamid.second", "text": {"body": "ajuda"}}]},
        ):
            assert await _post(stage, value) == 200
        await until(lambda: _understood(stage, 2))
        replies = [body.intent for kind, body in await stage.facts(quoted) if kind == "replied"]
    assert sorted(replies) == ["help", "paid"]
    assert "replied" not in await stage.kinds(latest)


async def _understood(stage: WhatsAppStage, count: int) -> bool:
    """Whether so many replies have been understood and stated."""
    return sum(kind == "replied" for kind, _ in await stage.facts()) >= count


def _question(token: str) -> dict[str, str]:
    return {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": token}


async def _posted(
    stage: WhatsAppStage, ref: str, word: str, code: int = 0, secret: str = meta.SECRET
) -> int:
    """Post one status as Meta would, signed with a secret."""
    status: dict[str, Any] = {
        "id": ref,
        "status": word,
        "timestamp": str(int(now().timestamp())),
        "recipient_id": "553187654321",
    }
    if code:
        status["errors"] = [{"code": code, "title": "x"}]
    return await _post(stage, {"statuses": [status]}, secret)


async def _post(
    stage: WhatsAppStage,
    value: dict[str, Any],
    secret: str = meta.SECRET,
    field: str = "messages",
) -> int:
    """Post what happened as Meta would, signed with a secret."""
    named = {"metadata": {"phone_number_id": meta.NUMBER_ID}, **value}
    change = {"field": field, "value": named}
    entry = [{"id": meta.WABA_ID, "changes": [change]}]
    body = msgspec.json.encode({"object": "whatsapp_business_account", "entry": entry})
    headers = {"x-hub-signature-256": signature(secret, body)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(stage.webhook_url, data=body, headers=headers) as response,
    ):
        return response.status
