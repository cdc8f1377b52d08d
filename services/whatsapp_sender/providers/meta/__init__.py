"""Meta's WhatsApp Cloud API: send, authenticate, challenge, split, read_webhook.

In: messages and accounts. Credentials: `access_token`, `app_secret`, `verify_token`, and during a
rotation `app_secret_next` or `app_secret_previous`, `verify_token_next`. Options:
`phone_number_id` (required), `waba_id`, `business_id`, `messaging_tier`, `graph_version`. Out:
results, receipts and replies in the runtime's words. There is no idempotency key and no look-up: a
time-out stays unknown until a status webhook, which gives back the reference that every message
carries (`biz_opaque_callback_data`). There is no validity either: a message waits at Meta until the
phone is on.
API: https://developers.facebook.com/documentation/business-messaging/whatsapp.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

import aiohttp
from yarl import URL

from services.whatsapp_sender.message import WhatsAppMessage
from services.whatsapp_sender.providers.meta import webhooks
from services.whatsapp_sender.providers.meta.answers import read_send_answer
from services.whatsapp_sender.providers.meta.request import body_of
from services.whatsapp_sender.rules import TIERS
from shared.sender.calls import read_answer
from shared.sender.errors import ErrorKind, SendError
from shared.sender.provider import (
    Account,
    Capabilities,
    Refused,
    Sending,
    SendResult,
    WebhookAnswer,
    WebhookEvent,
    WebhookRequest,
)

API_BASE = "https://graph.facebook.com"
GRAPH_VERSION = "v25.0"  # versions live about two years; an account may name another
SIGNATURE_HEADER = "x-hub-signature-256"
SIGNATURE_SCHEME = "sha256="
SECRET_NAMES = ("app_secret", "app_secret_next", "app_secret_previous")
VERIFY_NAMES = ("verify_token", "verify_token_next")
CHALLENGE_CHARS_MAX = 256
OPTIONS: Mapping[str, re.Pattern[str]] = {
    "phone_number_id": re.compile(r"\d{5,30}"),
    "waba_id": re.compile(r"\d{5,30}"),
    "business_id": re.compile(r"\d{5,30}"),
    "messaging_tier": re.compile("|".join(TIERS)),
    "graph_version": re.compile(r"v\d{1,3}\.\d"),
}
_CHALLENGE = re.compile(r"[A-Za-z0-9_.-]+")  # echoed to whoever knows the token: no markup


class Meta:
    """The adapter; `name` is the provider's name in sender accounts."""

    capabilities = Capabilities(echoes_reference=True)
    webhook_answer = WebhookAnswer(body=b"", content_type="text/plain")
    credential_names: Sequence[str] = ("access_token", "app_secret", "verify_token")

    def __init__(self, name: str = "meta") -> None:
        self.name = name

    async def send(
        self,
        client: aiohttp.ClientSession,
        account: Account,
        message: WhatsAppMessage,
        sending: Sending,
    ) -> SendResult:
        """Create one message."""
        token = account.credentials.get("access_token", "")
        url = _messages_url(account)
        if not token or url is None:
            return Refused(error=SendError(kind=ErrorKind.BAD_CREDENTIALS, code="incomplete"))
        async with client.post(
            url,
            data=body_of(message, sending.reference),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            allow_redirects=False,
        ) as response:
            return read_send_answer(response.status, await read_answer(response), response.headers)

    def authenticate(self, request: WebhookRequest, account: Account) -> bool:
        """Check X-Hub-Signature-256 over the raw bytes, against every secret that is valid now."""
        given = request.headers.get(SIGNATURE_HEADER, "").encode("latin-1", "replace")
        genuine = False
        for name in SECRET_NAMES:
            secret = account.credentials.get(name)
            if secret:  # every candidate is compared, so that time tells nothing
                genuine |= hmac.compare_digest(signature(secret, request.body).encode(), given)
        return genuine

    def check_options(self, options: Mapping[str, str]) -> str | None:
        """Return what is wrong with an account's options, naming the remedy."""
        for name, value in options.items():
            if name not in OPTIONS:
                return f"options.{name} is none of Meta's: use {', '.join(OPTIONS)}"
            if not OPTIONS[name].fullmatch(value):
                return f"options.{name} must be like {OPTIONS[name].pattern}"
        missing = "phone_number_id" not in options
        return "options.phone_number_id is missing: the id of the number" if missing else None

    def challenge(self, query: Mapping[str, str], account: Account) -> str | None:
        """Return the word that Meta wants back when the webhook's URL is set up."""
        given = query.get("hub.verify_token", "").encode()
        known = False
        for name in VERIFY_NAMES:
            token = account.credentials.get(name)
            if token:
                known |= hmac.compare_digest(token.encode(), given)
        word = query.get("hub.challenge", "")
        fits = len(word) <= CHALLENGE_CHARS_MAX and _CHALLENGE.fullmatch(word) is not None
        return word if known and fits and query.get("hub.mode") == "subscribe" else None

    def split(self, body: bytes) -> Sequence[bytes]:
        """Return one body per status, message or notice."""
        return webhooks.split(body)

    def read_webhook(self, body: bytes) -> Sequence[WebhookEvent]:
        """Read statuses, messages, preferences and notices."""
        return webhooks.read(body)


def signature(secret: str, body: bytes) -> str:
    """Return the signature header of a webhook: HMAC-SHA256 over its raw bytes."""
    return SIGNATURE_SCHEME + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _messages_url(account: Account) -> URL | None:
    options = account.settings.options
    number, version = options.get("phone_number_id", ""), options.get("graph_version", "")
    if not OPTIONS["phone_number_id"].fullmatch(number):
        return None
    base = (account.settings.base_url or API_BASE).rstrip("/")
    version = version if OPTIONS["graph_version"].fullmatch(version) else GRAPH_VERSION
    return URL(f"{base}/{version}/{number}/messages", encoded=True)
