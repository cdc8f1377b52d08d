"""The Cloud API, judged by pywa: as a client, and as the reader of every webhook it posts."""

import asyncio
from typing import Any

import httpx
import pytest
from aiohttp import web
from pywa import errors
from pywa.client import WhatsApp
from pywa.types.message_status import MessageStatusType, PricingCategory
from pywa.types.templates import BodyText, TemplateLanguage

from tests.support import meta
from tests.support.pywa_reading import BODY, DIGITS, template, told
from tests.support.sandbox import Receiver, Sandbox

ONE: Any = BodyText("{{1}}", "x")
THREE: Any = BodyText("{{1}}{{2}}{{3}}", "x", "y", "z")


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
