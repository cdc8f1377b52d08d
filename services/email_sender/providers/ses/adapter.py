"""Amazon SES v2 as a provider: send, authenticate, read_webhook, and what SNS wants to be asked.

In: mails and accounts; SNS's webhooks. Out: results and receipts in the runtime's words. A mail
goes out as raw MIME, the same that goes by SMTP, with a message tag that names the attempt: events
bring it back. SES signs it (DKIM) itself, for it sets Date and Message-ID anew. It tries for up to
14 hours, which a configuration set may shorten but no message can: no validity.
"""

import base64
from collections.abc import Sequence
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from services.email_sender.message import Email
from services.email_sender.mime import MimeError, compose_mime
from services.email_sender.providers.ses.answers import read_send_answer
from services.email_sender.providers.ses.certificates import Certificates
from services.email_sender.providers.ses.events import REFERENCE_TAG, read_record
from services.email_sender.providers.ses.notifications import (
    NOTIFICATION,
    SUBSCRIPTION,
    UNSUBSCRIPTION,
    Envelope,
    is_signed,
    read_envelope,
    worth_checking,
)
from services.email_sender.providers.ses.places import (
    Place,
    notification_origin,
    place_of,
    topics_of,
)
from services.email_sender.providers.ses.signing import signed_headers
from shared.sender.calls import read_answer
from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import (
    Account,
    Capabilities,
    KeyUnavailableError,
    Refused,
    Sending,
    SendResult,
    UnreadableWebhookError,
    WebhookAnswer,
    WebhookEvent,
    WebhookRequest,
)
from shared.telemetry import logs

PATH = "/v2/email/outbound-emails"
TOPIC_HEADER = "x-amz-sns-topic-arn"
SNS_VERSION = "2010-03-31"
SERVER_ERROR_FIRST = 500

_log = logs.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class Ses:
    """The adapter; one keeps the certificates of a process."""

    name = "ses"
    capabilities = Capabilities(echoes_reference=True)
    webhook_answer = WebhookAnswer(body=b"", content_type="text/plain")
    credential_names: Sequence[str] = ("access_key_id", "secret_access_key")

    def __init__(self) -> None:
        self._certificates = Certificates()

    async def send(
        self,
        client: aiohttp.ClientSession,
        account: Account,
        message: Email,
        sending: Sending,
    ) -> SendResult:
        """Send one mail."""
        if any(not account.credentials.get(name) for name in self.credential_names):
            return Refused(error=SendError(kind=ErrorKind.BAD_CREDENTIALS, code="incomplete"))
        place = place_of(account.settings)
        if isinstance(place, str):
            return _settings_refused(place)
        try:
            body = request_body(place, account, message, sending)
        except MimeError as error:
            return _settings_refused(str(error))
        url = place.endpoint + PATH
        async with client.post(
            URL(url, encoded=True),
            data=body,
            headers=signed_headers(url, body, place.region, account.credentials),
            allow_redirects=False,
        ) as response:
            return read_send_answer(response.status, await read_answer(response), response.headers)

    async def prepare(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        """Fetch the certificate of a webhook that is right in everything else."""
        envelope = _plausible(request, account)
        if envelope is not None:
            await self._certificates.fetch(client, envelope.signing_cert_url)

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Check topic, age and signature; the certificate has been fetched by `prepare`."""
        envelope = _plausible(request, account)
        if envelope is None or request.received_at is None:
            return False
        return is_signed(envelope, self._certificates, request.received_at)

    async def confirm(
        self, client: aiohttp.ClientSession, request: WebhookRequest, account: Account
    ) -> None:
        """Confirm a subscription to a topic of the account.

        Not by the address in the message: the token goes to SNS in the topic's own region.
        """
        envelope = read_envelope(request.body)
        if envelope.type == UNSUBSCRIPTION:
            _log.error("notifications_unsubscribed", account_id=account.account_id)
        if envelope.type != SUBSCRIPTION or not envelope.token:
            return
        origin = notification_origin(account.settings, envelope.topic_arn)
        query = {
            "Action": "ConfirmSubscription",
            "TopicArn": envelope.topic_arn,
            "Token": envelope.token,
            "Version": SNS_VERSION,
        }
        status = await _get(client, f"{origin}/?{urlencode(query)}")
        _log.info("notifications_confirmed", account_id=account.account_id, status=status)

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Read a notification; what is about a subscription says nothing of mails."""
        envelope = read_envelope(body)
        return read_record(envelope.message) if envelope.type == NOTIFICATION else ()


def request_body(place: Place, account: Account, message: Email, sending: Sending) -> bytes:
    """Return the request for one mail; the sender is that of its From header."""
    raw = compose_mime(message, account, sending).as_bytes()
    return _encoder.encode(
        {
            "Destination": {"ToAddresses": [message.to]},
            "Content": {"Raw": {"Data": base64.b64encode(raw).decode()}},
            "ConfigurationSetName": place.configuration_set,
            "EmailTags": [{"Name": REFERENCE_TAG, "Value": sending.reference}],
        }
    )


def _settings_refused(option: str) -> Refused:
    error = SendError(kind=ErrorKind.ACCOUNT_SETTINGS, code=f"settings: {option}")
    return Refused(error=error)


def _plausible(request: WebhookRequest, account: Account) -> Envelope | None:
    """Return the envelope when only its signature is left to check."""
    now, topic = request.received_at, request.headers.get(TOPIC_HEADER)
    if topic not in topics_of(account.settings):
        return None  # a stranger's bytes are not even parsed
    try:
        envelope = read_envelope(request.body)
    except UnreadableWebhookError:
        return None
    if now is None or envelope.topic_arn != topic:
        return None
    return envelope if worth_checking(envelope, account.settings, now) else None


async def _get(client: aiohttp.ClientSession, url: str) -> int:
    """Return the status of SNS's answer; raise `KeyUnavailableError` when it gave none."""
    try:
        async with client.get(URL(url, encoded=True), allow_redirects=False) as response:
            await read_answer(response)
            if response.status < SERVER_ERROR_FIRST:
                return response.status
            reason = f"answered {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        reason = type(error).__name__
    msg = f"the subscription could not be confirmed ({reason})"
    raise KeyUnavailableError(msg)
