"""Facts about contacts, as envelopes for contact.events.v1.

In: attempts and what became of them. Out: (topic, Envelope) pairs for the outbox. A fact about an
attempt has an id derived from it, and the instant at which its row changed: stating it again gives
the same event, which everybody knows already.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.events import envelope, identities
from shared.events.contact import (
    CloseRequested,
    ContactAttempted,
    ContactDecided,
    ContactReceipt,
    ContactReply,
    ContactTask,
    Reason,
)
from shared.events.envelope import Envelope
from shared.events.states import ContactState
from shared.events.topics import CONTACT_EVENTS
from shared.sender import attempts
from shared.sender.attempts import Attempt, State
from shared.sender.channel import Reading
from shared.sender.errors import ERRORS, ErrorKind, ErrorRow
from shared.sender.provider import StatusReceipt
from shared.sender.store.receipts import StoredAttempt
from shared.telemetry.messaging import created

Fact = tuple[str, Envelope]

_KINDS: dict[str | None, ErrorKind] = {kind.value: kind for kind in ErrorKind}

DEFERRED = "contact.deferred.v1"
TYPE_OF_STATE = {
    State.ACCEPTED: "contact.accepted.v1",
    State.UNKNOWN: "contact.unknown.v1",
    State.UNKNOWN_FINAL: "contact.unknown_final.v1",
    State.CANCELLED: "contact.cancelled.v1",
    State.EXPIRED: "contact.expired.v1",
    State.INVALID: "contact.failed.v1",
}
TYPE_OF_REPORT = {
    ContactState.SENT: "contact.sent.v1",
    ContactState.UNDELIVERED: "contact.undelivered.v1",
    ContactState.DELIVERED: "contact.delivered.v1",
    ContactState.READ: "contact.read.v1",
}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wrote, understood: identity of the reply, sealed words, and its reading."""

    reply_id: UUID
    reading: Reading
    text_sealed: str
    address_subject: str


