"""One intake transaction: what it reads first, and what it writes last, as whole arrays.

In: drafts, then what `resolve` made of them. Out: rows. The order of statements is fixed: tenant
locks, debt references (the first write, sorted), look-ups, identities, debts, merges, releases,
events, parked events, holds, work items, outbox.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.intake.draft import Draft
from services.scheduler.intake.release import Release
from services.scheduler.intake.resolve import (
    IDENTITY_COLLISION,
    UNRESOLVED,
    Accepted,
    KnownDebt,
    Name,
    Parked,
    Resolver,
    names_of,
)
from services.scheduler.intake.stops import holds_of, parked_hold
from services.scheduler.store import holds as hold_store
from services.scheduler.store import intake as store
from services.scheduler.store import references
from services.scheduler.store import work as work_store
from services.scheduler.store.holds import NewHold
from services.scheduler.store.intake import ParkedEvent
from services.scheduler.store.references import DebtReference, Digest
from services.scheduler.store.work import NewWorkItem
from shared.events.contact import Reason
from shared.events.debt import DebtEventBase, DebtorMerged
from shared.events.envelope import Envelope, encode
from shared.events.identities import fact_id, time_ordered_id
from shared.events.topics import DEBT_EVENTS
from shared.postgres import outbox
from shared.postgres.connection import Connection
from shared.privacy import Keyring

SOURCE = "regua/scheduler"
PARKED_EVENT = "parked_event"


class Raced(Exception):
    """Another transaction wrote the same event or person first: start over and see its work."""


class Intake:
    """The statements of one transaction, in their order."""

    def __init__(self, conn: Connection, *, keyring: Keyring, address_key: bytes) -> None:
        self._conn = conn
        self._keyring = keyring
        self._address_key = address_key
        self._law: datetime | None = None
        self._machine: datetime | None = None
        self._digested: dict[Name, list[Digest]] = {}
        self._known_otherwise: list[tuple[Digest, UUID]] = []
        self._holds: list[NewHold] = []
        self._outgoing: list[tuple[str, Envelope]] = []

    async def read(self, drafts: Sequence[Draft]) -> tuple[Resolver, dict[UUID, bytes]]:
        """Lock and look up what the drafts name; return the resolver and the events seen before."""
        tenants = sorted({draft.tenant_id for draft in drafts})
        merging = any(draft.kind == "debtor.merged.v1" for draft in drafts)
        self._law, self._machine = await store.lock_tenants(self._conn, tenants, alone=merging)
        debts = await self._lock_debts({(d.tenant_id, d.debt_ref) for d in drafts if d.debt_ref})
        seen = await store.seen_events(self._conn, [draft.event_id for draft in drafts])
        people = await self._find_people({name for d in drafts for name in names_of(d)})
        return Resolver(self._law, debts, people), seen

    async def write(
        self, resolver: Resolver, accepted: Sequence[Accepted], parked: Sequence[Parked]
    ) -> None:
        """Write what was resolved; raise `Raced` when somebody else was quicker."""
        if not accepted and not parked:
            return
        await self._add_people(resolver.new_people)
        for one in accepted:
            self._emit(one.event, one.draft.kind, one.draft.event_id, one.draft)
            if isinstance(one.event, DebtorMerged):
                self._tell_merged(one.event, one.draft)
        await self._register(resolver)
        drafts = [one.draft for one in accepted] + [one.draft for one in parked]
        events = [(draft.event_id, draft.body_hash) for draft in drafts]
        if await store.add_events(self._conn, events) != len(events):
            raise Raced
        await self._park(parked)
        await hold_store.place(self._conn, self._holds)
        await outbox.append(self._conn, self._outgoing)

    async def _lock_debts(self, names: Iterable[tuple[str, str | None]]) -> dict[Name, KnownDebt]:
        """Insert and lock every debt reference, under every key."""
        wanted: list[tuple[Name, Digest]] = []
        ids: list[UUID] = []
        for tenant_id, ref in names:
            debt_id = time_ordered_id()
            for digest in self._digests(tenant_id, debt_name(ref or "")):
                wanted.append(((tenant_id, ref or ""), digest))
                ids.append(debt_id)
        if not wanted:
            return {}
        digests = [digest for _, digest in wanted]
        inserted = await references.add_debt_references(self._conn, digests, ids)
        rows = await references.lock_debt_references(self._conn, digests)
        found = {(row.tenant_id, row.digest): row for row in rows}
        by_name: dict[Name, list[DebtReference]] = {}
        for name, digest in wanted:
            by_name.setdefault(name, []).append(found[digest.tenant_id, digest.digest])
        return await self._aligned(by_name, inserted)

    async def _aligned(
        self, by_name: dict[Name, list[DebtReference]], inserted: set[tuple[str, bytes]]
    ) -> dict[Name, KnownDebt]:
        """One debt per name: rows made just now under a newer key follow the row that was there."""
        debts: dict[Name, KnownDebt] = {}
        behind: list[tuple[DebtReference, DebtReference]] = []
        for name, rows in by_name.items():
            old = [row for row in rows if (row.tenant_id, row.digest) not in inserted]
            known = (old or rows)[0]
            behind.extend((known, row) for row in rows if row.debt_id != known.debt_id)
            debts[name] = KnownDebt(
                tenant_id=known.tenant_id,
                debt_id=known.debt_id,
                fresh=not old,
                debtor_id=known.debtor_id,
                portfolio_id=known.portfolio_id,
                currency=known.currency,
            )
        if behind:
            await references.align_debt_references(self._conn, behind)
        return debts

    async def _find_people(self, names: Iterable[Name]) -> dict[Name, UUID]:
        wanted = [(name, digest) for name in names for digest in self._digests(*name)]
        if not wanted:
            return {}
        found = await references.find_people(self._conn, [digest for _, digest in wanted])
        people: dict[Name, UUID] = {}
        for name, digest in wanted:
            debtor_id = found.get((digest.tenant_id, digest.digest))
            if debtor_id is not None:
                people.setdefault(name, debtor_id)
        self._known_otherwise = [
            (digest, people[name])
            for name, digest in wanted
            if name in people and (digest.tenant_id, digest.digest) not in found
        ]
        return people

    async def _add_people(self, new: dict[Name, UUID]) -> None:
        """Insert new people under every key, and known ones under keys that are new."""
        rows = [(digest, id_) for name, id_ in new.items() for digest in self._digests(*name)]
        rows += self._known_otherwise
        if not rows:
            return
        digests, ids = [row[0] for row in rows], [row[1] for row in rows]
        if await references.add_people(self._conn, digests, ids) != len(digests):
            raise Raced

    async def _register(self, resolver: Resolver) -> None:
        """Write debts and merges, and publish what waited for them."""
        release = Release(self._conn, self._times()[0])
        waited = await release.after(resolver)
        for parked, event in waited:
            self._emit(event, parked.type, parked.event_id, parked)

    async def _park(self, parked: Sequence[Parked]) -> None:
        if not parked:
            return
        await store.park(self._conn, [_row(one) for one in parked])
        for one in parked:
            self._holds.append(parked_hold(one.draft.tenant_id, one.debt_id))
            self._hold(one.event, one.draft.kind, one.draft.event_id, one.draft.tenant_id)
        law, machine = self._times()
        new = await work_store.open_new(self._conn, [_work_item(one, law) for one in parked])
        self._outgoing.extend(work_store.opened(item, machine) for item in new)

    def _emit(
        self, event: DebtEventBase, kind: str, event_id: UUID, origin: Draft | ParkedEvent
    ) -> None:
        self._publish(event, kind, event_id, origin, event.debtor_id)
        self._hold(event, kind, event_id, origin.tenant_id)

    def _tell_merged(self, event: DebtorMerged, origin: Draft) -> None:
        """Tell the merged debtor, too: its shard may be another one. The holds are placed already.

        Nothing for that debtor follows: the tenant is ours alone until this commits.
        """
        merged = event.merged_debtor_id
        copy = msgspec.structs.replace(event, cause_event_id=origin.event_id)
        event_id = fact_id(origin.event_id, origin.kind, str(merged))
        self._publish(copy, origin.kind, event_id, origin, merged)

    def _publish(
        self,
        event: DebtEventBase,
        kind: str,
        event_id: UUID,
        origin: Draft | ParkedEvent,
        debtor_id: UUID,
    ) -> None:
        envelope = Envelope(
            id=event_id,
            type=kind,
            source=SOURCE,
            time=self._times()[0],
            key=str(debtor_id),
            tenant_id=origin.tenant_id,
            data=encode(event),
            traceparent=origin.traceparent,
        )
        self._outgoing.append((DEBT_EVENTS.name, envelope))

    def _hold(self, event: DebtEventBase, kind: str, event_id: UUID, tenant_id: str) -> None:
        for hold in holds_of(
            kind, event, event_id=event_id, tenant_id=tenant_id, address_key=self._address_key
        ):
            if hold.scope != "debtor" or event.debtor_id != UNRESOLVED:
                self._holds.append(hold)

    def _digests(self, tenant_id: str, name: str) -> list[Digest]:
        """Each name is looked up and then written: digest it once."""
        digests = self._digested.get((tenant_id, name))
        if digests is None:
            digests = digests_of(self._keyring, tenant_id, name)
            self._digested[tenant_id, name] = digests
        return digests

    def _times(self) -> tuple[datetime, datetime]:
        if self._law is None or self._machine is None:
            msg = "an intake transaction reads before it writes"
            raise RuntimeError(msg)
        return self._law, self._machine


def debt_name(debt_ref: str) -> str:
    """What a client calls a debt, apart from what it calls people."""
    return f"debt\x1f{debt_ref}"


def digests_of(keyring: Keyring, tenant_id: str, name: str) -> list[Digest]:
    """Return a name as it is stored: under every key, the current one first."""
    return [
        Digest(tenant_id=tenant_id, digest=digest, key_id=key_id)
        for key_id, digest in keyring.digests(f"{tenant_id}\x1f{name}")
    ]


def _row(parked: Parked) -> ParkedEvent:
    return ParkedEvent(
        event_id=parked.draft.event_id,
        tenant_id=parked.draft.tenant_id,
        why=parked.why,
        debt_id=parked.debt_id,
        debtor_id=parked.debtor_id,
        other_debtor_id=parked.other_debtor_id,
        type=parked.draft.kind,
        event=encode(parked.event),
        traceparent=parked.draft.traceparent,
    )


def _work_item(parked: Parked, law: datetime) -> NewWorkItem:
    collides = parked.why == IDENTITY_COLLISION
    kind = IDENTITY_COLLISION if collides else PARKED_EVENT
    cause = parked.draft.event_id if collides else parked.debt_id
    inputs = {"type": parked.draft.kind}
    if collides:
        inputs["other_debtor_id"] = str(parked.other_debtor_id)
    return NewWorkItem(
        work_item_id=fact_id(cause, kind),
        tenant_id=parked.draft.tenant_id,
        kind=kind,
        opened_at=law,
        debtor_id=parked.debtor_id,
        debt_id=parked.debt_id,
        event_id=parked.draft.event_id,
        reasons=(Reason(rule=parked.why, verdict="parked", inputs=inputs),),
    )
