"""Amazon SNS: topics, subscriptions over HTTP, and messages signed by a certificate of its own.

In: event records to publish. Out: posts to the confirmed endpoints of a topic, in SNS's envelope,
headers and signature (version 1 or 2, as the topic says); the certificate where the envelope says
it is; and confirmations, which are taken by the token that only the endpoint was told.
"""

import base64
import secrets
import uuid
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from urllib.parse import parse_qsl, quote

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from deploy.sandbox.clock import machine_now
from deploy.sandbox.ses_records import instant
from deploy.sandbox.ses_store import Account
from deploy.sandbox.truth import Entry
from deploy.sandbox.webhooks import Delivery, Fate, Webhooks
from deploy.sandbox.wire import Answer, Request

KEY_BITS = 2_048
CERTIFICATE_DAYS = 400
CERTIFICATE_PREFIX = "/SimpleNotificationService-"
XML = b"text/xml"
CONFIRMED = b"""<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">\
<ConfirmSubscriptionResult><SubscriptionArn>%s</SubscriptionArn></ConfirmSubscriptionResult>\
</ConfirmSubscriptionResponse>"""
WRONG_TOKEN = b"""<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error>\
<Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid token</Message></Error>\
</ErrorResponse>"""
_HASHES: Mapping[str, type[hashes.SHA1 | hashes.SHA256]] = {
    "1": hashes.SHA1,  # SNS's default
    "2": hashes.SHA256,
}

_encoder = msgspec.json.Encoder()


class Notary:
    """The key that messages are signed with, and its certificate; made when first needed."""

    def __init__(self, key: rsa.RSAPrivateKey | None = None) -> None:
        """Sign with `key`, or with a fresh one."""
        self._given = key

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """The private key."""
        return self._given or rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)

    @cached_property
    def certificate(self) -> x509.Certificate:
        """A certificate in the name that SNS's own has, signed by itself."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = machine_now()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName("sns.amazonaws.com")]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )

    @cached_property
    def path(self) -> str:
        """Where the certificate is served."""
        digest = self.certificate.fingerprint(hashes.SHA256()).hex()[:32]
        return f"{CERTIFICATE_PREFIX}{digest}.pem"

    @property
    def pem(self) -> bytes:
        """The certificate as it is served."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, envelope: Mapping[str, str]) -> str:
        """Return the signature of an envelope, in the version that it names."""
        text = "".join([f"{name}\n{envelope[name]}\n" for name in signed_names(envelope)])
        kind = _HASHES[envelope["SignatureVersion"]]
        return base64.b64encode(self.key.sign(text.encode(), padding.PKCS1v15(), kind())).decode()


def signed_names(envelope: Mapping[str, str]) -> list[str]:
    """Return what the signature covers, in its order."""
    if envelope["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = [
            "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
        ]  # fmt: skip
    return [name for name in names if name in envelope]


class _Subscribed(msgspec.Struct):
    """One endpoint of a topic."""

    endpoint: str
    arn: str
    token: str
    confirmed: bool


class Topics:
    """Topics, their endpoints, and what is published to them."""

    def __init__(self, webhooks: Webhooks, notary: Notary | None = None) -> None:
        """Post through `webhooks`, sign by `notary`."""
        self._webhooks = webhooks
        self._notary = notary or Notary()
        self._subscribed: dict[str, list[_Subscribed]] = {}

    def takes(self, path: str) -> bool:
        """Claim certificates and confirmations."""
        return path == "/" or path.startswith(CERTIFICATE_PREFIX)

    def handle(self, request: Request) -> Answer:
        """Serve the certificate, or take a confirmation."""
        if request.path == self._notary.path:
            return Answer(200, self._notary.pem, content_type=b"application/x-pem-file")
        asked = dict(parse_qsl(request.query))
        if request.path != "/" or asked.get("Action") != "ConfirmSubscription":
            return Answer(404, b"")
        for each in self._subscribed.get(asked.get("TopicArn", ""), []):
            if each.token == asked.get("Token"):
                each.confirmed = True
                return Answer(200, CONFIRMED % each.arn.encode(), content_type=XML)
        return Answer(400, WRONG_TOKEN, content_type=XML)

    def subscribe(self, account: Account) -> list[bool]:
        """Replace a topic's endpoints; ask those that must confirm. Return who has confirmed."""
        made = [
            _Subscribed(
                endpoint=each.endpoint,
                arn=f"{account.topic_arn}:{uuid.uuid4()}",
                token=secrets.token_hex(64),
                confirmed=each.confirmed,
            )
            for each in account.subscriptions
        ]
        self._subscribed[account.topic_arn] = made
        for each in made:
            if not each.confirmed:
                self._ask(account, each)
        return [each.confirmed for each in made]

    def confirmed(self, topic_arn: str) -> list[bool]:
        """Say of each endpoint of a topic whether it has confirmed."""
        return [each.confirmed for each in self._subscribed.get(topic_arn, [])]

    def publish(self, account: Account, message: str, entry: Entry, fate: Fate) -> None:
        """Post a message to the endpoints of an account's topic; `fate` gets the first's answer."""
        confirmed = [each for each in self._subscribed.get(account.topic_arn, []) if each.confirmed]
        if not confirmed:
            fate(None)
            return
        fields = {"Type": "Notification", "Message": message}
        self._post(account, confirmed[0], fields, (entry,), fate)
        for each in confirmed[1:]:
            self._post(account, each, fields, (), lambda _: None)

    def _ask(self, account: Account, each: _Subscribed) -> None:
        topic = account.topic_arn
        query = f"Action=ConfirmSubscription&TopicArn={quote(topic, safe='')}&Token={each.token}"
        text = (
            f"You have chosen to subscribe to the topic {topic}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message."
        )
        fields = {
            "Type": "SubscriptionConfirmation",
            "Message": text,
            "Token": each.token,
            "SubscribeURL": f"{account.origin}/?{query}",
        }
        self._post(account, each, fields, (), lambda _: None)

    def _post(
        self,
        account: Account,
        each: _Subscribed,
        fields: Mapping[str, str],
        entries: tuple[Entry, ...],
        fate: Fate,
    ) -> None:
        body, headers = self.sealed(account, fields, each.arn)
        head = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head += f"Content-Length: {len(body)}\r\n\r\n"
        self._webhooks.post(Delivery(each.endpoint, head.encode(), body, entries, fate))

    def sealed(
        self, account: Account, fields: Mapping[str, str], arn: str
    ) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of a message as SNS posts it."""
        envelope = {
            "MessageId": str(uuid.uuid4()),
            "TopicArn": account.topic_arn,
            "Timestamp": instant(machine_now()),
            "SignatureVersion": account.signature_version,
            **fields,
        }
        envelope["Signature"] = self._notary.sign(envelope)
        envelope["SigningCertURL"] = f"{account.origin}{self._notary.path}"
        headers = {
            "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": account.topic_arn,
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
        }
        if envelope["Type"] == "Notification":
            envelope["UnsubscribeURL"] = f"{account.origin}/?Action=Unsubscribe"
            headers["x-amz-sns-subscription-arn"] = arn
        return _encoder.encode(envelope), headers
