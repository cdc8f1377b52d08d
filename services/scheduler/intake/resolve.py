"""Who and what an event means: references become the random ids that everything else uses.

In: drafts, and what the database knows about their references. Out: events with their identities,
parked ones, or the problem that refuses one. Pure: it only changes its own maps, from which the
recorder then writes. Within one request, a later event may resolve an earlier one.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scheduler.intake.draft import Draft
from services.scheduler.intake.refusal import contradiction, wrong
from shared.events.debt import DEBT_EVENT_TYPES, DebtEventBase
from shared.events.identities import time_ordered_id

UNRESOLVED = UUID(int=0)  # debtor of a parked event; never leaves the parked table
UNKNOWN_DEBT = "unknown_debt"
IDENTITY_COLLISION = "identity_collision"
HAPPENED_AT = ("paid_at", "reversed_at")  # when the client leaves them out: the event's own time

Name = tuple[str, str]  # tenant, and what the client calls a debt or a person


class KnownDebt(msgspec.Struct, kw_only=True):
    """A debt reference: `debtor_id` is None until its debt is registered."""

    tenant_id: str
    debt_id: UUID
    fresh: bool
    debtor_id: UUID | None = None
    portfolio_id: str | None = None
    currency: str | None = None


class Accepted(msgspec.Struct, frozen=True):
    """An event with its identities: it goes out."""

    draft: Draft
    event: DebtEventBase


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """An event that waits; `debtor_id` and `other_debtor_id` are the identities that collide."""

    draft: Draft
    event: DebtEventBase
    why: str
    debt_id: UUID
    debtor_id: UUID | None = None
    other_debtor_id: UUID | None = None


class Merge(msgspec.Struct, frozen=True):
    """`merged` turned out to be `into`."""

    tenant_id: str
    merged: UUID
    into: UUID


def by_reference(debtor_ref: str) -> str:
    """Name of a person by the client's reference."""
    return f"ref\x1f{debtor_ref}"


def by_document(document: str) -> str:
    """Name of a person by an identity document."""
    return f"document\x1f{document}"


def names_of(draft: Draft) -> list[Name]:
    """Every name of a person that a draft mentions."""
    texts = [by_reference(ref) for ref in (draft.debtor_ref, draft.into_debtor_ref) if ref]
    if draft.document:
        texts.append(by_document(draft.document))
    return [(draft.tenant_id, text) for text in texts]


