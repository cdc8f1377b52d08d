"""The Cloud API, judged by pywa: as a client, and as the reader of every webhook it posts."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web
from pywa import errors
from pywa.client import WhatsApp
from pywa.types.base_update import RawUpdate
from pywa.types.callback import Button as PywaButton
from pywa.types.callback import CallbackButton
from pywa.types.message import Message
from pywa.types.message_status import MessageStatus, MessageStatusType, PricingCategory
from pywa.types.templates import BodyText, QuickReplyButton, TemplateLanguage
from pywa.types.user_preferences import MarketingPreference, UserMarketingPreferences
from pywa.utils import webhook_updates_validator

from tests.support import meta
from tests.support.sandbox import Hook, Receiver, Sandbox, eventually

DEBTOR = "+5531987654321"
DIGITS = DEBTOR.removeprefix("+")
BODY: Any = BodyText("Olá {{1}}, seu pagamento de {{2}} vence hoje.", "Maria", "R$ 10,00")

ONE: Any = BodyText("{{1}}", "x")
THREE: Any = BodyText("{{1}}{{2}}{{3}}", "x", "y", "z")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def sandbox(running: Sandbox, receiver: Receiver) -> Sandbox:
    """Silent debtors, no faults, a fresh account."""
    running.control("DELETE", "/sandbox/faults")
    running.control("POST", "/sandbox/behaviour", {"preset": "silent", "callback_retry_ms": [20]})
    receiver.hooks.clear()
    running.control("POST", "/sandbox/accounts", meta.account(f"{receiver.url}/meta"))
    return running


@pytest.fixture
def wa(sandbox: Sandbox) -> WhatsApp:
    return meta.client(sandbox.url)


def template(wa: WhatsApp, to: str = DIGITS, *params: Any, **changes: Any) -> Any:
    """Send the reminder by the SDK."""
    given = params or (BODY.params("Maria", "R$ 10,00"),)
    fields: dict[str, Any] = {
        "name": "payment_reminder",
        "language": TemplateLanguage.PORTUGUESE_BR,
    }
    return wa.send_template(to=to, params=list(given), tracker="ours", **(fields | changes))


def value_of(hook: Hook) -> dict[str, Any]:
    """The value of a webhook's change."""
    found: dict[str, Any] = msgspec.json.decode(hook.body)["entry"][0]["changes"][0]["value"]
    return found


def _update(hook: Hook) -> RawUpdate:
    return RawUpdate(hook.body, hmac_header=None, update_hash="")


def statuses(wa: WhatsApp, receiver: Receiver, message_id: str) -> list[MessageStatus[Any]]:
    """What pywa reads of a message's statuses so far, each webhook signed."""
    read = []
    for hook in list(receiver.hooks):
        assert webhook_updates_validator(
            meta.SECRET, hook.body, hook.headers["x-hub-signature-256"]
        )
        for at, _ in enumerate(value_of(hook).get("statuses", [])):
            update = _update(hook)
            read.append(MessageStatus.from_update(wa, update, contact_idx=at, status_idx=at))
    return [each for each in read if each.id == message_id]


def told(wa: WhatsApp, receiver: Receiver, message_id: str, count: int) -> list[Any]:
    """Wait for so many statuses of a message."""
    eventually(lambda: len(statuses(wa, receiver, message_id)) >= count)
    return statuses(wa, receiver, message_id)


def inbound(wa: WhatsApp, receiver: Receiver, kind: Any, field: str = "messages") -> Any:
    """Wait for an inbound webhook and read it as `kind`."""
    (hook, *_) = eventually(lambda: [h for h in list(receiver.hooks) if value_of(h).get(field)])
    return kind.from_update(wa, _update(hook))


def test_a_template_is_accepted_and_its_way_told(wa: WhatsApp, receiver: Receiver) -> None:
    sent = template(wa)
    assert sent.id.startswith("wamid.")
    sent_, delivered = told(wa, receiver, sent.id, 2)
    assert [sent_.status, delivered.status] == [MessageStatusType.SENT, MessageStatusType.DELIVERED]
    assert (sent_.tracker, sent_.metadata.phone_number_id) == ("ours", meta.NUMBER_ID)
    assert (sent_.from_user.wa_id, sent_.from_user.bsuid) == ("553187654321", sent_.from_user.bsuid)
    assert (sent_.pricing.category, sent_.pricing.billable) == (PricingCategory.UTILITY, True)


def test_reading_is_told(sandbox: Sandbox, wa: WhatsApp, receiver: Receiver) -> None:
    reading = {"preset": "silent", "read": 1.0, "read_seconds": [0, 0], "callback_retry_ms": [20]}
    sandbox.control("POST", "/sandbox/behaviour", reading)
    sent = template(wa)
    assert told(wa, receiver, sent.id, 3)[-1].status is MessageStatusType.READ


