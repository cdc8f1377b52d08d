"""The door for providers: verify, obey a STOP, store raw, answer; understand afterwards.

In: `POST /webhooks/{provider}/{tenant_id}/{account_id}`, receipts and replies alike. Out: the raw
webhook in `receipt`, committed before the answer (group commit), with the hold of an opt-out in
the same transaction; then the events go to `receipts.Interpreter`. The signature is checked over
the raw bytes and the public URL; nothing else is believed before it.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shared.clock import Clock
from shared.events import envelope, identities
from shared.events.envelope import Envelope
from shared.events.hold import Hold
from shared.http.edge import RawRoute, raw_route, tell, trace_of
from shared.http.problems import Problem
from shared.postgres import TRANSIENT_ERRORS, BatchWriter, Pool, outbox
from shared.sender.about import webhook_operations
from shared.sender.asking import Asking
from shared.sender.batch_metrics import observe_batch, webhook_seconds
from shared.sender.callbacks import Callback, Callbacks
from shared.sender.channel import Channel, events_in
from shared.sender.credentials import Accounts
from shared.sender.errors import CredentialError
from shared.sender.holds import HOLD_CHANGED, Holds
from shared.sender.people import People
from shared.sender.provider import (
    Account,
    Provider,
    UnreadableWebhookError,
    WebhookEvent,
    WebhookRequest,
)
from shared.sender.store import holds as hold_store
from shared.sender.store import receipts
from shared.sender.store.receipts import RawReceipt
from shared.sender.webhook_bodies import read_body
from shared.sender.webhook_parts import answer_question, parts_of
from shared.telemetry import logs, metrics

PATH = "/webhooks/{provider}/{tenant_id}/{account_id}"
QUERY_FIELDS_MAX = 32  # ours has six
LINGER_MS = 15.0  # while busy only: fewer commits, and the answer still comes well within 50 ms
STORED_AT_ONCE_MAX = 500  # webhooks of one commit

_log = logs.get_logger(__name__)


class Arrived(msgspec.Struct, kw_only=True):
    """An authentic webhook: raw, and as far as it was understood."""

    raw: RawReceipt
    events: tuple[WebhookEvent, ...]
    holds: tuple[Hold, ...] = ()
    traceparent: str | None = None


class Webhooks:
    """Takes webhooks in."""

    def __init__(
        self,
        *,
        service: str,
        channel: Channel[Any],
        accounts: Accounts,
        callbacks: Callbacks,
        clock: Clock,
        pool: Pool,
        holds: Holds,
        people: People,
        arrived: Callable[[Arrived], None],
        hold_placed: Callable[[], None],
        configured: Callable[[], bool],
        asking: Asking,
    ) -> None:
        self._service = service
        self._channel = channel
        self._accounts = accounts
        self._callbacks = callbacks
        self._clock = clock
        self._pool = pool
        self._holds = holds
        self._people = people
        self._arrived = arrived
        self._hold_placed = hold_placed
        self._configured = configured
        self._asking = asking
        self._writer = BatchWriter(self._store, STORED_AT_ONCE_MAX, LINGER_MS)

    def route(self) -> RawRoute:
        """Return the one route; the provider's signature is its authentication."""
        told = webhook_operations(self._channel)
        return raw_route(PATH, self.take, methods=("POST", "GET"), public=True, operation=told)

    async def close(self) -> None:
        """Store what is in hand and take nothing more."""
        await self._writer.close()

    def pending(self) -> int:
        """Webhooks taken in and not stored yet."""
        return self._writer.pending()

    async def take(self, request: Request) -> Response:
        """Answer one webhook."""
        provider, account = self._addressed(request.path_params)
        if request.method == "GET":
            return answer_question(provider, account, request.query_params)
        began = time.monotonic()
        body = await read_body(request)
        webhook = WebhookRequest(
            url=self._public_url(request),
            headers={
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in request.scope["headers"]  # lower case already (ASGI)
            },
            body=body,
            received_at=self._clock.machine_now(),
            traceparent=trace_of(request),
        )
        tell(request, "regua.provider", provider.name)
        await self._asking.ask(provider, account, webhook)
        callback = self._authentic(provider, account, webhook, request)
        arrived = [
            self._understood(provider, account, part, callback)
            for part in parts_of(provider, webhook)
        ]
        try:
            new = await self._stored(arrived)
        except TRANSIENT_ERRORS as error:
            metrics.SENDER_WEBHOOKS.labels("not_stored").inc()
            _log.error("webhook_not_stored", error_type=type(error).__name__)
            detail = "The webhook could not be stored; send it again."
            raise Problem(503, detail=detail, headers={"Retry-After": "5"}) from error
        for fresh in new:
            metrics.SENDER_WEBHOOKS.labels("stored" if fresh else "repeated").inc()
        webhook_seconds(provider.name).observe(time.monotonic() - began)
        answer = provider.webhook_answer
        return Response(answer.body, 200, media_type=answer.content_type)

    async def receive(self, account: Account, webhook: WebhookRequest) -> bool:
        """Take in what came by another door of the channel, proved there; say whether it is new.

        Raises the database's passing errors: nothing was stored, and it must come again.
        """
        provider = self._channel.providers[account.settings.provider]
        arrived = self._understood(provider, account, webhook, None)
        try:
            (new,) = await self._stored([arrived])
        except TRANSIENT_ERRORS:
            metrics.SENDER_WEBHOOKS.labels("not_stored").inc()
            raise
        metrics.SENDER_WEBHOOKS.labels("stored" if new else "repeated").inc()
        return new

    def _addressed(self, path: Mapping[str, Any]) -> tuple[Provider[Any], Account]:
        provider = self._channel.providers.get(path["provider"])
        try:
            account = self._accounts.get(unquote(path["tenant_id"]), unquote(path["account_id"]))
        except CredentialError as error:
            _log.error("credential_missing", account_id=path["account_id"], reason=str(error))
            detail = "The account's secrets are not available now; send it again."
            raise Problem(503, detail=detail, headers={"Retry-After": "30"}) from error
        if provider is None or account is None or account.settings.provider != provider.name:
            metrics.SENDER_WEBHOOKS.labels("no_account").inc()
            if not self._configured():  # the account may be among what was not read yet
                raise Problem(503, headers={"Retry-After": "5"})
            raise Problem(404, detail="There is no such account at this provider.")
        return provider, account

    def _public_url(self, request: Request) -> str:
        raw_path = request.scope.get("raw_path") or request.scope["path"].encode()
        query = request.scope.get("query_string", b"").decode("latin-1")
        return self._callbacks.public(raw_path.decode("latin-1").partition("?")[0], query)

    def _authentic(
        self, provider: Provider[Any], account: Account, webhook: WebhookRequest, request: Request
    ) -> Callback | None:
        """Return the attempt that the URL names, if any; raise 403 for what is not genuine."""
        if not provider.authenticate(webhook, account):
            metrics.SENDER_WEBHOOKS.labels("forged").inc()
            raise Problem(403, detail="The webhook's signature is missing or wrong.")
        try:
            return self._callbacks.read(
                account.tenant_id,
                account.account_id,
                _query(request),
            )
        except ValueError:
            metrics.SENDER_WEBHOOKS.labels("forged").inc()
            raise Problem(403, detail="The callback URL was not made by this service.") from None

    def _understood(
        self,
        provider: Provider[Any],
        account: Account,
        webhook: WebhookRequest,
        callback: Callback | None,
    ) -> Arrived:
        now = self._clock.machine_now()
        raw = RawReceipt(
            receipt_id=receipt_id(account, webhook),
            received_on=now.date(),
            received_at=now,
            tenant_id=account.tenant_id,
            account_id=account.account_id,
            provider=provider.name,
            contact_id=callback.contact_id if callback else None,
            n=callback.n if callback else None,
            ends_on=callback.ends_on if callback else None,
            body=webhook.body,
        )
        try:
            events = events_in(self._channel, provider, webhook.body)
        except UnreadableWebhookError as error:
            metrics.SENDER_WEBHOOKS.labels("unreadable").inc()
            _log.error("webhook_unreadable", provider=provider.name, reason=str(error))
            events = ()
        holds = self._people.stops(events, raw)
        return Arrived(raw=raw, events=events, holds=holds, traceparent=webhook.traceparent)

    async def _stored(self, arrived: Sequence[Arrived]) -> Sequence[bool]:
        """Obey who wants to be left alone, at once; then store. Say which were new."""
        self._holds.remember([hold for each in arrived for hold in each.holds])
        for each in arrived:
            more = await self._people.stops_elsewhere(self._pool, each.events, each.raw)
            self._holds.remember(more)
            # The writer's address is often the one we wrote to: the same hold, told once.
            each.holds = tuple({hold.hold_id: hold for hold in (*each.holds, *more)}.values())
        return await asyncio.gather(*(self._writer.submit(each) for each in arrived))

    async def _store(self, batch: list[Arrived]) -> list[bool]:
        """Write a batch of webhooks and the holds in them; then let them be understood."""
        began = time.monotonic()
        placed = [(hold, each.traceparent) for each in batch for hold in each.holds]
        async with self._pool.transaction() as conn:
            new = await receipts.store(conn, [each.raw for each in batch])
            await self._people.hear(conn, [(each.raw, each.events) for each in batch])
            if placed:
                await hold_store.upsert(conn, [hold for hold, _ in placed])
                source = f"regua/{self._service}"
                told = [hold_envelope(hold, source, trace) for hold, trace in placed]
                await outbox.append_to_lane(conn, told)
        if placed:
            metrics.SENDER_OPT_OUTS.inc(len(placed))
            self._hold_placed()
        observe_batch("store", len(batch), began)
        results = []
        for each in batch:
            fresh = each.raw.receipt_id in new
            new.discard(each.raw.receipt_id)
            results.append(fresh)
            if fresh:
                self._arrived(each)
        return results


def hold_envelope(hold: Hold, source: str, traceparent: str | None = None) -> Envelope:
    """Return a hold as it travels on the lane, in the trace of what placed it."""
    return Envelope(
        id=identities.fact_id(hold.hold_id, HOLD_CHANGED, str(hold.version)),
        type=HOLD_CHANGED,
        source=source,
        time=hold.placed_at,
        key=str(hold.hold_id),
        tenant_id=hold.tenant_id,
        data=envelope.encode(hold),
        traceparent=traceparent,
    )


def receipt_id(account: Account, webhook: WebhookRequest) -> UUID:
    """Identity of a webhook: the same bytes to the same URL are the same webhook."""
    digest = hashlib.sha256(webhook.url.encode() + b"\x1f" + webhook.body).hexdigest()
    return uuid5(NAMESPACE_URL, f"{account.tenant_id}\x1f{account.account_id}\x1f{digest}")


def _query(request: Request) -> dict[str, str]:
    """Return the query's fields; raise `ValueError` when there are more than ever are ours."""
    text = request.scope.get("query_string", b"").decode("latin-1")
    return dict(parse_qsl(text, max_num_fields=QUERY_FIELDS_MAX))
