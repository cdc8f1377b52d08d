"""A message as it is asked for: decoded, checked as the Cloud API checks it.

In: the JSON of a POST to /{version}/{phone number id}/messages. Out: a `MetaMessage`, valid or not
(`draft`), and `judge`, which refuses it with Meta's code. What the real API takes and fails later
(no account on WhatsApp, closed window, stopped marketing) is taken here, too, and marked to fail.
"""

import re
from datetime import datetime
from typing import Any

from deploy.sandbox.intake import Refused
from deploy.sandbox.meta_store import Account, Approved, MetaMessage, Number, Store, new_id
from deploy.sandbox.references import named
from deploy.sandbox.truth import recipient_digest

PROVIDER = "meta"
TRACKER_CHARS_MAX = 512
TEXT_CHARS_MAX = 4_096
INTERACTIVE_CHARS_MAX = TEMPLATE_CHARS_MAX = 1_024
BUTTONS_MAX, BUTTON_ID_CHARS_MAX, TITLE_CHARS_MAX, PAYLOAD_CHARS_MAX = 3, 256, 20, 128
TYPES = frozenset(
    {"audio", "contacts", "document", "image", "interactive", "location", "reaction", "sticker",
     "template", "text", "video"}
)  # fmt: skip
OK_STATUS = "APPROVED"
STATUS_CODES = {"PAUSED": 132015, "DISABLED": 132016}
NO_ACCOUNT = 131026
WINDOW_CLOSED = 131047
STOPPED = 131050
ECOSYSTEM = 131049

_PHONE = re.compile(r"\+?[1-9]\d{6,14}")
_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_UNFIT = re.compile(r"[\n\t\r]| {5}")


class Missing(Refused):
    """A parameter that must be there."""

    def __init__(self, name: str) -> None:
        """Name it."""
        super().__init__(100, f"The parameter {name} is required.")


def draft(
    account: Account,
    number: Number,
    body: dict[str, Any],
    *,
    store: Store,
    created: datetime,
    seed: str,
) -> MetaMessage:
    """Return the message as asked for, valid or not."""
    to = _text(body, "to")
    user_id = _text(body, "recipient")
    phone = f"+{to.removeprefix('+')}" if to else store.phone_of(user_id) or user_id
    tracker = body.get("biz_opaque_callback_data")
    contact_id, attempt_id = named(tracker) if isinstance(tracker, str) else (None, None)
    return MetaMessage(
        sid=new_id(),
        provider=PROVIDER,
        account_id=account.waba_id,
        from_=number.number,
        to=phone,
        body="",
        created=created,
        callback_url=number.webhook_url,
        contact_id=contact_id,
        attempt_id=attempt_id,
        person=recipient_digest(seed, phone),
        number_id=number.phone_number_id,
        tracker=tracker if isinstance(tracker, str) else None,
        templated=body.get("type") == "template",
        in_window=store.window_open(number.phone_number_id, phone, created),
    )


def judge(account: Account, body: dict[str, Any], message: MetaMessage, store: Store) -> None:
    """Refuse what Meta refuses at once, and fill in what the person will read."""
    _envelope(body, message)
    if body["type"] == "template":
        _template(account, _object(body, "template"), message)
    elif body["type"] == "interactive":
        _interactive(_object(body, "interactive"), message)
    elif body["type"] == "text":
        message.body = _text(_object(body, "text"), "body")
        _bounded(message.body, TEXT_CHARS_MAX, "text['body']")
    else:
        raise Refused(131051, f"Message type {body['type']} is not supported here")
    message.failure = _failure(message, store)


def _envelope(body: dict[str, Any], message: MetaMessage) -> None:
    if body.get("messaging_product") != "whatsapp":
        raise Missing("messaging_product")
    if body.get("recipient_type", "individual") != "individual":
        raise Refused(100, "Param recipient_type must be one of {individual, group}")
    to, user_id = _text(body, "to"), _text(body, "recipient")
    if not to and not user_id:
        raise Missing("to")
    if (to and not _PHONE.fullmatch(to)) or (not to and not _USER_ID.fullmatch(user_id)):
        raise Refused(131009, "Phone number or user id is not valid")
    if message.to == message.from_:
        raise Refused(131021)
    tracker = body.get("biz_opaque_callback_data")
    if tracker is not None and not (isinstance(tracker, str) and len(tracker) <= TRACKER_CHARS_MAX):
        raise Refused(100, f"biz_opaque_callback_data has at most {TRACKER_CHARS_MAX} characters")
    if body.get("type", "text") not in TYPES:
        raise Refused(100, f"Param type must be one of {{{', '.join(sorted(TYPES)).upper()}}}")
    body.setdefault("type", "text")


