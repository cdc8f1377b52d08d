"""WhatsApp's memory of people: service windows, other names, messaging tiers.

In: who wrote, by which names providers know people, what is about to go out. Out: judgements. The
rules are pure (`rules.py`), the rows are SQL (`store.people`); this joins them.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from services.whatsapp_sender import rules
from services.whatsapp_sender.message import WhatsAppMessage
from services.whatsapp_sender.rules import Standing
from services.whatsapp_sender.store import people as store
from services.whatsapp_sender.store.people import Begun, Place, Remembered
from shared.postgres import Connection
from shared.sender.memory import Heard, Judgement, Named, Planned
from shared.sender.provider import Account


class _Case(msgspec.Struct, frozen=True):
    """One message with what its judgement needs."""

    planned: Planned
    place: Place
    business_id: str
    people_max: int | None


class People:
    """The memory of this channel; it has no state but its tables."""

    async def hear(self, conn: Connection, heard: Sequence[Heard]) -> None:
        """Open service windows."""
        await store.hear(
            conn,
            [
                (Place(tenant_id=h.tenant_id, number_id=h.number, address_digest=digest), h.at)
                for h in heard
                for digest in h.digests
            ],
        )

    async def learn(self, conn: Connection, named: Sequence[Named]) -> None:
        """Note other names; an address is no alias of itself."""
        aliases = [
            (each.tenant_id, other, each.address_digest)
            for each in named
            for other in each.others
            if other != each.address_digest
        ]
        if aliases:
            await store.learn(conn, aliases)

    async def known_as(
        self, conn: Connection, tenant_id: str, digests: Sequence[str]
    ) -> Sequence[str]:
        """Return the addresses behind names."""
        return await store.known_as(conn, tenant_id, digests)

    async def judge(self, conn: Connection, planned: Sequence[Planned]) -> Mapping[UUID, Judgement]:
        """Judge messages one after the other, as if each had gone out before the next."""
        cases = [_case(each) for each in planned]
        standings = await store.standings(conn, [each.place for each in cases])
        begun = await self._begun(conn, cases, standings)
        judged: dict[UUID, Judgement] = {}
        started: dict[Place, Begun] = {}
        for case, known in zip(cases, standings, strict=True):
            verdict = _judge(case, known, begun)
            if verdict is not None:
                judged[case.planned.contact_id] = verdict
            elif case.place not in started and rules.begins(_standing(known), known.law):
                begun[_business(case)] = begun.get(_business(case), 0) + 1
                started[case.place] = Begun(place=case.place, business_id=case.business_id)
        if started:
            await store.begin(conn, list(started.values()))
        return judged

    async def tidy(self, conn: Connection) -> None:
        """Forget what is over."""
        await store.tidy(conn)

    async def _begun(
        self, conn: Connection, cases: Sequence[_Case], standings: Sequence[Remembered]
    ) -> dict[tuple[str, str], int]:
        """Count conversations begun, once per business whose tier could be reached now."""
        counted: dict[tuple[str, str], int] = {}
        for case, known in zip(cases, standings, strict=True):
            limited = case.people_max is not None and _business(case) not in counted
            if limited and rules.begins(_standing(known), known.law):
                counted[_business(case)] = await store.begun(conn, *_business(case))
        return counted


def number_of(account: Account) -> str:
    """Return the provider's name of the number an account writes from."""
    return account.settings.options.get("phone_number_id") or account.settings.sender


def _case(planned: Planned) -> _Case:
    settings = planned.account.settings
    number = number_of(planned.account)
    return _Case(
        planned,
        Place(
            tenant_id=planned.account.tenant_id,
            number_id=number,
            address_digest=planned.address_digest,
        ),
        settings.options.get("business_id") or settings.options.get("waba_id") or number,
        rules.people_per_day(settings.options.get("messaging_tier")),
    )


def _judge(
    case: _Case, known: Remembered, begun: Mapping[tuple[str, str], int]
) -> Judgement | None:
    message: WhatsAppMessage = case.planned.message
    return rules.judge(
        _standing(known),
        case.people_max,
        known.law,
        free_text=message.approved is None,
        begun_today=begun.get(_business(case), 0),
    )


def _standing(known: Remembered) -> Standing:
    return Standing(heard_at=known.heard_at, begun_at=known.begun_at)


def _business(case: _Case) -> tuple[str, str]:
    return case.place.tenant_id, case.business_id
