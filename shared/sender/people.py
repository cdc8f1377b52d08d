"""What webhooks tell of people: who wants to be left alone, who wrote, who goes by which names.

In: events of webhooks, outcomes of calls. Out: holds, and what the channel's memory is told. A
person may write under a name that we never wrote to: a stop holds every address behind it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from shared.events import identities
from shared.events.hold import Hold, subject_of
from shared.postgres import Connection, Pool
from shared.privacy import address_digest
from shared.sender.buttons import OPT_OUT
from shared.sender.callbacks import Callbacks
from shared.sender.channel import Channel
from shared.sender.memory import Heard, Named
from shared.sender.provider import Accepted, InboundReply, StatusReceipt, WebhookEvent
from shared.sender.recording import Outcome
from shared.sender.store import receipts
from shared.sender.store.receipts import RawReceipt
from shared.telemetry import logs

_log = logs.get_logger(__name__)


class People:
    """Names of people on one channel, digested; `service` is the origin of the holds."""

    def __init__(
        self, channel: Channel[Any], address_key: bytes, service: str, callbacks: Callbacks
    ) -> None:
        self._channel = channel
        self._callbacks = callbacks
        self._key = address_key
        self._service = service

    def digest(self, address: str) -> str:
        """Return the digest under which an address is known."""
        return address_digest(self._key, self._channel.name, address)

    def digests(self, event: InboundReply | StatusReceipt) -> tuple[str, ...]:
        """Return the digests of every name in an event, the likeliest address first."""
        first = (event.from_address,) if isinstance(event, InboundReply) else ()
        return tuple(self.digest(each) for each in (*first, *event.other_addresses) if each)

    def stops(self, events: Iterable[WebhookEvent], raw: RawReceipt) -> tuple[Hold, ...]:
        """Return the holds of who wants to be left alone, one per name in the event itself."""
        holds = []
        for event in events:
            if isinstance(event, InboundReply) and self._asks_for_silence(event):
                holds += [self._stop(each, "opted_out", raw) for each in self.digests(event)]
            elif isinstance(event, StatusReceipt) and event.complained_by:
                holds.append(self._stop(self.digest(event.complained_by), "complained", raw))
        return tuple(holds)

    async def stops_elsewhere(
        self, pool: Pool, events: Iterable[WebhookEvent], raw: RawReceipt
    ) -> tuple[Hold, ...]:
        """Return the holds of addresses that an event does not name itself.

        They are those that the channel's memory knows the person by, and those to which went what
        the person answers, unsubscribes from or complains about.
        """
        silent = [each for each in events if self._wants_silence(each)]
        replies = [each for each in silent if isinstance(each, InboundReply)]
        names = [digest for each in replies for digest in self.digests(each)]
        asks_memory = self._channel.memory is not None and bool(replies)
        if not asks_memory and not any(each.our_reference for each in silent):
            return ()
        async with pool.acquire() as conn:
            known = await self.known_as(conn, raw.tenant_id, names) if asks_memory else ()
            written_to = await self._written_to(conn, silent, raw)
        others = [self._stop(each, "opted_out", raw) for each in known if each not in names]
        return (*others, *written_to)

    async def _written_to(
        self, conn: Connection, silent: Sequence[InboundReply | StatusReceipt], raw: RawReceipt
    ) -> list[Hold]:
        """Return the holds of the addresses that attempts named by events went to.

        Rows are kept for weeks, mails for ever: a link to unsubscribe then names the debtor.
        """
        holds = []
        for event in silent:
            named = (raw.tenant_id, raw.account_id, event.our_reference or "")
            place = self._callbacks.read_reference(*named)
            if place is None:
                continue
            key = (place.contact_id, place.n, place.ends_on)
            stored = (await receipts.attempts_at(conn, [key])).get(key[:2])
            reason = "opted_out" if isinstance(event, InboundReply) else "complained"
            debtor = self._callbacks.debtor_in(*named) if stored is None else None
            if stored is not None:
                holds.append(self._stop(stored.address_digest, reason, raw))
            elif debtor is not None:
                subject = subject_of("debtor", raw.tenant_id, str(debtor))
                holds.append(self._hold("debtor", subject, reason, raw))
            else:
                _log.error("stop_names_nobody", contact_id=str(place.contact_id))
        return holds

    async def hear(
        self, conn: Connection, arrived: Iterable[tuple[RawReceipt, Sequence[WebhookEvent]]]
    ) -> None:
        """Tell the channel's memory who wrote."""
        memory = self._channel.memory
        if memory is None:
            return
        heard = [
            Heard(
                tenant_id=raw.tenant_id,
                number=event.to_address,
                digests=self.digests(event),
                at=event.provider_at,
            )
            for raw, events in arrived
            for event in events
            if isinstance(event, InboundReply)
        ]
        if heard:
            await memory.hear(conn, heard)

    async def known_as(
        self, conn: Connection, tenant_id: str, digests: Sequence[str]
    ) -> Sequence[str]:
        """Return the addresses behind names; none for a channel without a memory."""
        memory = self._channel.memory
        return () if memory is None else await memory.known_as(conn, tenant_id, digests)

    async def learn(self, conn: Connection, named: Sequence[Named]) -> None:
        """Tell the channel's memory other names of people."""
        if self._channel.memory is not None and named:
            await self._channel.memory.learn(conn, named)

    async def learn_from_calls(self, conn: Connection, outcomes: Iterable[Outcome]) -> None:
        """Tell it the names that the provider gave when it took messages."""
        if self._channel.memory is None:
            return
        named = [
            Named(
                tenant_id=each.attempt.tenant_id,
                address_digest=self.digest(each.work.task.address),
                others=tuple(self.digest(name) for name in each.result.other_addresses),
            )
            for each in outcomes
            if isinstance(each.result, Accepted) and each.result.other_addresses
        ]
        await self.learn(conn, named)

    def _wants_silence(self, event: WebhookEvent) -> TypeGuard[InboundReply | StatusReceipt]:
        if isinstance(event, InboundReply):
            return self._asks_for_silence(event)
        return isinstance(event, StatusReceipt) and event.complained_by is not None

    def _asks_for_silence(self, reply: InboundReply) -> bool:
        return reply.button == OPT_OUT or self._channel.is_opt_out(reply.text)

    def _stop(self, digest: str, reason: str, raw: RawReceipt) -> Hold:
        subject = subject_of("address", raw.tenant_id, f"{self._channel.name}:{digest}")
        return self._hold("address", subject, reason, raw)

    def _hold(self, scope: str, subject: str, reason: str, raw: RawReceipt) -> Hold:
        return Hold(
            hold_id=identities.hold_id(raw.receipt_id, scope, subject),
            tenant_id=raw.tenant_id,
            scope=scope,
            subject=subject,
            reason=reason,
            version=1,
            state="active",
            placed_at=raw.received_at,
            origin=self._service,
        )
