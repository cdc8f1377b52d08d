"""People at Meta's sandbox, read by pywa: windows, buttons, preferences, usernames."""

from pywa import errors
from pywa.client import WhatsApp
from pywa.types.callback import Button as PywaButton
from pywa.types.callback import CallbackButton
from pywa.types.message import Message
from pywa.types.message_status import MessageStatusType, PricingCategory
from pywa.types.templates import QuickReplyButton
from pywa.types.user_preferences import MarketingPreference, UserMarketingPreferences

from tests.support import meta
from tests.support.pywa_reading import BODY, DEBTOR, DIGITS, inbound, template, told
from tests.support.sandbox import Receiver, Sandbox


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
