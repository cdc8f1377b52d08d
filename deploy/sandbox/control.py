"""The sandbox's control endpoints: accounts, behaviour, faults, truth log, payments, progress.

In: JSON requests of a demo, test or campaign, each with the control key (`Authorization: Bearer`
or `X-API-Key`). Out: JSON, or NDJSON for the truth log; problem documents for what is wrong.
"""

import hmac
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Annotated
from urllib.parse import parse_qsl

import msgspec

from deploy.sandbox import behaviour
from deploy.sandbox.clock import ClockError
from deploy.sandbox.faults import Fault, FaultError
from deploy.sandbox.providers import DEFAULT
from deploy.sandbox.truth import TruthLostError
from deploy.sandbox.wire import Answer, Request
from deploy.sandbox.world import World

TRUTH_LINES_MAX = 20_000  # one answer of about 7 MB
PAYMENTS_MAX = 10_000
ADDRESSES_MAX = 20  # of one person
PROBLEM = b"application/problem+json"
NDJSON = b"application/x-ndjson"

_encoder = msgspec.json.Encoder()
_DEFAULT = msgspec.Raw(_encoder.encode(DEFAULT))


class ScriptedReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text that a test lets a debtor write now; `intent` is only noted in the truth log.

    `provider` says through whom when several wrote to this address; None: who wrote last.
    """

    recipient: str
    text: str
    intent: str | None = None
    provider: str | None = None


class ScriptedReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt that a test sends now, true or not, for an accepted message.

    `status` and `code` are in the provider's own words where they are not the sandbox's.
    """

    message_sid: str
    status: str
    code: int | str | None = None


Addresses = Annotated[list[str], msgspec.Meta(min_length=1, max_length=ADDRESSES_MAX)]
Route = Callable[[Request], "Answer | Awaitable[Answer]"]


