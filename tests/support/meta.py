"""WhatsApp in tests: one sandbox account with its templates, and pywa pointed at the sandbox.

In: a sandbox's URL, a receiver's URL. Out: the account as the sandbox registers it, and Meta's
community SDK as its client and as the judge of its webhooks.
"""

from typing import Any

import httpx
from pywa.client import WhatsApp

NUMBER_ID = "106540352242922"
NUMBER = "+5511400028922"
WABA_ID = "102290129340398"
TOKEN = "EAAG-example-token"
EXPIRED_TOKEN = "EAAG-expired-token"
SECRET = "meta-app-secret"
VERIFY_TOKEN = "verify-me"
GRAPH_VERSION = 25.0
REMINDER = {
    "name": "payment_reminder",
    "language": "pt_BR",
    "category": "UTILITY",
    "body": "Olá {{1}}, seu pagamento de {{2}} vence hoje.",
    "buttons": ["Prometo pagar", "Falar com pessoa", "Não quero receber"],
}
OFFER = {
    "name": "settlement_offer",
    "language": "pt_BR",
    "category": "MARKETING",
    "body": "Oferta para {{1}}: pague {{2}}.",
}
PAUSED = {**REMINDER, "name": "paused_reminder", "status": "PAUSED", "buttons": []}
DISABLED = {**REMINDER, "name": "disabled_reminder", "status": "DISABLED", "buttons": []}


def account(webhook_url: str | None, **changes: Any) -> dict[str, Any]:
    """The registration of the sandbox's account."""
    number: dict[str, Any] = {"phone_number_id": NUMBER_ID, "number": NUMBER}
    if webhook_url is not None:
        number["webhook_url"] = webhook_url
    return {
        "provider": "meta",
        "waba_id": WABA_ID,
        "access_token": TOKEN,
        "app_secret": SECRET,
        "numbers": [number],
        "templates": [REMINDER, OFFER, PAUSED, DISABLED],
        "pair_seconds": 0.0,
        **changes,
    }


class _Redirected(httpx.HTTPTransport):
    """Sends what is meant for graph.facebook.com to the sandbox."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = httpx.URL(url)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port
        )
        request.headers["host"] = f"{self._url.host}:{self._url.port}"
        return super().handle_request(request)


def client(url: str, token: str = TOKEN) -> WhatsApp:
    """pywa, as a business that uses the sandbox for Meta."""
    session = httpx.Client(transport=_Redirected(url), timeout=5)
    return WhatsApp(phone_id=NUMBER_ID, token=token, session=session, api_version=GRAPH_VERSION)