class Resolver:
    """The references of one transaction: what is known, and what it adds to that."""

    def __init__(
        self, law: datetime, debts: dict[Name, KnownDebt], people: dict[Name, UUID]
    ) -> None:
        """`debts` has every debt reference of the drafts, `people` those people who are known."""
        self._law = law
        self._debts = debts
        self._people = people
        self.new_people: dict[Name, UUID] = {}
        self.registered: dict[UUID, KnownDebt] = {}
        self.merges: list[Merge] = []

    def resolve(self, draft: Draft) -> Accepted | Parked:
        """Give one draft its identities; raise the problem when it contradicts what is known."""
        if draft.kind == "debt.registered.v1":
            return self._register(draft)
        if draft.kind == "debtor.merged.v1":
            return self._merge(draft)
        if draft.debt_ref is not None:
            return self._about_debt(draft, draft.debt_ref)
        debtor_id = self._person((draft.tenant_id, by_reference(draft.debtor_ref or "")))
        return Accepted(draft, event_of(draft, self._law, debtor_id=debtor_id))

    def _about_debt(self, draft: Draft, debt_ref: str) -> Accepted | Parked:
        debt = self._debts[draft.tenant_id, debt_ref]
        event = event_of(
            draft,
            self._law,
            debtor_id=debt.debtor_id or UNRESOLVED,
            debt_id=debt.debt_id,
            portfolio_id=debt.portfolio_id,
        )
        if debt.debtor_id is None:
            return Parked(draft=draft, event=event, why=UNKNOWN_DEBT, debt_id=debt.debt_id)
        if draft.currency is not None and draft.currency != debt.currency:
            raise wrong(
                "$.data.currency", "not the debt's currency", "send amounts in the debt's currency"
            )
        return Accepted(draft, event)

    def _register(self, draft: Draft) -> Accepted | Parked:
        debt = self._debts[draft.tenant_id, draft.debt_ref or ""]
        names = names_of(draft)
        known = {self._people[name] for name in names if name in self._people}
        if debt.debtor_id is not None:
            self._check_same(draft, debt, known)
            known = {debt.debtor_id}
        if len(known) > 1:
            first, second = sorted(known)
            event = event_of(draft, self._law, debtor_id=UNRESOLVED, debt_id=debt.debt_id)
            return Parked(
                draft=draft,
                event=event,
                why=IDENTITY_COLLISION,
                debt_id=debt.debt_id,
                debtor_id=first,
                other_debtor_id=second,
            )
        debtor_id = known.pop() if known else time_ordered_id()
        for name in names:
            self._learn(name, debtor_id)
        debt.debtor_id = debtor_id
        debt.portfolio_id = draft.portfolio_id
        debt.currency = draft.currency
        self.registered[debt.debt_id] = debt
        event = event_of(draft, self._law, debtor_id=debtor_id, debt_id=debt.debt_id)
        return Accepted(draft, event)

    def _check_same(self, draft: Draft, debt: KnownDebt, known: set[UUID]) -> None:
        """A debt may be registered again (new facts), but not to somebody else."""
        if known - {debt.debtor_id}:
            raise contradiction(
                "$.data.debtor_ref",
                "this debt belongs to another debtor",
                "send debtor.merged if they are one person, or use another debt_ref",
            )
        if draft.portfolio_id != debt.portfolio_id or draft.currency != debt.currency:
            raise contradiction(
                "$.data.portfolio_id",
                "this debt was registered in another portfolio or currency",
                "cancel that debt and register the new one under another debt_ref",
            )

    def _merge(self, draft: Draft) -> Accepted:
        merged = self._person((draft.tenant_id, by_reference(draft.debtor_ref or "")))
        into = self._person((draft.tenant_id, by_reference(draft.into_debtor_ref or "")))
        if merged == into:
            raise contradiction(
                "$.data.into_debtor_ref",
                "both references are the same debtor already",
                "nothing is left to merge",
            )
        for people in (self._people, self.new_people):
            for name, debtor_id in people.items():
                if debtor_id == merged:
                    people[name] = into
        for debt in self._debts.values():
            if debt.debtor_id == merged:
                debt.debtor_id = into
        self.merges.append(Merge(draft.tenant_id, merged, into))
        event = event_of(draft, self._law, debtor_id=into, merged_debtor_id=merged)
        return Accepted(draft, event)

    def _person(self, name: Name) -> UUID:
        """The debtor of this name; a new one when nobody has it (a hold may precede its debt)."""
        if name not in self._people:
            self._learn(name, time_ordered_id())
        return self._people[name]

    def _learn(self, name: Name, debtor_id: UUID) -> None:
        if name not in self._people:
            self._people[name] = debtor_id
            self.new_people[name] = debtor_id


def event_of(draft: Draft, law: datetime, *, debtor_id: UUID, **identities: Any) -> DebtEventBase:
    """Make the event that travels; `identities` are debt, portfolio or merged debtor."""
    occurred_at = draft.occurred_at or law
    fields = dict(draft.fields)
    for name in HAPPENED_AT:
        if name in fields and fields[name] is None:
            fields[name] = occurred_at
    if draft.portfolio_id is not None:
        fields["portfolio_id"] = draft.portfolio_id
    return DEBT_EVENT_TYPES[draft.kind](
        debtor_id=debtor_id,
        occurred_at=occurred_at,
        recorded_at=law,
        **fields,
        **identities,
    )