class Facts:
    """Makes the facts of one sender service; `source` is its CloudEvents source."""

    def __init__(self, service: str, topic_suffix: str = "") -> None:
        """Keep who speaks, e.g. `sms_sender`, and the ending of the topic's name."""
        self.source = f"regua/{service}"
        self._topic = CONTACT_EVENTS.name + topic_suffix

    def attempted(
        self,
        attempt: Attempt,
        state: State,
        *,
        law: datetime,
        machine: datetime,
        provider_ref: str | None = None,
        code: str | None = None,
        error: str | None = None,
        retryable: bool = False,
        segments: int | None = None,
        text_sealed: str | None = None,
    ) -> Fact:
        """State what an attempt came to: accepted, attempt_refused, failed, unknown(_final).

        A refusal that will be tried again is `attempt_refused`; one that ends the contact `failed`.
        """
        if state is State.REFUSED:
            kind = "contact.attempt_refused.v1" if retryable else "contact.failed.v1"
        else:
            kind = TYPE_OF_STATE[state]
        row = _row_of(error)
        fact = ContactAttempted(
            contact_id=attempt.contact_id,
            debtor_id=attempt.debtor_id,
            portfolio_id=attempt.frame.portfolio_id,
            channel=attempt.frame.channel,
            items=attempt.frame.items,
            at=law,
            machine_at=machine,
            attempt_id=attempt.attempt_id,
            n=attempt.n,
            provider=attempt.provider,
            account_id=attempt.account_id,
            step_key=attempt.frame.step_key,
            stage=attempt.frame.stage,
            provider_ref=provider_ref,
            code=code,
            error=error,
            fault=row.fault.value if row else None,
            retryable=retryable if row else None,
            resolve_by=attempts.resolve_by(attempt.not_after) if state is State.UNKNOWN else None,
            template=attempt.frame.template or None,
            segments=segments,
            text_sealed=text_sealed,
            suppress_address=bool(row and row.suppress_address),
        )
        return self._fact(attempt, kind, law, fact)

    def ended(
        self, attempt: Attempt, state: State, reason: Reason, *, law: datetime, machine: datetime
    ) -> Fact:
        """State that a contact ended without a call: cancelled or expired."""
        fact = ContactDecided(
            contact_id=attempt.contact_id,
            debtor_id=attempt.debtor_id,
            portfolio_id=attempt.frame.portfolio_id,
            channel=attempt.frame.channel,
            items=attempt.frame.items,
            at=law,
            machine_at=machine,
            step_key=attempt.frame.step_key,
            stage=attempt.frame.stage,
            reasons=(reason,),
            not_after=attempt.not_after,
            attempt_id=attempt.attempt_id,
        )
        return self._fact(attempt, TYPE_OF_STATE[state], law, fact)

    def deferred(
        self,
        task: ContactTask,
        reason: Reason,
        *,
        until: datetime,
        law: datetime,
        machine: datetime,
        traceparent: str | None,
    ) -> Fact:
        """Hand a task back without spending an attempt: it stays dispatched, with this permit."""
        fact = ContactDecided(
            contact_id=task.contact_id,
            debtor_id=task.debtor_id,
            portfolio_id=task.portfolio_id,
            channel=task.channel,
            items=task.items,
            at=law,
            machine_at=machine,
            step_key=task.step_key,
            stage=task.stage,
            reasons=(reason,),
            not_after=task.permit.not_after,
            until=until,
        )
        envelope_ = Envelope(
            id=identities.time_ordered_id(),  # each hand-back is a fact of its own
            type=DEFERRED,
            source=self.source,
            time=law,
            key=str(task.debtor_id),
            tenant_id=task.tenant_id,
            data=envelope.encode(fact),
            traceparent=created(self._topic, traceparent, DEFERRED, task.contact_id),
        )
        return self._topic, envelope_

    def reported(
        self,
        attempt: Attempt,
        report: ContactState | None,
        receipt: StatusReceipt,
        *,
        law: datetime,
        machine: datetime,
        late: bool,
    ) -> Fact:
        """State what was reported: sent, undelivered, delivered, read; None: a complaint."""
        kind = "contact.complained.v1" if report is None else TYPE_OF_REPORT[report]
        fact = ContactReceipt(
            contact_id=attempt.contact_id,
            debtor_id=attempt.debtor_id,
            portfolio_id=attempt.frame.portfolio_id,
            channel=attempt.frame.channel,
            items=attempt.frame.items,
            at=law,
            machine_at=machine,
            attempt_id=attempt.attempt_id,
            provider=attempt.provider,
            account_id=attempt.account_id,
            provider_ref=receipt.provider_ref,
            provider_at=receipt.provider_at,
            code=receipt.code,
            error=receipt.error.value if receipt.error else None,
            late=late,
            suppress_address=bool(receipt.error and ERRORS[receipt.error].suppress_address),
            category=receipt.category,
            billable=receipt.billable,
        )
        return self._fact(attempt, kind, law, fact, discriminator=receipt.provider_word)

    def replied(
        self, attempt: Attempt, said: Said, *, law: datetime, machine: datetime
    ) -> list[Fact]:
        """State that a person answered; an opt-out is stated as such besides."""
        reply = ContactReply(
            contact_id=attempt.contact_id,
            debtor_id=attempt.debtor_id,
            portfolio_id=attempt.frame.portfolio_id,
            channel=attempt.frame.channel,
            items=attempt.frame.items,
            at=law,
            machine_at=machine,
            reply_id=said.reply_id,
            provider=attempt.provider,
            account_id=attempt.account_id,
            intent=said.reading.intent,
            confident=said.reading.confident,
            right_party=said.reading.right_party,
            promise_amount=said.reading.promise_amount,
            promise_date=said.reading.promise_date,
            address_subject=said.address_subject,
            text_sealed=said.text_sealed,
        )
        word = str(said.reply_id)
        facts = [self._fact(attempt, "contact.replied.v1", law, reply, discriminator=word)]
        if said.reading.intent == "opt_out" and said.reading.confident:
            facts.append(
                self._fact(attempt, "contact.opted_out.v1", law, reply, discriminator=word)
            )
        return facts

    def restated(self, stored: StoredAttempt) -> list[Fact]:
        """State again how a contact stands, for a scheduler that asked to close it.

        Nothing while a call is in flight, or while a refusal waits for its next attempt.
        """
        state = State(stored.state)
        law, machine = stored.outcome_law, stored.outcome_at
        if law is None or machine is None or (state is State.REFUSED and stored.retryable):
            return []
        if state in {State.CANCELLED, State.EXPIRED}:
            why = Reason(rule=stored.error or "claim", verdict=state.value.lower())
            return [self.ended(stored.attempt, state, why, law=law, machine=machine)]
        return [
            self.attempted(
                stored.attempt,
                state,
                law=law,
                machine=machine,
                provider_ref=stored.provider_ref,
                code=stored.code,
                error=stored.error,
            )
        ]

    def _fact(
        self,
        attempt: Attempt,
        kind: str,
        law: datetime,
        body: msgspec.Struct,
        *,
        discriminator: str = "",
    ) -> Fact:
        return self._topic, Envelope(
            id=identities.fact_id(attempt.attempt_id, kind, discriminator),
            type=kind,
            source=self.source,
            time=law,
            key=str(attempt.debtor_id),
            tenant_id=attempt.tenant_id,
            data=envelope.encode(body),
            traceparent=created(self._topic, attempt.frame.traceparent, kind, attempt.contact_id),
        )


def closed(request: CloseRequested) -> Reason:
    """Return the reason of a tombstone that the scheduler asked for."""
    return Reason(rule="close_requested", verdict=request.reason)


def _row_of(error: str | None) -> ErrorRow | None:
    """Return the row of an error of the closed list; None for codes of the runtime's own."""
    return ERRORS.get(_KINDS[error]) if error in _KINDS else None
