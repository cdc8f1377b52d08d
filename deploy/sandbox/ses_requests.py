"""A SendEmail request: read, turned into a mail, checked as SES checks it.

In: the body of a request. Out: a `Mail`, and `validate`, which refuses it with SES's code and text.
Members that are not known are ignored, as Amazon does; members of the wrong kind are not. What
Amazon documents as a limit is a limit here. The reference in the message tag is ours: SES makes
nothing of it, the truth log does.
"""

import base64
import binascii
import re
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses

import msgspec

from deploy.sandbox.intake import Refused
from deploy.sandbox.references import named
from deploy.sandbox.ses_store import Account, Mail, new_message_id
from deploy.sandbox.truth import recipient_digest

PROVIDER = "ses"
RECIPIENTS_MAX = 50
TAGS_MAX = 50
TAG_CHARS_MAX = 256
LINE_BYTES_MAX = 1_000  # with its CRLF, RFC 5321
SIMULATOR = "@simulator.amazonses.com"
REFERENCE_TAG = "reference"

# Headers that SES takes once only, as far as mails like ours have them.
ONCE = frozenset({
    "auto-submitted", "content-language", "content-transfer-encoding", "content-type", "date",
    "dkim-signature", "from", "in-reply-to", "list-id", "list-unsubscribe",
    "list-unsubscribe-post", "message-id", "mime-version", "precedence", "references", "reply-to",
    "return-path", "sender", "subject",
})  # fmt: skip

