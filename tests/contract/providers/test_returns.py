"""What comes back: genuine or forged, in order or not, understood or kept as it is."""

from collections import Counter
from datetime import date

import pytest

from shared.events.states import ContactState
from shared.sender.provider import Accepted, InboundReply, UnreadableWebhookError
from tests.contract.providers.cases import PROVIDERS, REPLIES, rejections
from tests.contract.providers.conftest import Bench
from tests.contract.providers.entry import Code, Entry
from tests.support.sandbox import eventually

posting = [entry for entry in PROVIDERS if entry.webhooks]
answering = [entry for entry in posting if entry.replies]
signing = [entry for entry in posting if entry.signs_body]
each_provider = pytest.mark.parametrize("entry", posting, ids=lambda entry: entry.name)


async def sent(bench: Bench) -> str:
    """Send a message and wait for its receipts; return the provider's name for it."""
    result = await bench.send()
    assert isinstance(result, Accepted)
    bench.wait()
    return result.provider_ref


@each_provider
async def test_receipts_are_genuine_and_name_their_attempt(bench: Bench) -> None:
    reference = await sent(bench)
    arrived = bench.arrived()
    assert ContactState.DELIVERED in {receipt.state for receipt in bench.receipts()}
    for hook, event in arrived:
        assert await bench.is_genuine(bench.request(hook))
        assert bench.named(hook, event) == bench.contact_id
        assert getattr(event, "provider_ref", None) == reference


@each_provider
async def test_forged_webhooks_are_refused(bench: Bench) -> None:
    await sent(bench)
    hook = bench.arrived()[0][0]
    assert not await bench.is_genuine(bench.request(hook, headers={"host": "x"}))
    forged = bench.entry.forged(hook.headers)
    assert forged != hook.headers
    assert not await bench.is_genuine(bench.request(hook, headers=forged))


@pytest.mark.parametrize("entry", signing, ids=lambda entry: entry.name)
async def test_a_changed_byte_shows(bench: Bench) -> None:
    await sent(bench)
    hook = bench.arrived()[0][0]
    changed = hook.body.replace(b"1", b"2", 1)
    assert changed != hook.body
    assert not await bench.is_genuine(bench.request(hook, body=changed))
    assert not await bench.is_genuine(bench.request(hook, body=b""))


@each_provider
async def test_two_secrets_are_valid_during_a_rotation(bench: Bench) -> None:
    name = bench.entry.webhook_secret
    if name is None:
        assert not [each for each in bench.entry.credentials if each.endswith("_token")]
        return
    await sent(bench)
    request = bench.request(bench.arrived()[0][0])
    old = bench.entry.credentials[name]
    settings = bench.account.settings
    rotating = bench.account_with(settings, **{name: "new", f"{name}_previous": old})
    early = bench.account_with(settings, **{name: "new", f"{name}_next": old})
    over = bench.account_with(settings, **{name: "new"})
    assert await bench.is_genuine(request, rotating)
    assert await bench.is_genuine(request, early)
    assert not await bench.is_genuine(request, over)


@pytest.mark.parametrize(
    ("entry", "code"), rejections(), ids=lambda value: getattr(value, "name", str(value))
)
async def test_a_negative_receipt_says_why(bench: Bench, entry: Entry, code: Code) -> None:
    bench.script(kind="lose_receipts")
    reference = await sent(bench)
    body = {"message_sid": reference, "status": "undelivered", "code": code}
    bench.sandbox.control("POST", "/sandbox/receipts", body)
    (receipt,) = eventually(bench.receipts)
    assert receipt.state is ContactState.UNDELIVERED
    assert (receipt.code, receipt.error) == (str(code), entry.rejections[code])


@each_provider
async def test_an_unknown_word_moves_nothing_and_is_kept(bench: Bench) -> None:
    bench.script(kind="lose_receipts")
    reference = await sent(bench)
    body = {"message_sid": reference, "status": "brand_new_word"}
    bench.sandbox.control("POST", "/sandbox/receipts", body)
    (receipt,) = eventually(bench.receipts)
    assert receipt.state is None
    assert receipt.provider_word.lower() == "brand_new_word"


@each_provider
async def test_duplicate_receipts_are_the_same_bytes(bench: Bench) -> None:
    bench.script(kind="duplicate_receipt")
    await sent(bench)
    times = Counter(bench.receipts())
    assert times
    assert set(times.values()) == {2}


@each_provider
@pytest.mark.parametrize("fault", ["late_receipt", "reorder_receipts"])
async def test_late_and_overtaking_receipts_still_say_delivered(bench: Bench, fault: str) -> None:
    bench.script(kind=fault, seconds=0.2)
    await sent(bench)
    assert ContactState.DELIVERED in {receipt.state for receipt in bench.receipts()}


@pytest.mark.parametrize("entry", answering, ids=lambda entry: entry.name)
@pytest.mark.parametrize(("language", "text", "intent"), REPLIES)
async def test_replies(bench: Bench, language: str, text: str, intent: str) -> None:
    await sent(bench)
    body = {
        "recipient": bench.address,
        "text": text,
        "intent": language,
        "provider": bench.entry.name,
    }
    bench.sandbox.control("POST", "/sandbox/replies", body)
    bench.wait()
    (found,) = [each for each in bench.arrived() if isinstance(each[1], InboundReply)]
    hook, reply = found
    assert isinstance(reply, InboundReply)
    assert await bench.is_genuine(bench.request(hook))
    assert reply.from_address == bench.address
    assert reply.text.strip() == text
    assert bench.entry.channel.is_opt_out(reply.text) == (intent == "opt_out")
    reading = bench.entry.channel.read_reply(reply.text, date(2026, 11, 22), reply.from_address)
    assert reading.intent == intent


@pytest.mark.parametrize("entry", PROVIDERS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1]", b'{"a":', b'{"canary":"+5511"}', b"x"])
def test_senseless_webhooks_are_unreadable_and_not_repeated(entry: Entry, body: bytes) -> None:
    with pytest.raises(UnreadableWebhookError) as caught:
        assert not entry.provider.read_webhook(body)
    assert "+5511" not in str(caught.value)
