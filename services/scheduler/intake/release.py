"""Releasing: what waited for a debt or for a merge goes out in the transaction that ends the wait.

In: what the resolver registered and merged. Out: debts and merges written, parked events taken out
and given their identities, their holds lifted, their work items closed.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.intake.resolve import IDENTITY_COLLISION, KnownDebt, Merge, Resolver
from services.scheduler.intake.stops import parked_hold
from services.scheduler.policy.drafts import HoldChange
from services.scheduler.store import holds as hold_store
from services.scheduler.store import intake as store
from services.scheduler.store import references
from services.scheduler.store import work as work_store
from services.scheduler.store.intake import ParkedEvent
from shared.events.debt import DEBT_EVENT_TYPES, DebtEventBase, DebtRegistered
from shared.events.envelope import decode
from shared.postgres.connection import Connection

Released = tuple[ParkedEvent, DebtEventBase]


class Release:
    """The releases of one transaction."""

    def __init__(self, conn: Connection, law: datetime) -> None:
        self._conn = conn
        self._law = law

    async def after(self, resolver: Resolver) -> list[Released]:
        """Write debts and merges; return what they release, in the order in which it goes out."""
        await self._write(resolver.registered)
        released: list[Released] = []
        known = {debt_id: debt for debt_id, debt in resolver.registered.items() if not debt.fresh}
        for merge in resolver.merges:
            await references.merge_people(
                self._conn, merge.tenant_id, merged=merge.merged, into=merge.into
            )
            released.extend(await self._merged(merge, known))
        if known:
            released.extend(await self._registered(known))
        return released

    async def _write(self, debts: dict[UUID, KnownDebt]) -> None:
        rows = [
            (debt_id, debt.debtor_id, debt.portfolio_id, debt.currency)
            for debt_id, debt in debts.items()
            if debt.debtor_id and debt.portfolio_id and debt.currency
        ]
        if rows:
            await references.register_debts(self._conn, rows)

    async def _merged(self, merge: Merge, known: dict[UUID, KnownDebt]) -> list[Released]:
        """Take up registrations whose two identities are one now; others go on waiting."""
        parked = await store.take_parked_for_people(self._conn, [merge.merged, merge.into])
        released: list[Released] = []
        still: list[ParkedEvent] = []
        debts: dict[UUID, KnownDebt] = {}
        for one in parked:
            people = {_after(merge, one.debtor_id), _after(merge, one.other_debtor_id)}
            event = decode(one.event, DebtRegistered)
            if len(people) > 1 or one.debt_id is None:
                first, second = sorted(people)
                still.append(msgspec.structs.replace(one, debtor_id=first, other_debtor_id=second))
                continue
            debts[one.debt_id] = KnownDebt(
                tenant_id=one.tenant_id,
                debt_id=one.debt_id,
                fresh=False,
                debtor_id=merge.into,
                portfolio_id=event.portfolio_id,
                currency=event.currency,
            )
            released.append((one, msgspec.structs.replace(event, debtor_id=merge.into)))
        if still:
            await store.park(self._conn, still)
        await self._write(debts)
        known.update(debts)
        await self._close(IDENTITY_COLLISION, debts)
        return released

    async def _registered(self, debts: dict[UUID, KnownDebt]) -> list[Released]:
        """Take out what waited for these debts, lift its hold, close its work item."""
        parked = await store.take_parked_for_debts(self._conn, list(debts))
        lifts = []
        for debt in debts.values():
            hold_id = parked_hold(debt.tenant_id, debt.debt_id).hold_id
            lifts.append(HoldChange(hold_id=hold_id, state="lifted", reason="debt_registered"))
        await hold_store.change(self._conn, lifts)
        await self._close("parked_event", debts)
        return [
            (one, _of_debt(one, debts[one.debt_id])) for one in parked if one.debt_id is not None
        ]

    async def _close(self, kind: str, debt_ids: Iterable[UUID]) -> None:
        ids = list(debt_ids)
        if ids:
            await work_store.close_for_debts(
                self._conn, kind=kind, debt_ids=ids, decision="released"
            )


def _of_debt(parked: ParkedEvent, debt: KnownDebt) -> DebtEventBase:
    event = decode(parked.event, DEBT_EVENT_TYPES[parked.type])
    return msgspec.structs.replace(event, debtor_id=debt.debtor_id, portfolio_id=debt.portfolio_id)


def _after(merge: Merge, debtor_id: UUID | None) -> UUID:
    return merge.into if debtor_id is None or debtor_id == merge.merged else debtor_id
