"""Notifications of Amazon SNS: their envelope, its signature, and the certificate behind it.

In: the body of a webhook, and an account. Out: the envelope, when it is genuine: from a topic of
the account, signed (version 1 or 2) by a certificate that Amazon itself serves for that topic's
region, and not too old. A certificate is fetched once and kept; its address is checked before.
How to verify: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from services.email_sender.providers.ses.certificates import Certificates
from services.email_sender.providers.ses.places import notification_origin
from shared.events.configuration import SenderAccount
from shared.sender.provider import UnreadableWebhookError

# SNS tries again for at most an hour; five minutes are for the clocks, as with its requests.
AGE_MAX = timedelta(minutes=65)
AHEAD_MAX = timedelta(minutes=5)
NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"

_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_HASHES: dict[str, Callable[[], SHA1 | SHA256]] = {
    "1": SHA1,  # SNS's default; a topic's SignatureVersion attribute makes it 2
    "2": SHA256,
}


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One message of SNS, as it is signed."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    signature_version: str
    signature: str
    signing_cert_url: str = msgspec.field(name="SigningCertURL")
    subject: str | None = None
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)
    token: str | None = None


def read_envelope(body: bytes) -> Envelope:
    """Return the envelope of a webhook; raise `UnreadableWebhookError`."""
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = "a webhook that is no SNS message (is raw message delivery switched on?)"
        raise UnreadableWebhookError(msg) from error


def worth_checking(envelope: Envelope, settings: SenderAccount, now: datetime) -> bool:
    """Say whether version, type, certificate's address and age are as they must be."""
    if envelope.signature_version not in _HASHES or envelope.type not in {
        NOTIFICATION,
        SUBSCRIPTION,
        UNSUBSCRIPTION,
    }:
        return False
    origin = notification_origin(settings, envelope.topic_arn)
    url = envelope.signing_cert_url
    if origin is None or not url.startswith(origin):
        return False
    if _CERTIFICATE_PATH.fullmatch(url.removeprefix(origin)) is None:
        return False
    try:
        sent = datetime.fromisoformat(envelope.timestamp)
    except ValueError:
        return False
    return sent.tzinfo is not None and -AHEAD_MAX <= now - sent <= AGE_MAX


def is_signed(envelope: Envelope, certificates: Certificates, now: datetime) -> bool:
    """Say whether the signature is right by a certificate that has been fetched."""
    key = certificates.key(envelope.signing_cert_url, now)
    if key is None:
        return False
    try:
        signature = base64.b64decode(envelope.signature, validate=True)
        key.verify(
            signature, signed_text(envelope), PKCS1v15(), _HASHES[envelope.signature_version]()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def signed_text(envelope: Envelope) -> bytes:
    """Return what a signature covers: names and values, in this order, each on its line."""
    fields: list[tuple[str, str | None]] = [
        ("Message", envelope.message),
        ("MessageId", envelope.message_id),
    ]
    if envelope.type == NOTIFICATION:
        fields.append(("Subject", envelope.subject))
    else:
        fields.append(("SubscribeURL", envelope.subscribe_url))
    fields.append(("Timestamp", envelope.timestamp))
    if envelope.type != NOTIFICATION:
        fields.append(("Token", envelope.token))
    fields += [("TopicArn", envelope.topic_arn), ("Type", envelope.type)]
    present = [f"{name}\n{value}\n" for name, value in fields if value is not None]
    return "".join(present).encode()
