"""One click and it is over: the door behind List-Unsubscribe (RFC 8058), and the page for people.

In: a POST of the recipient's mail program, or of the button on the page that a GET shows. Out: an
opt-out of the address that the mail went to, obeyed before the answer. A GET alone changes nothing:
scanners follow links. The seal in the URL is the authentication; nothing personal stands in it.
"""

from collections.abc import Sequence
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.email_sender.returns import ONE_CLICK
from shared.events.configuration import SenderAccount
from shared.http.edge import RawRoute, raw_route, trace_of
from shared.http.operations import body, operation, parameter
from shared.http.problems import Problem
from shared.postgres import TRANSIENT_ERRORS
from shared.sender.doors import Surroundings
from shared.sender.provider import Account, WebhookRequest
from shared.telemetry import logs, metrics

PATH = "/unsubscribe/{tenant_id}/{account_id}/{reference}"
WORDS = b"List-Unsubscribe=One-Click"
BODY_BYTES_MAX = 1_024  # the form has 26; some programs send it as multipart
RETRY_SECONDS = "5"
_PARAMETERS = [
    parameter(name, "path", text, {"type": "string"}, required=True)
    for name, text in (
        ("tenant_id", "tenant"),
        ("account_id", "account"),
        ("reference", "the mail and our seal over it, as List-Unsubscribe names it"),
    )
]
OPERATIONS = {
    "POST": operation(
        "unsubscribe", gives=None, meaning="Obeyed", refuses=(400, 404), parameters=_PARAMETERS
    )
    | {
        "tags": ["webhooks"],
        "summary": "Opt the recipient of one mail out of e-mail (RFC 8058)",
        "requestBody": body(
            {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["List-Unsubscribe"],
                        "properties": {"List-Unsubscribe": {"const": "One-Click"}},
                    }
                },
            }
        ),
    },
    "GET": operation(
        "ask_to_unsubscribe",
        gives=None,
        meaning="A page with a button that posts; nothing has changed",
        refuses=(404,),
        parameters=_PARAMETERS,
    )
    | {"tags": ["webhooks"], "summary": "Show a person the button"},
}
for _told in OPERATIONS.values():
    _told["responses"]["200"]["content"] = {"text/html": {"schema": {"type": "string"}}}
_HEAD = (
    '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="robots" content="noindex"><title>E-mail</title><body style="font:1.1em sans-serif;'
    'max-width:32em;margin:4em auto;padding:0 1em">'
)
ASK = (
    f"{_HEAD}<p>Não quer mais receber estes e-mails?<br>¿No quiere recibir más estos correos?<br>"
    "Do you want to stop receiving these e-mails?</p>"
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    '<button style="font:inherit;padding:.5em 1em">Não receber mais · No recibir más · '
    "Unsubscribe</button></form>"
)
DONE = (
    f"{_HEAD}<p>Pronto: não enviaremos mais e-mails sobre este assunto.<br>"
    "Listo: no enviaremos más correos sobre este asunto.<br>"
    "Done: we will send no more e-mails about this matter.</p>"
)

_log = logs.get_logger(__name__)


class UnsubscribeDoor:
    """The HTTP route."""

    name = "unsubscribe"

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def routes(self) -> Sequence[RawRoute]:
        """Return the one route; the sealed reference in its path is its authentication."""
        return (
            raw_route(PATH, self.take, methods=("GET", "POST"), public=True, operation=OPERATIONS),
        )

    async def start(self) -> None:
        """Nothing: HTTP only."""

    async def stop(self) -> None:
        """Nothing: HTTP only."""

    async def take(self, request: Request) -> Response:
        """Show the button, or obey."""
        account, reference = self._addressed(request)
        if request.method == "GET":
            return _page(ASK)
        if WORDS not in await _body(request):
            raise Problem(400, detail="Send the form List-Unsubscribe=One-Click.")
        webhook = WebhookRequest(
            url=request.url.path,
            headers={},
            body=ONE_CLICK + reference.encode("ascii"),
            traceparent=trace_of(request),
        )
        try:
            await self._surroundings.receive(account, webhook)
        except TRANSIENT_ERRORS as error:
            _log.error("unsubscribe_not_stored", error_type=type(error).__name__)
            detail = "It could not be stored; send it again."
            raise Problem(503, detail=detail, headers={"Retry-After": RETRY_SECONDS}) from error
        return _page(DONE)

    def _addressed(self, request: Request) -> tuple[Account, str]:
        tenant_id, account_id, reference = (
            unquote(request.path_params[name]) for name in ("tenant_id", "account_id", "reference")
        )
        around = self._surroundings
        settings = around.directory.body("account", tenant_id, account_id, SenderAccount)
        if settings is None and not around.configured():
            raise Problem(503, headers={"Retry-After": RETRY_SECONDS})
        # Both seals: the shorter reference stands in every Message-ID, for all who see a header.
        genuine = (
            around.callbacks.read_reference(tenant_id, account_id, reference) is not None
            and around.callbacks.debtor_in(tenant_id, account_id, reference) is not None
        )
        if settings is None or not genuine:
            metrics.SENDER_WEBHOOKS.labels("forged").inc()
            raise Problem(404, detail="This link was not made by this service.")
        account = Account(
            tenant_id=tenant_id, account_id=account_id, settings=settings, credentials={}
        )
        return account, reference


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Problem(413, headers={"Connection": "close"})
    return body


def _page(html: str) -> Response:
    return HTMLResponse(
        html, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    )
