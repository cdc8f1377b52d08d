"""The working set of one fenced transaction: debtors loaded, changed, and saved as whole batches.

In: debtor states (one query), what folding, deciding and dispatching did to them. Out: rows of the
planning store, facts in the outbox, hold changes and work items, all in the caller's transaction.
Planner and dispatcher share it, so there is one way from a changed state to the tables.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from services.scheduler import people_asked, plans
from services.scheduler.binding_holds import BindingHolds, SubjectsOf
from services.scheduler.outbound import Outbound
from services.scheduler.plans import Handed
from services.scheduler.policy import progress
from services.scheduler.policy.decide import decide
from services.scheduler.policy.decision import ContactPlan, Decision, Drop
from services.scheduler.policy.drafts import HoldChange, HoldDraft, WorkItemDraft, WorkItemEnd
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState
from services.scheduler.rulebooks import AddressSubjectOf
from services.scheduler.store import contacts, debtors
from services.scheduler.store import holds as hold_store
from services.scheduler.tally import Tally
from shared.events.contact import (
    ContactDecided,
    Reason,
)
from shared.events.envelope import encode
from shared.events.hold import Hold
from shared.events.states import STATES, ContactState
from shared.postgres.connection import Connection

_states = msgspec.json.Decoder(DebtorState)


class WorkingSet:
    """Debtors of one shard inside one transaction. Load, change, `save` once."""

    def __init__(
        self,
        conn: Connection,
        *,
        partition: int,
        law: datetime,
        machine: datetime,
        address_subject_of: AddressSubjectOf,
    ) -> None:
        """Start an empty set at the clocks read after the shard was locked."""
        self.conn = conn
        self.partition = partition
        self.law = law
        self.machine = machine
        self.debtors: dict[UUID, DebtorState] = {}
        self.out = Outbound(law=law, machine=machine)
        self.tally = Tally()
        self.hold_changes: list[HoldChange] = []
        self.new_holds: list[hold_store.NewHold] = []
        self._binding = BindingHolds(address_subject_of)
        self._held: set[UUID] = set()
        self.work_items: list[WorkItemDraft] = []
        self.endings: list[WorkItemEnd] = []
        self.released: list[tuple[UUID, UUID]] = []
        self._wakes: dict[UUID, datetime | None] = {}
        self._guarded: dict[UUID, dict[str, tuple[int, int, str]]] = {}
        self._planned: list[tuple[DebtorState, ContactPlan]] = []
        self._standing: list[tuple[DebtorState, ContactPlan]] = []
        self._final: list[contacts.ContactRow] = []
        self.handed: dict[UUID, Handed] = {}
        self._raised: dict[UUID, int] = {}

    async def load(self, debtor_ids: Iterable[UUID]) -> None:
        """Load these debtors (unknown ones stay absent)."""
        wanted = [key for key in debtor_ids if key not in self.debtors]
        for debtor_id, raw in (await debtors.load_debtors(self.conn, wanted)).items():
            state = _states.decode(raw)
            self.debtors[debtor_id] = state
            self._guarded[debtor_id] = {} if state.absorbing else _guard(state)

    def knew(self, debtor_id: UUID) -> bool:
        """Say whether the debtor was there before this transaction."""
        return debtor_id in self._guarded

    async def load_holds(self, more_of: SubjectsOf | None = None) -> None:
        """Load the active holds that touch any loaded debtor, less those this set lifts.

        `more_of` names further subjects of a debtor, which dispatch alone looks at.
        """
        lifted = {change.hold_id for change in self.hold_changes if change.state == "lifted"}
        await self._binding.load(self.conn, self.debtors, lifted, more_of)

    def holds_of(self, state: DebtorState) -> list[Hold]:
        """Active holds on this debtor's subjects."""
        return self._binding.of(state)

    def place(self, state: DebtorState, drafts: Sequence[HoldDraft]) -> None:
        """Note holds that follow from what a debtor, or a provider, said."""
        self.new_holds.extend(
            hold_store.NewHold(
                hold_id=draft.hold_id,
                tenant_id=state.tenant_id,
                scope=draft.scope,
                subject=draft.subject,
                reason=draft.reason,
            )
            for draft in drafts
        )

    def decide(self, state: DebtorState, rulebook: Rulebook) -> Decision:
        """Decide anew for one debtor and note everything that follows from it."""
        address_subject = partial(self._binding.address_subject, state.tenant_id)
        decision = decide(state, rulebook, self.holds_of(state), self.law, address_subject)
        for contact_id, reasons in decision.cancel:
            self.end_contact(state, contact_id, ContactState.CANCELLED, reasons)
        for plan in decision.contacts:
            self._planned.append((state, plan))
        for plan in decision.withheld:
            self._withheld(state, plan)
        for kind, fact in decision.facts:
            self.out.conclude(state, kind, fact)
        self.work_items.extend(decision.work_items)
        self.endings.extend(decision.endings)
        self._wakes[state.debtor_id] = decision.wake_at
        (self._held.add if decision.held else self._held.discard)(state.debtor_id)
        return decision

    def end_contact(
        self,
        state: DebtorState,
        contact_id: UUID,
        outcome: ContactState,
        reasons: Sequence[Reason],
    ) -> None:
        """End a contact of which certainly nothing was sent, and say so."""
        if outcome is ContactState.WITHHELD:
            self.tally.withheld(reasons)
        self.raised(contact_id, outcome)
        self.out.state_fact(
            state, f"contact.{outcome.name.lower()}.v1", self.decided(state, contact_id, reasons)
        )

    def raised(self, contact_id: UUID, to: int) -> None:
        """Note that a contact's row moves to this state."""
        self._raised[contact_id] = to

    def decided(
        self,
        state: DebtorState,
        contact_id: UUID,
        reasons: Sequence[Reason],
        *,
        until: datetime | None = None,
    ) -> ContactDecided:
        """The fact about a decision on one contact of this debtor."""
        record = state.contacts[str(contact_id)]
        return ContactDecided(
            contact_id=contact_id,
            debtor_id=state.debtor_id,
            portfolio_id=record.portfolio_id,
            channel=record.channel,
            items=tuple(record.items),
            at=self.law,
            machine_at=self.machine,
            step_key=record.step_key,
            stage=record.stage,
            reasons=tuple(reasons),
            due_at=record.due_at,
            not_after=record.not_after,
            until=until,
            local_date=record.local_date,
            manual=record.manual,
        )

    async def save(self, touched: Iterable[UUID]) -> None:
        """Write everything back: slots first (they decide), then contacts, states and facts."""
        await self._save_planned()
        await self._save_raised()
        changed = [self.debtors[key] for key in touched if key in self.debtors]
        decided = [self._row(s) for s in changed if s.debtor_id in self._wakes]
        if decided:
            await debtors.save_debtors(self.conn, self.partition, decided)
        moved = [(s.debtor_id, encode(s)) for s in changed if s.debtor_id not in self._wakes]
        if moved:
            await debtors.save_states(self.conn, moved)
        if changed:
            await self._save_debts(changed)
        if self.new_holds:
            await hold_store.place(self.conn, self.new_holds)
        if self.hold_changes:
            await hold_store.change(self.conn, self.hold_changes)
        if self.work_items or self.endings:
            drafts, endings = self.work_items, self.endings
            await people_asked.write(
                self.conn, self.out, self.debtors, drafts=drafts, endings=endings
            )
        await self.out.append(self.conn)

    def _withheld(self, state: DebtorState, plan: ContactPlan) -> None:
        """Record a contact that was decided against: planned and withheld at once, no slot."""
        fact = self.decided(state, plan.contact_id, plan.reasons)
        self.out.state_fact(state, "contact.planned.v1", fact)
        self.out.state_fact(state, "contact.withheld.v1", fact)
        self._final.append(plans.withheld(state, plan))
        self.tally.withheld(plan.reasons)

    async def settle_plans(self) -> list[tuple[DebtorState, ContactPlan]]:
        """Take the slots of new contacts; return those that stand."""
        new, self._planned = self._planned, []
        if not new:
            return self._standing
        await self._free_before_taking()
        refused = await contacts.take_slots(self.conn, plans.slots(new))
        for state, plan in new:
            if plan.contact_id in refused:
                drop = Drop(outcome=ContactState.WITHHELD, reasons=(plans.SLOT_TAKEN,))
                progress.dropped(state, plan.contact_id, drop, self.law)
                self.end_contact(state, plan.contact_id, drop.outcome, drop.reasons)
                continue
            self._standing.append((state, plan))
        return self._standing

    async def _save_planned(self) -> None:
        """Write new contacts; of those handed over at once the dispatch says that, too."""
        standing = await self.settle_plans()
        for state, plan in standing:
            if plan.contact_id not in self.handed:
                fact = self.decided(state, plan.contact_id, plan.reasons)
                self.out.state_fact(state, "contact.planned.v1", fact)
        rows = self._final + [
            plans.row(state, plan, self.out.traces.get(state.debtor_id), self.handed)
            for state, plan in standing
        ]
        if rows:
            self.tally.planned(row.channel for row in rows)
            await contacts.insert_contacts(self.conn, self.partition, rows)

    async def _free_before_taking(self) -> None:
        freed = [key for key, to in self._raised.items() if STATES[ContactState(to)].frees_slot]
        if freed:
            await contacts.free_slots(self.conn, freed)
        if self.released:
            await contacts.release_slots(self.conn, self.released)

    async def _save_raised(self) -> None:
        if self._raised:
            await contacts.raise_contacts(
                self.conn, [(key, to, None) for key, to in self._raised.items()]
            )
        await self._free_before_taking()

    async def _save_debts(self, changed: Sequence[DebtorState]) -> None:
        rows = []
        for state in changed:
            if state.absorbing:
                continue  # rows of debts to come are the merged debtor's until it hands them over
            before = self._guarded.get(state.debtor_id, {})
            for key, after in _guard(state).items():
                if before.get(key) == after:
                    continue
                debt = state.debts[key]
                rows.append(
                    debtors.DebtRow(
                        debt_id=debt.debt_id,
                        debtor_id=state.debtor_id,
                        tenant_id=state.tenant_id,
                        portfolio_id=debt.portfolio_id or "",
                        episode=debt.episode,
                        stage=debt.stage,
                        status=debt.status,
                    )
                )
        if rows:
            await debtors.save_debts(self.conn, rows)

    def _row(self, state: DebtorState) -> debtors.DebtorRow:
        return debtors.DebtorRow(
            debtor_id=state.debtor_id,
            tenant_id=state.tenant_id,
            wake_at=self._wakes[state.debtor_id],
            held=state.debtor_id in self._held,
            state=encode(state),
        )


def _guard(state: DebtorState) -> dict[str, tuple[int, int, str]]:
    return {key: (d.episode, d.stage, d.status) for key, d in state.debts.items()}
