"""Debt events as they travel on debt.events.v1: identities resolved, money in minor units.

In: intake makes these from what clients post. Out: the planner folds them, the ledger keeps them.
Amounts are integers in minor units of `currency` (1,120.00 BRL is 112000); instants are aware.
"""

from datetime import date, datetime
from uuid import UUID

import msgspec


class DebtEventBase(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every debt event carries.

    `occurred_at` is the client's event time (it orders updates); `recorded_at` is law time at
    intake. `debt_id` and `portfolio_id` are None for events about the person.
    """

    debtor_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    debt_id: UUID | None = None
    portfolio_id: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where the debtor may be: ISO 3166 country and subdivision, city, IANA zone."""

    country: str
    subdivision: str | None = None
    city: str | None = None
    zone: str | None = None


class ContactPoint(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One address of the debtor. `consent` is granted, revoked or unknown, with its origin."""

    channel: str
    address: str
    verified: bool = False
    consent: str = "unknown"
    consent_origin: str | None = None
    consent_at: datetime | None = None


class DebtorFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the client knows about the person; None leaves what was known before."""

    debtor_ref: str | None = None
    name: str | None = None
    kind: str | None = None
    locale: str | None = None
    places: tuple[Place, ...] | None = None
    contact_points: tuple[ContactPoint, ...] | None = None


class StepDone(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A ladder step that was taken before the debt came to us."""

    step_key: str
    channel: str
    at: datetime


class PastContact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A contact made elsewhere; it counts in caps."""

    channel: str
    at: datetime


class DebtRegistered(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A debt enters; with its history when it enters mid-life."""

    debtor: DebtorFacts
    debt_ref: str
    principal: int
    interest: int = 0
    penalty: int = 0
    currency: str
    due_date: date
    product: str | None = None
    stage: int = 0
    steps_done: tuple[StepDone, ...] = ()
    past_contacts: tuple[PastContact, ...] = ()


class DebtUpdated(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """New figures of a debt; None leaves a field. Last writer wins by (occurred_at, event id)."""

    principal: int | None = None
    interest: int | None = None
    penalty: int | None = None
    currency: str | None = None
    due_date: date | None = None
    product: str | None = None


class PaymentReceived(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """Money came in. The payment's identity is the event id."""

    amount: int
    currency: str
    paid_at: datetime
    principal: int | None = None
    interest: int | None = None
    penalty: int | None = None


class PaymentReversed(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A payment bounced; `payment_event_id` is the event id of the payment."""

    payment_event_id: UUID
    reversed_at: datetime


class DebtCancelled(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """The creditor withdrew the debt."""

    reason: str = "withdrawn"


class DebtDisputed(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """The debtor contests the debt: contact stops until it is resolved."""

    reason: str = "unspecified"


class DisputeResolved(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """`outcome` is upheld (debt stands: contact may resume) or accepted (debt was wrong)."""

    outcome: str


class PromiseMade(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """The debtor promised `amount` by `due_date`; the promise's identity is the event id."""

    amount: int
    currency: str
    due_date: date
    channel: str | None = None


class PromiseCancelled(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A promise was withdrawn; None means every open promise of the debt."""

    promise_event_id: UUID | None = None


class Instalment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One payment of an agreement."""

    amount: int
    due_date: date


class AgreementMade(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A payment plan: contact rests while its instalments are kept."""

    currency: str
    instalments: tuple[Instalment, ...]


class DebtorUpdated(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """New facts about the person."""

    debtor: DebtorFacts


class DebtorMerged(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """`merged_debtor_id` turned out to be `debtor_id`; its debts move here.

    Published twice: under the surviving debtor as it came, and under the merged one as a copy,
    whose `cause_event_id` is the event id of the first.
    """

    merged_debtor_id: UUID
    cause_event_id: UUID | None = None


class DebtorAbsorbed(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """The scheduler hands `merged_debtor_id` over to `debtor_id`: debts, steps, contacts, consents.

    `state` is the scheduler's own document, for nobody else to read; a large one comes in `parts`
    (numbered from 1), of which the person's own facts are in the first.
    """

    merged_debtor_id: UUID
    cause_event_id: UUID
    part: int = 1
    parts: int = 1
    state: msgspec.Raw


class ConsentChanged(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """Consent for one address, one channel or (both None) everything; state granted or revoked."""

    state: str
    channel: str | None = None
    address: str | None = None
    origin: str


class HoldPlaced(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A reason not to contact this person (attorney, bankruptcy, deceased, ...), maybe until."""

    reason: str
    until: datetime | None = None


class HoldLifted(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """A reason is gone."""

    reason: str


class ErasureRequested(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """The person asks to be forgotten."""


class ContactRecorded(DebtEventBase, frozen=True, kw_only=True, gc=False):
    """What a person, dialer or letter house did.

    `outcome`: answered, no_answer, right_party, promise, delivered_notice, wrong_person.
    `work_item_id` is the hand-off that asked for it, if one did.
    """

    channel: str
    at: datetime
    outcome: str
    contact_id: UUID | None = None
    work_item_id: UUID | None = None


DEBT_EVENT_TYPES: dict[str, type[DebtEventBase]] = {
    "debt.registered.v1": DebtRegistered,
    "debt.updated.v1": DebtUpdated,
    "debt.payment_received.v1": PaymentReceived,
    "debt.payment_reversed.v1": PaymentReversed,
    "debt.cancelled.v1": DebtCancelled,
    "debt.disputed.v1": DebtDisputed,
    "debt.dispute_resolved.v1": DisputeResolved,
    "debt.promise_made.v1": PromiseMade,
    "debt.promise_cancelled.v1": PromiseCancelled,
    "debt.agreement_made.v1": AgreementMade,
    "debtor.updated.v1": DebtorUpdated,
    "debtor.merged.v1": DebtorMerged,
    "debtor.absorbed.v1": DebtorAbsorbed,
    "debtor.consent_changed.v1": ConsentChanged,
    "debtor.hold_placed.v1": HoldPlaced,
    "debtor.hold_lifted.v1": HoldLifted,
    "debtor.erasure_requested.v1": ErasureRequested,
    "contact.recorded.v1": ContactRecorded,
}

# What the scheduler tells itself over the topic: no client may post it.
INTERNAL_TYPES = frozenset({"debtor.absorbed.v1"})
