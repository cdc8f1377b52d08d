"""What one planning transaction says to the world: facts and tasks, collected for the outbox.

In: facts of the platform and tasks, as the working set's changes make them. Out: one append to the
outbox in the same transaction. Law time is every fact's time; each debtor's last trace goes on.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy.rulebook import HANDOFF
from services.scheduler.policy.state import DebtorState
from shared.events.contact import CloseRequested, ContactTask, DebtFact
from shared.events.envelope import Envelope, encode
from shared.events.handoff import HANDOFF_REQUESTED, HandoffRequested
from shared.events.identities import fact_id, time_ordered_id
from shared.events.topics import CONTACT_EVENTS, TASKS_BY_CHANNEL
from shared.postgres import outbox
from shared.postgres.connection import Connection
from shared.telemetry.messaging import created

SOURCE = "regua/scheduler"


class Outbound:
    """Collects (topic, envelope) pairs; `append` writes them with one COPY."""

    def __init__(self, *, law: datetime, machine: datetime) -> None:
        """Start empty at the transaction's clocks."""
        self.law = law
        self.machine = machine
        self.traces: dict[UUID, str | None] = {}
        self._pairs: list[tuple[str, Envelope]] = []

    def add(self, pairs: Iterable[tuple[str, Envelope]]) -> None:
        """Take finished (topic, envelope) pairs."""
        self._pairs.extend(pairs)

    async def append(self, conn: Connection) -> None:
        """Write everything collected to the outbox."""
        if self._pairs:
            await outbox.append(conn, self._pairs)

    def conclude(self, state: DebtorState, kind: str, fact: DebtFact) -> None:
        """Put a conclusion of the policy, which knows no machine clock, into the outbox."""
        self.state_fact(state, kind, msgspec.structs.replace(fact, machine_at=self.machine))

    def state_fact(self, state: DebtorState, kind: str, fact: msgspec.Struct) -> None:
        """Put a fact of the platform into the outbox, in law time."""
        topic = CONTACT_EVENTS.name
        self._pairs.append((topic, self._envelope(topic, state, kind, fact)))

    def hand_over(
        self, state: DebtorState, channel: str, kind: str, task: ContactTask | CloseRequested
    ) -> None:
        """Put a task (or a request to close one) into the outbox of its channel."""
        topic = TASKS_BY_CHANNEL[channel].name
        envelope = self._envelope(topic, state, kind, task, expires_at=task.permit.not_after)
        self._pairs.append((topic, envelope))

    def ask(self, state: DebtorState, request: HandoffRequested) -> None:
        """Put a hand-off into the outbox of its topic, under an id that repeats with its item's."""
        permit = msgspec.structs.replace(request.permit, issued_at=self.machine)
        told = msgspec.structs.replace(request, permit=permit)
        topic = TASKS_BY_CHANNEL[HANDOFF].name
        envelope = self._envelope(
            topic, state, HANDOFF_REQUESTED, told, expires_at=permit.not_after
        )
        known = fact_id(request.work_item_id, HANDOFF_REQUESTED)
        self._pairs.append((topic, msgspec.structs.replace(envelope, id=known)))

    def _envelope(
        self,
        topic: str,
        state: DebtorState,
        kind: str,
        fact: msgspec.Struct,
        *,
        expires_at: datetime | None = None,
    ) -> Envelope:
        trace = self.traces.get(state.debtor_id)
        if trace is not None:
            contact_id = getattr(fact, "contact_id", None)
            trace = created(topic, trace, kind, contact_id)
        return Envelope(
            id=time_ordered_id(),
            type=kind,
            source=SOURCE,
            time=self.law,
            key=str(state.debtor_id),
            tenant_id=state.tenant_id,
            data=encode(fact),
            traceparent=trace,
            expires_at=expires_at,
        )