class Control:
    """Answers everything that is not a provider's."""

    def __init__(self, world: World, key: str) -> None:
        """Control `world`; callers show `key`."""
        self._world = world
        self._key = key.encode()
        self._routes: dict[tuple[bytes, str], Route] = {
            (b"POST", "/sandbox/accounts"): self._register,
            (b"GET", "/sandbox/accounts"): self._accounts,
            (b"POST", "/sandbox/people"): self._introduce,
            (b"POST", "/sandbox/behaviour"): self._behave,
            (b"GET", "/sandbox/behaviour"): lambda _: answer(world.debtors.profile),
            (b"POST", "/sandbox/faults"): self._script,
            (b"GET", "/sandbox/faults"): lambda _: answer({"faults": world.faults.listing()}),
            (b"DELETE", "/sandbox/faults"): self._clear,
            (b"POST", "/sandbox/replies"): self._reply,
            (b"POST", "/sandbox/receipts"): self._receipt,
            (b"GET", "/sandbox/truth"): self._truth,
            (b"GET", "/sandbox/payments"): self._payments,
            (b"GET", "/v1/progress"): self._progress,
        }

    def handle(self, request: Request) -> "Answer | Awaitable[Answer]":
        """Answer one control request."""
        if request.path in {"/health/live", "/health/ready", "/health/startup"}:
            return answer({"status": "ok"})
        route = self._routes.get((request.method, request.path))
        if not self._allowed(request):
            return problem(401, "the control key is missing or wrong (Authorization: Bearer …)")
        if route is None:
            return problem(404, f"no such control endpoint: {request.path}")
        try:
            return route(request)
        except (msgspec.MsgspecError, FaultError, behaviour.ProfileError, ValueError) as error:
            return problem(422, str(error))

    def _allowed(self, request: Request) -> bool:
        shown = request.headers.get(b"x-api-key")
        if shown is None:
            scheme, _, shown = request.headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                return False
        return hmac.compare_digest(shown, self._key)

    def _register(self, request: Request) -> Answer:
        fields = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
        name = msgspec.json.decode(fields.pop("provider", _DEFAULT), type=str)
        provider = self._world.providers.get(name)
        if provider is None:
            return problem(422, f"provider must be one of {', '.join(self._world.providers)}")
        return answer(provider.register(_encoder.encode(fields)), 201)

    def _accounts(self, _: Request) -> Answer:
        accounts = [
            {"provider": name, **account}
            for name, provider in self._world.providers.items()
            for account in provider.accounts()
        ]
        return answer({"accounts": accounts})

    def _introduce(self, request: Request) -> Answer:
        """Take lists of addresses, each list one person's; the first address stands for them."""
        people = msgspec.json.decode(request.body, type=list[Addresses])
        for addresses in people:
            self._world.debtors.people.introduce(addresses)
        return answer({"people": len(people)}, 201)

    def _behave(self, request: Request) -> Answer:
        given = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
        preset = msgspec.json.decode(given.pop("preset", b'"default"'), type=str)
        if preset not in {"default", "silent"}:
            return problem(422, "preset must be default or silent")
        base = behaviour.SILENT_DEBTORS if preset == "silent" else behaviour.Profile()
        fields = {name: msgspec.json.decode(value) for name, value in given.items()}
        shape = msgspec.to_builtins(base) | fields
        profile = behaviour.check(msgspec.convert(shape, behaviour.Profile))
        self._world.behave(profile)
        return answer(profile)

    def _script(self, request: Request) -> Answer:
        faults = msgspec.json.decode(request.body, type=list[Fault] | Fault)
        rules = self._world.faults.add(faults if isinstance(faults, list) else [faults])
        return answer({"rules": rules}, 201)

    def _clear(self, _: Request) -> Answer:
        self._world.faults.clear()
        return answer({"rules": 0})

    def _reply(self, request: Request) -> Answer:
        reply = msgspec.json.decode(request.body, type=ScriptedReply)
        if not self._world.debtors.reply(reply.recipient, reply.text, reply.intent, reply.provider):
            return problem(404, "no message was accepted for this recipient yet")
        return answer({"status": "sent"}, 202)

    def _receipt(self, request: Request) -> Answer:
        receipt = msgspec.json.decode(request.body, type=ScriptedReceipt)
        found = self._world.find(receipt.message_sid)
        if found is None:
            return problem(404, "no accepted message of this SID asked for callbacks")
        provider, message = found
        provider.status(message, receipt.status, receipt.code, lambda _: None)
        return answer({"status": "sent"}, 202)

    async def _truth(self, request: Request) -> Answer:
        after, limit = _window(request, TRUTH_LINES_MAX)
        await self._settle()
        try:
            lines = list(self._world.truth.after(after, limit))
        except TruthLostError as error:
            return problem(410, str(error))
        body = b"\n".join(lines) + b"\n" if lines else b""
        return Answer(200, body, content_type=NDJSON)

    def _payments(self, request: Request) -> Answer:
        after, limit = _window(request, PAYMENTS_MAX)
        payments = self._world.debtors.payments
        return answer({"payments": list(islice(payments, after, after + limit))})

    async def _progress(self, _: Request) -> Answer:
        readable = await self._settle()
        progress = self._world.progress()
        if not readable:
            progress["pending"]["clock"] = 1
        return answer(progress)

    async def _settle(self) -> bool:
        try:
            await self._world.clock.refresh()
        except ClockError:
            return False
        return True


def answer(body: object, status: int = 200) -> Answer:
    """Return a JSON answer."""
    return Answer(status, _encoder.encode(body))


def problem(status: int, detail: str) -> Answer:
    """Return a problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": "Sandbox", "status": status, "detail": detail}
    return Answer(status, _encoder.encode(body), content_type=PROBLEM)


def _window(request: Request, largest: int) -> tuple[int, int]:
    query = dict(parse_qsl(request.query))
    after, limit = query.get("after", "0"), query.get("limit", str(largest))
    if not (after.isdecimal() and limit.isdecimal()):
        return 0, largest
    return int(after), min(int(limit), largest)
