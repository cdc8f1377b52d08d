"""The holds that bind the debtors of one transaction, read once and found by subject.

In: debtor states, and what names an address to holds. Out: the active holds of each debtor: on the
person, the debts, the addresses, and everything wider.
"""

from collections.abc import Callable, Mapping
from uuid import UUID

from services.scheduler.policy.consent import usable
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.rulebook import HANDOFF
from services.scheduler.policy.state import DebtorState
from services.scheduler.rulebooks import AddressSubjectOf
from services.scheduler.store import holds as hold_store
from shared.events.hold import Hold, subject_of
from shared.postgres.connection import Connection

SubjectsOf = Callable[[DebtorState], list[str]]


class BindingHolds:
    """Active holds by subject. Addresses are digested once in a transaction."""

    def __init__(self, address_subject_of: AddressSubjectOf) -> None:
        """Start with none loaded."""
        self._address_subject_of = address_subject_of
        self._address_subjects: dict[tuple[str, str, str], str] = {}
        self._more: dict[UUID, list[str]] = {}
        self._named: dict[UUID, list[str]] = {}
        self._asked: set[str] = set()
        self._holds: dict[str, list[Hold]] = {}

    async def load(
        self,
        conn: Connection,
        debtors: Mapping[UUID, DebtorState],
        lifted: set[UUID],
        more_of: SubjectsOf | None = None,
    ) -> None:
        """Load the active holds that touch any of these debtors, less the `lifted` ones.

        `more_of` names further subjects of a debtor, which dispatch alone looks at.
        """
        wanted: set[str] = set()
        for key, state in debtors.items():
            if more_of is not None:
                self._more[key] = more_of(state)
            self._named[key] = subjects = self._subjects(state)
            wanted.update(subjects)
        wanted -= self._asked  # planning and dispatch ask for the same debtors: only what is new
        self._asked |= wanted
        for hold in await hold_store.active_for(conn, sorted(wanted)):
            known = self._holds.setdefault(hold.subject, [])
            if hold.hold_id not in lifted and hold not in known:
                known.append(hold)

    def of(self, state: DebtorState) -> list[Hold]:
        """Return the active holds on this debtor's subjects."""
        if not self._holds:
            return []
        subjects = self._named.get(state.debtor_id) or self._subjects(state)
        return [hold for subject in subjects for hold in self._holds.get(subject, ())]

    def address_subject(self, tenant_id: str, channel: str, address: str) -> str:
        """Return the subject of holds on an address."""
        key = (tenant_id, channel, address)
        found = self._address_subjects.get(key)
        if found is None:
            found = self._address_subjects[key] = self._address_subject_of(*key)
        return found

    def _subjects(self, state: DebtorState) -> list[str]:
        return [
            *hold_subjects(state),
            *(
                self.address_subject(state.tenant_id, point.channel, point.address)
                for point in state.points
                if usable(state, point)
            ),
            *self._more.get(state.debtor_id, ()),
        ]


def hold_subjects(state: DebtorState) -> list[str]:
    """Every subject whose hold touches this debtor, except addresses and templates.

    A hold on an address leaves the others, and templates touch a contact, not its debtor: dispatch
    looks at both (`permit.of_planned`).
    """
    tenant = state.tenant_id
    portfolios = {debt.portfolio_id for debt in state.debts.values() if debt.portfolio_id}
    channels = {HANDOFF, *(point.channel for point in state.points)}
    return [
        subject_of("everything"),
        subject_of("tenant", tenant),
        *(subject_of("portfolio", tenant, name) for name in sorted(portfolios)),
        *(subject_of("channel", tenant, name) for name in sorted(channels)),
        *debtor_subjects(state),
        *(subject_of("debt", tenant, key) for key in state.debts),
    ]