_TAG = re.compile(r"[A-Za-z0-9_.@-]+")
_ADDRESS = re.compile(r"[!-~]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_HEADER_NAME = re.compile(r"[!-9;-~]{1,126}")
_HEADER_VALUE = re.compile(r"[ -~]{1,995}")


class _Text(msgspec.Struct, frozen=True):
    Data: str
    Charset: str | None = None


class _Body(msgspec.Struct, frozen=True):
    Text: _Text | None = None
    Html: _Text | None = None


class _Pair(msgspec.Struct, frozen=True):
    Name: str
    Value: str


class _Simple(msgspec.Struct, frozen=True):
    Subject: _Text
    Body: _Body
    Headers: list[_Pair] = []


class _Raw(msgspec.Struct, frozen=True):
    Data: str


class _Content(msgspec.Struct, frozen=True):
    Simple: _Simple | None = None
    Raw: _Raw | None = None
    Template: dict[str, object] | None = None


class _Destination(msgspec.Struct, frozen=True):
    ToAddresses: list[str] = []
    CcAddresses: list[str] = []
    BccAddresses: list[str] = []

    @property
    def all(self) -> list[str]:
        """Every recipient."""
        return [*self.ToAddresses, *self.CcAddresses, *self.BccAddresses]


class Body(msgspec.Struct, frozen=True):
    """The members of a SendEmail request that mean something here."""

    Content: _Content
    FromEmailAddress: str | None = None
    Destination: _Destination = _Destination()
    ReplyToAddresses: list[str] = []
    EmailTags: list[_Pair] = []
    ConfigurationSetName: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """A request as it was understood: its body, and the MIME message that would go out."""

    body: Body
    mime: EmailMessage
    recipients: tuple[str, ...]
    senders: tuple[str, ...]


def read(raw: bytes) -> Asked:
    """Read a request; raise `Refused`."""
    try:
        body = msgspec.json.decode(raw, type=Body)
    except msgspec.ValidationError as refusal:
        raise Refused("SerializationException", str(refusal)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused("SerializationException", "The request is not JSON.") from None
    mime = _mime(body)
    sender = [body.FromEmailAddress] if body.FromEmailAddress else []
    senders = [each for _, each in getaddresses([*sender, *_values(mime, "From")])]
    recipients = body.Destination.all or _values(mime, "To", "Cc", "Bcc")
    return Asked(
        body=body,
        mime=mime,
        recipients=tuple([each for _, each in getaddresses(recipients)]),
        senders=tuple(dict.fromkeys(senders)),
    )


def draft(asked: Asked, account: Account, *, created: datetime, seed: str) -> Mail:
    """Return the mail as asked for, valid or not."""
    to = asked.recipients[0] if asked.recipients else ""
    tags = tuple([(pair.Name, pair.Value) for pair in asked.body.EmailTags])
    contact_id, attempt = named(dict(tags).get(REFERENCE_TAG, ""))
    text = asked.mime.get_body(("plain", "html"))
    return Mail(
        sid=new_message_id(),
        provider=PROVIDER,
        account_id=account.access_key_id,
        from_=asked.senders[0] if asked.senders else "",
        to=to,
        body=text.get_content() if text is not None else "",
        created=created,
        contact_id=contact_id,
        attempt_id=attempt,
        person=recipient_digest(seed, to),
        subject=str(asked.mime.get("Subject", "")),
        headers=tuple([(name, str(value)) for name, value in asked.mime.items()]),
        tags=tags,
        configuration_set=asked.body.ConfigurationSetName,
        html=asked.mime.get_body(("html",)) is not None,
    )


def validate(asked: Asked, account: Account) -> None:
    """Refuse what SES refuses; raises `Refused`."""
    if account.suspended:
        raise Refused("AccountSuspendedException")
    if not account.sending_enabled:
        raise Refused("SendingPausedException")
    _validate_addresses(asked)
    _validate_tags(asked.body.EmailTags)
    configuration_set = asked.body.ConfigurationSetName
    if configuration_set is not None and configuration_set not in account.configuration_sets:
        shown = f"Configuration set <{configuration_set}> does not exist."
        raise Refused("NotFoundException", shown)
    _validate_mime(asked.mime)
    _validate_identities(asked, account)


def _mime(body: Body) -> EmailMessage:
    given = [body.Content.Simple, body.Content.Raw, body.Content.Template]
    if sum(each is not None for each in given) != 1:
        raise Refused("BadRequestException", "Content must be one of Simple, Raw and Template.")
    if body.Content.Raw is not None:
        return _raw(body.Content.Raw)
    if body.Content.Simple is not None:
        return _simple(body.Content.Simple, body)
    raise Refused("NotFoundException", "The template does not exist.")


def _raw(content: _Raw) -> EmailMessage:
    try:
        data = base64.b64decode(content.Data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("SerializationException", "Raw.Data is not base64.") from None
    if b"\n\n" not in data.replace(b"\r\n", b"\n"):
        raise Refused("BadRequestException", "Missing empty line between headers and body.")
    if any(len(line) > LINE_BYTES_MAX for line in data.splitlines(keepends=True)):
        raise Refused("BadRequestException", f"A line has more than {LINE_BYTES_MAX} characters.")
    return message_from_bytes(data, policy=policy.default)


def _simple(content: _Simple, body: Body) -> EmailMessage:
    if not body.FromEmailAddress:
        raise Refused("BadRequestException", "FromEmailAddress is required.")
    for pair in content.Headers:
        if not _HEADER_NAME.fullmatch(pair.Name) or not _HEADER_VALUE.fullmatch(pair.Value):
            raise Refused("BadRequestException", f"Invalid header: <{pair.Name}>.")
    mime = _with_headers(content, body.FromEmailAddress)
    if content.Body.Text is None and content.Body.Html is None:
        raise Refused("BadRequestException", "Body must have Text or Html.")
    if content.Body.Text is not None:
        mime.set_content(content.Body.Text.Data)
    if content.Body.Html is not None:
        mime.add_alternative(content.Body.Html.Data, subtype="html")
    return mime


def _with_headers(content: _Simple, sender: str) -> EmailMessage:
    mime = EmailMessage(policy=policy.default)
    try:
        mime["Subject"] = content.Subject.Data
        mime["From"] = sender
        for pair in content.Headers:
            mime[pair.Name] = pair.Value
    except ValueError:
        raise Refused("BadRequestException", "Control characters are not allowed.") from None
    return mime


def _validate_addresses(asked: Asked) -> None:
    if not asked.senders:
        raise Refused("BadRequestException", "Missing required header 'From'.")
    if not asked.recipients:
        raise Refused("BadRequestException", "Recipient count is zero.")
    if len(asked.recipients) > RECIPIENTS_MAX:
        raise Refused("BadRequestException", f"Recipient count exceeds {RECIPIENTS_MAX}.")
    for address in (*asked.senders, *asked.recipients):
        if "@" not in address:
            raise Refused("BadRequestException", "Missing final '@domain'")
        if not _ADDRESS.fullmatch(address):
            raise Refused("BadRequestException", "Illegal address")


def _validate_tags(tags: list[_Pair]) -> None:
    if len(tags) > TAGS_MAX:
        raise Refused("BadRequestException", f"More than {TAGS_MAX} message tags.")
    if len({pair.Name for pair in tags}) != len(tags):
        raise Refused("BadRequestException", "Duplicate message tag.")
    for pair in tags:
        for text in (pair.Name, pair.Value):
            if len(text) > TAG_CHARS_MAX or not _TAG.fullmatch(text):
                shown = f"Invalid tag name or value: <{pair.Name}>: only alphanumeric ASCII"
                raise Refused("BadRequestException", shown)


def _validate_mime(mime: EmailMessage) -> None:
    names = [name.lower() for name in mime.keys()]  # noqa: SIM118 - a message is no mapping
    repeated = sorted({name for name in names if name in ONCE and names.count(name) > 1})
    if repeated:
        raise Refused("BadRequestException", f"Duplicate header '{repeated[0]}'.")
    for part in mime.walk():
        if part.is_multipart() and not part.get_payload():
            raise Refused("BadRequestException", "A multipart message has no parts.")


def _validate_identities(asked: Asked, account: Account) -> None:
    """Sender, and without production access recipients too, must be verified."""
    named = list(asked.senders)
    if not account.production:
        named += [each for each in asked.recipients if not each.endswith(SIMULATOR)]
    failed = [each for each in named if not _is_verified(each, account)]
    if failed:
        shown = (
            "Email address is not verified. The following identities failed the check in region "
            f"{account.region.upper()}: {', '.join(failed)}"
        )
        raise Refused("MessageRejected", shown)


def _is_verified(address: str, account: Account) -> bool:
    domain = address.rpartition("@")[2].lower()
    return any(
        identity.lower() in (address.lower(), domain)
        or ("@" not in identity and domain.endswith(f".{identity.lower()}"))
        for identity in account.identities
    )


def _values(mime: EmailMessage, *names: str) -> list[str]:
    return [str(value) for name in names for value in mime.get_all(name, [])]