def _template(account: Account, asked: dict[str, Any], message: MetaMessage) -> None:
    name, language = _text(asked, "name"), _text(_object(asked, "language"), "code")
    if not name:
        raise Missing("template['name']")
    if not language:
        raise Missing("template['language']['code']")
    template = account.template(name, language)
    if template is None:
        raise Refused(132001, f"template name ({name}) does not exist in {language}")
    if template.status != OK_STATUS:
        raise Refused(STATUS_CODES.get(template.status, 132001), template.status)
    components = asked.get("components", [])
    if not isinstance(components, list):
        raise Refused(100, "template['components'] must be an array")
    given = [each for each in components if _kind(each) == "body"]
    parameters = _parameters(given[0]) if given else []
    if len(given) > 1 or len(parameters) != template.parameters:
        expected = f"({template.parameters}) vs. ({len(parameters)})"
        raise Refused(132000, f"body: number of localizable_params {expected}")
    message.body = template.filled(parameters)
    if len(message.body) > TEMPLATE_CHARS_MAX:
        raise Refused(132005, "Translated text too long")
    message.category = template.category.lower()
    message.payloads = _payloads(template, components)


def _parameters(component: Any) -> list[str]:
    found = []
    for parameter in component.get("parameters") or []:
        text = _text(parameter, "text") if isinstance(parameter, dict) else ""
        if _kind(parameter) != "text" or not text:
            raise Refused(131008, "Parameter of type text is missing text value")
        if _UNFIT.search(text):
            details = "cannot have new-line/tab characters or more than 4 consecutive spaces"
            raise Refused(100, f"Param text {details}")
        found.append(text)
    return found


def _payloads(template: Approved, components: list[Any]) -> tuple[tuple[str, str], ...]:
    """Return payload and title of each button; one that is not given comes back as its title."""
    payloads = list(template.buttons)
    for component in components:
        if _kind(component) != "button":
            continue
        index = str(component.get("index", ""))
        kind = _text(component, "sub_type").lower()
        fits = kind == "quick_reply" and index.isdecimal()
        if not fits or int(index) >= len(template.buttons):
            raise Refused(131009, f"Button at index {index} is not a quick reply of the template")
        given = component.get("parameters") or [{}]
        payload = _text(given[0], "payload") if isinstance(given[0], dict) else ""
        if not 1 <= len(payload) <= PAYLOAD_CHARS_MAX:
            raise Refused(131008, f"Button at index {index} needs a payload")
        payloads[int(index)] = payload
    return tuple(zip(payloads, template.buttons, strict=True))


def _interactive(asked: dict[str, Any], message: MetaMessage) -> None:
    if asked.get("type") != "button":
        raise Refused(131009, "interactive['type'] must be button here")
    message.body = _text(_object(asked, "body"), "text")
    _bounded(message.body, INTERACTIVE_CHARS_MAX, "interactive['body']['text']")
    buttons = _object(asked, "action").get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS_MAX:
        raise Refused(131009, f"interactive['action']['buttons'] needs 1 to {BUTTONS_MAX}")
    made: list[tuple[str, str]] = []
    for button in buttons:
        reply = _object(button, "reply") if isinstance(button, dict) else {}
        payload, title = _text(reply, "id"), _text(reply, "title")
        _bounded(payload, BUTTON_ID_CHARS_MAX, "reply['id']")
        _bounded(title, TITLE_CHARS_MAX, "reply['title']")
        made.append((payload, title))
    if len({payload for payload, _ in made}) != len(made):
        raise Refused(131009, "Button ids must be unique")
    message.payloads = tuple(made)


def _failure(message: MetaMessage, store: Store) -> int | None:
    """Return why an accepted message will fail, None when it may go its way."""
    if not message.templated:
        message.category = "service"
        return None if message.in_window else WINDOW_CLOSED
    if message.category == "marketing":
        if (message.account_id, message.to) in store.stopped:
            return STOPPED
        if message.to.startswith("+1"):
            return ECOSYSTEM
    return None if message.to.startswith("+") else NO_ACCOUNT


def _kind(component: Any) -> str:
    given = component.get("type") if isinstance(component, dict) else None
    return given.lower() if isinstance(given, str) else ""


def _object(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise Missing(name)
    return found


def _text(body: dict[str, Any], name: str) -> str:
    found = body.get(name)
    return found if isinstance(found, str) else ""


def _bounded(text: str, longest: int, name: str) -> None:
    if not text:
        raise Missing(name)
    if len(text) > longest:
        raise Refused(100, f"Param {name} must be at most {longest} characters long.")
