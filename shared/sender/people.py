"""What webhooks tell of people: who wants to be left alone, who wrote, who goes by which names.

In: events of webhooks, outcomes of calls. Out: holds, and what the channel's memory is told. A
person may write under a name that we never wrote to: a stop holds every address behind it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from shared.events import identities
from shared.events.hold import Hold, subject_of
from shared.postgres import Connection, Pool
from shared.privacy import address_digest
from shared.sender.buttons import OPT_OUT
from shared.sender.channel import Channel
from shared.sender.memory import Heard, Named
from shared.sender.provider import Accepted, InboundReply, StatusReceipt, WebhookEvent
from shared.sender.recording import Outcome
from shared.sender.store.receipts import RawReceipt


class People:
    """Names of people on one channel, digested; `service` is the origin of the holds."""

    def __init__(self, channel: Channel[Any], address_key: bytes, service: str) -> None:
        self._channel = channel
        self._key = address_key
        self._service = service

    def digest(self, address: str) -> str:
        """Return the digest under which an address is known."""
        return address_digest(self._key, self._channel.name, address)

    def digests(self, event: InboundReply | StatusReceipt) -> tuple[str, ...]:
        """Return the digests of every name in an event, the likeliest address first."""
        first = (event.from_address,) if isinstance(event, InboundReply) else ()
        return tuple(self.digest(each) for each in (*first, *event.other_addresses))

    def stops(self, events: Iterable[WebhookEvent], raw: RawReceipt) -> tuple[Hold, ...]:
        """Return the holds of who wants to be left alone, one per name in the event itself."""
        holds = []
        for event in events:
            if isinstance(event, InboundReply) and self._asks_for_silence(event):
                holds += [self._stop(each, "opted_out", raw) for each in self.digests(event)]
            elif isinstance(event, StatusReceipt) and event.complained_by is not None:
                holds.append(self._stop(self.digest(event.complained_by), "complained", raw))
        return tuple(holds)

    async def stops_elsewhere(
        self, pool: Pool, events: Iterable[WebhookEvent], raw: RawReceipt
    ) -> tuple[Hold, ...]:
        """Return the holds of addresses that only the channel's memory knows the person by."""
        memory = self._channel.memory
        replies = [each for each in events if isinstance(each, InboundReply)]
        silent = [each for each in replies if self._asks_for_silence(each)]
        if memory is None or not silent:
            return ()
        names = [digest for each in silent for digest in self.digests(each)]
        async with pool.acquire() as conn:
            known = await memory.known_as(conn, raw.tenant_id, names)
        return tuple(self._stop(each, "opted_out", raw) for each in known if each not in names)

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

    def _asks_for_silence(self, reply: InboundReply) -> bool:
        return reply.button == OPT_OUT or self._channel.is_opt_out(reply.text)

    def _stop(self, digest: str, reason: str, raw: RawReceipt) -> Hold:
        subject = subject_of("address", raw.tenant_id, f"{self._channel.name}:{digest}")
        return Hold(
            hold_id=identities.hold_id(raw.receipt_id, "address", subject),
            tenant_id=raw.tenant_id,
            scope="address",
            subject=subject,
            reason=reason,
            version=1,
            state="active",
            placed_at=raw.received_at,
            origin=self._service,
        )