@pytest.mark.parametrize(
    ("params", "changes", "error"),
    [
        ((ONE.params("Maria"),), {}, errors.TemplateParamCountMismatch),
        (
            (THREE.params("a", "b", "c"),),
            {},
            errors.TemplateParamCountMismatch,
        ),
        ((), {"name": "no_such_template"}, errors.TemplateNotExists),
        ((), {"language": TemplateLanguage.ENGLISH_US}, errors.TemplateNotExists),
        ((), {"name": "paused_reminder"}, errors.TemplatePaused),
        ((), {"name": "disabled_reminder"}, errors.TemplateDisabled),
        ((BODY.params("Maria", "x" * 1_020),), {}, errors.TemplateTextTooLong),
    ],
)
def test_templates_are_checked(
    wa: WhatsApp, params: tuple[Any, ...], changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        template(wa, DIGITS, *params, **changes)


def test_a_recipient_must_be_one(wa: WhatsApp) -> None:
    with pytest.raises(errors.RecipientCannotBeSender):
        template(wa, meta.NUMBER)
    with pytest.raises(errors.InvalidParameter):
        template(wa, "55119")


def test_tokens(sandbox: Sandbox) -> None:
    with pytest.raises(errors.ExpiredAccessToken) as caught:
        template(meta.client(sandbox.url, "EAAG-another"))
    assert caught.value.status_code == 401


def raw(sandbox: Sandbox, body: object, **headers: str) -> httpx.Response:
    url = f"{sandbox.url}/v25.0/{meta.NUMBER_ID}/messages"
    given = {"Authorization": f"Bearer {meta.TOKEN}", **headers}
    return httpx.post(url, json=body, headers=given)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 100),
        ([], 100),
        ({"messaging_product": "whatsapp"}, 100),
        ({"messaging_product": "whatsapp", "to": DIGITS, "type": "text"}, 100),
        ({"messaging_product": "whatsapp", "to": DIGITS, "type": "telegram"}, 100),
        ({"messaging_product": "whatsapp", "to": DIGITS, "type": "image", "image": {}}, 131051),
        ({"messaging_product": "whatsapp", "to": DIGITS, "text": {"body": "x" * 4_097}}, 100),
        (
            {
                "messaging_product": "whatsapp",
                "to": DIGITS,
                "text": {"body": "x"},
                "biz_opaque_callback_data": "x" * 513,
            },
            100,
        ),
    ],
)
def test_bodies_are_checked(sandbox: Sandbox, body: object, code: int) -> None:
    answer = raw(sandbox, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, code, "OAuthException")
    assert error["error_data"]["messaging_product"] == "whatsapp"
    assert error["fbtrace_id"]


def test_an_unknown_number_is_not_there(sandbox: Sandbox) -> None:
    answer = httpx.post(
        f"{sandbox.url}/v25.0/999999/messages",
        json={},
        headers={"Authorization": f"Bearer {meta.TOKEN}"},
    )
    error = answer.json()["error"]
    assert (error["code"], error["error_subcode"]) == (100, 33)


def test_free_text_fails_outside_the_window_and_goes_inside(
    sandbox: Sandbox, wa: WhatsApp, receiver: Receiver
) -> None:
    late = wa.send_message(to=DIGITS, text="Olá", tracker="late")
    (failed,) = told(wa, receiver, late.id, 1)
    assert failed.status is MessageStatusType.FAILED
    assert isinstance(failed.error, errors.ReEngagementMessage)
    template(wa)
    reply = {"recipient": DEBTOR, "text": "oi", "provider": "meta"}
    sandbox.control("POST", "/sandbox/replies", reply)
    heard = inbound(wa, receiver, Message)
    assert (heard.text, heard.from_user.wa_id) == ("oi", "553187654321")
    answer = wa.send_message(
        to=DIGITS, text="Como posso ajudar?", buttons=[PywaButton("Pagar", "pay:ours")]
    )
    delivered = told(wa, receiver, answer.id, 2)[-1]
    assert (delivered.status, delivered.pricing.billable) == (MessageStatusType.DELIVERED, False)
    assert delivered.pricing.category is PricingCategory.SERVICE
    receiver.hooks.clear()
    press = {**reply, "intent": "press:pay"}
    sandbox.control("POST", "/sandbox/replies", press)
    pressed = inbound(wa, receiver, CallbackButton)
    assert (pressed.data, pressed.title, pressed.is_quick_reply) == ("pay:ours", "Pagar", False)


