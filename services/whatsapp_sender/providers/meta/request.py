"""A message as Meta's Cloud API takes it: JSON of a template, a text or an interactive message.

In: a composed message and our reference. Out: the body's bytes. Every button carries its kind and
the reference, so that a press names the contact it answers.
"""

from typing import Any

import msgspec

from services.whatsapp_sender.message import Approved, ReplyButton, WhatsAppMessage, is_user_id

BUTTON_SEPARATOR = ":"  # between a button's kind and our reference

_encoder = msgspec.json.Encoder()


def body_of(message: WhatsAppMessage, reference: str) -> bytes:
    """Return the JSON body of one message."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_recipient(message.to),
        **_content(message, reference),
    }
    if reference:
        body["biz_opaque_callback_data"] = reference
    return _encoder.encode(body)


def _recipient(to: str) -> dict[str, str]:
    return {"recipient": to} if is_user_id(to) else {"to": to.removeprefix("+")}


def _content(message: WhatsAppMessage, reference: str) -> dict[str, Any]:
    if message.approved is not None:
        return {"type": "template", "template": _template(message.approved, message, reference)}
    if message.buttons:
        return {"type": "interactive", "interactive": _interactive(message, reference)}
    return {"type": "text", "text": {"preview_url": False, "body": message.text}}


def _template(approved: Approved, message: WhatsAppMessage, reference: str) -> dict[str, Any]:
    components: list[dict[str, Any]] = []
    if approved.parameters:
        parameters = [{"type": "text", "text": each} for each in approved.parameters]
        components.append({"type": "body", "parameters": parameters})
    for index, button in enumerate(message.buttons):
        payload = {"type": "payload", "payload": _payload(button, reference)}
        components.append(
            {
                "type": "button",
                "sub_type": "quick_reply",
                "index": str(index),
                "parameters": [payload],
            }
        )
    return {
        "name": approved.name,
        "language": {"policy": "deterministic", "code": approved.language},
        **({"components": components} if components else {}),
    }


def _interactive(message: WhatsAppMessage, reference: str) -> dict[str, Any]:
    buttons = [
        {"type": "reply", "reply": {"id": _payload(each, reference), "title": each.title}}
        for each in message.buttons
    ]
    return {"type": "button", "body": {"text": message.text}, "action": {"buttons": buttons}}


def _payload(button: ReplyButton, reference: str) -> str:
    return f"{button.kind}{BUTTON_SEPARATOR}{reference}"
