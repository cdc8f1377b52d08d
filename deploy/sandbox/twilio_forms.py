"""The form of a message: decoded, checked as Twilio checks it, turned into a message resource.

In: form bytes. Out: a `Message`, valid or not, and `validate`, which refuses it with Twilio's code.
Parameters that are not known are ignored, as Twilio does. The reference in the callback URL's query
(c, a, d) is ours: the provider itself makes nothing of it, the truth log does.
"""

import re
from datetime import datetime
from urllib.parse import unquote

from deploy.sandbox.intake import Refused
from deploy.sandbox.messages import Message
from deploy.sandbox.truth import recipient_digest
from deploy.sandbox.twilio_store import Account, new_sid

PROVIDER = "twilio"
BODY_CHARACTERS_MAX = 1_600
VALIDITY_SECONDS_MAX = 36_000

_COMMON_ESCAPES = (
    ("%3A", ":"), ("%2F", "/"), ("%3F", "?"), ("%3D", "="), ("%26", "&"), ("%2B", "+"),
    ("%2C", ","), ("%24", "$"),
)  # fmt: skip
_E164 = re.compile(r"\+?[1-9]\d{6,14}")
_URL = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?")


def parse_form(body: bytes) -> dict[str, str]:
    """Decode a form body, several times faster than `parse_qsl`; the last of a name wins."""
    form: dict[str, str] = {}
    for pair in body.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        if "+" in value:
            value = value.replace("+", " ")
        if "%" in value:
            value = _unescaped(value)
        form[unquote(name) if "%" in name else name] = value
    return form


def _unescaped(value: str) -> str:
    """Undo percent escapes; the few that callback URLs are full of by plain replacement."""
    if "%25" not in value:
        for code, character in _COMMON_ESCAPES:
            value = value.replace(code, character)
    return unquote(value) if "%" in value else value


def draft(account: Account, form: dict[str, str], *, created: datetime, seed: str) -> Message:
    """Return the message as asked for, valid or not."""
    to = form.get("To", "")
    callback = form.get("StatusCallback") or None
    reference = parse_form(callback.partition("?")[2].encode()) if callback else {}
    validity = form.get("ValidityPeriod", "")
    to = to if to.startswith("+") or not to.isdigit() else f"+{to}"
    return Message(
        sid=new_sid(),
        provider=PROVIDER,
        account_id=account.sid,
        from_=form.get("From", ""),
        to=to,
        body=form.get("Body", ""),
        created=created,
        callback_url=callback,
        validity_seconds=int(validity) if validity.isdecimal() else VALIDITY_SECONDS_MAX,
        contact_id=reference.get("c"),
        attempt_id=reference.get("a"),
        debtor_id=reference.get("d"),
        person=recipient_digest(seed, to),
    )


def validate(form: dict[str, str]) -> None:
    """Refuse what Twilio refuses whatever the account; raises `Refused`."""
    _validate_numbers(form.get("To", ""), form.get("From", ""))
    body = form.get("Body", "")
    if not body:
        raise Refused(21602)
    if len(body) > BODY_CHARACTERS_MAX:
        raise Refused(21617)
    validity = form.get("ValidityPeriod")
    if validity is not None and not (
        validity.isdecimal() and 1 <= int(validity) <= VALIDITY_SECONDS_MAX
    ):
        raise Refused(21624)
    callback = form.get("StatusCallback")
    if callback and not _URL.fullmatch(callback):
        raise Refused(21609, callback)


def _validate_numbers(to: str, from_: str) -> None:
    if not to:
        raise Refused(21604)
    if not _E164.fullmatch(to):
        raise Refused(21211, to)
    if not from_:
        raise Refused(21603)
    if to == from_:
        raise Refused(21266)