def test_buttons_of_templates_are_pressed(
    sandbox: Sandbox, wa: WhatsApp, receiver: Receiver
) -> None:
    promise = QuickReplyButton(text="Prometo pagar").params(callback_data="promise:ours", index=0)
    sent = template(wa, DIGITS, BODY.params("Maria", "R$ 10,00"), promise)
    press = {"recipient": DEBTOR, "text": "", "intent": "press:promise", "provider": "meta"}
    sandbox.control("POST", "/sandbox/replies", press)
    pressed = inbound(wa, receiver, CallbackButton)
    assert (pressed.data, pressed.title) == ("promise:ours", "Prometo pagar")
    assert pressed.is_quick_reply
    assert pressed.reply_to_message is not None
    assert pressed.reply_to_message.id == sent.id


def test_who_stops_marketing_gets_no_more_of_it(
    sandbox: Sandbox, wa: WhatsApp, receiver: Receiver
) -> None:
    template(wa)
    stop = {"recipient": DEBTOR, "text": "", "intent": "preference:stop", "provider": "meta"}
    sandbox.control("POST", "/sandbox/replies", stop)
    preference = inbound(wa, receiver, UserMarketingPreferences, "user_preferences")
    assert preference.value is MarketingPreference.STOP
    sent = template(wa, DIGITS, BODY.params("Maria", "R$ 5,00"), name="settlement_offer")
    (failed,) = told(wa, receiver, sent.id, 1)
    assert isinstance(failed.error, errors.UserStoppedMarketingMessages)
    assert len(told(wa, receiver, template(wa).id, 2)) == 2  # utility messages still pass


def test_people_with_a_username_show_no_number(
    sandbox: Sandbox, wa: WhatsApp, receiver: Receiver
) -> None:
    hidden = meta.account(f"{receiver.url}/meta", username_share=1.0)
    sandbox.control("POST", "/sandbox/accounts", hidden)
    sent = template(wa)
    status = told(wa, receiver, sent.id, 1)[0]
    assert status.from_user.wa_id is None
    sandbox.control("POST", "/sandbox/replies", {"recipient": DEBTOR, "text": "oi"})
    heard = inbound(wa, receiver, Message)
    assert (heard.from_user.wa_id, heard.from_user.bsuid) == (None, status.from_user.bsuid)
    assert heard.from_user.country_code == "BR"
    assert told(wa, receiver, template(wa, heard.from_user.bsuid).id, 1)


def test_limits(sandbox: Sandbox, receiver: Receiver, wa: WhatsApp) -> None:
    def register(**changes: Any) -> None:
        sandbox.control("POST", "/sandbox/accounts", meta.account(f"{receiver.url}/m", **changes))

    register(pair_seconds=60.0)
    template(wa, "5511911110001")
    with pytest.raises(errors.TooManyMessages):
        template(wa, "5511911110001")
    template(wa, "5511911110002")
    number = {"phone_number_id": meta.NUMBER_ID, "number": meta.NUMBER, "rate_per_second": 1.0}
    register(numbers=[number])
    template(wa, "5511911110003")
    with pytest.raises(errors.RateLimitHit):
        template(wa, "5511911110004")


async def test_a_number_takes_its_webhook_after_the_challenge(sandbox: Sandbox) -> None:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        right = request.query["hub.verify_token"] == meta.VERIFY_TOKEN
        return web.Response(text=request.query["hub.challenge"] if right else "no")

    app = web.Application()
    app.router.add_get("/hook", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"

    def override(token: str) -> dict[str, bool]:
        api = meta.client(sandbox.url).api
        try:
            return api.set_phone_alternate_callback_url(url, token, meta.NUMBER_ID)
        except errors.WhatsAppError:
            return {}

    try:
        done = [await asyncio.to_thread(override, each) for each in (meta.VERIFY_TOKEN, "wrong")]
    finally:
        await runner.cleanup()
    assert done == [{"success": True}, {}]
    assert asked[0]["hub.mode"] == "subscribe"


def test_statuses_of_many_travel_together(wa: WhatsApp, receiver: Receiver) -> None:
    ids = [template(wa, f"5511922220{n:03d}").id for n in range(8)]
    for each in ids:
        told(wa, receiver, each, 2)
    assert len(receiver.hooks) <= 16


def test_the_truth_log_knows_our_reference(sandbox: Sandbox, wa: WhatsApp) -> None:
    after = sandbox.newest()
    reference = "0123456789abcdef0123456789abcdef-1-20261122-0123456789abcdef"
    fields: dict[str, Any] = {
        "name": "payment_reminder",
        "language": TemplateLanguage.PORTUGUESE_BR,
    }
    wa.send_template(
        to=DIGITS, params=[BODY.params("Maria", "R$ 10,00")], tracker=reference, **fields
    )
    (line,) = [each for each in sandbox.truth(after) if each["kind"] == "accepted"]
    assert line["contact_id"] == "01234567-89ab-cdef-0123-456789abcdef"
    assert line["provider"] == "meta"
    assert DIGITS not in str(sandbox.truth(after))
