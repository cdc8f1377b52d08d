"""What clients may post: one strict shape per event type, unknown fields refused.

In: JSON. Out: checked structs in the client's own terms (references, decimal strings), which
`normalise` turns into debt events. Bounds are generous for honest data and small for attacks.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

# No control characters, no zero-width or bidirectional marks: two references that look the same
# must be the same. Names may hold the joiners that Hindi, Persian and emoji need.
_PLAIN = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*$"
_SPOKEN = r"^[^\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]*$"

Reference = Annotated[str, Meta(min_length=1, max_length=255, pattern=_PLAIN)]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=_SPOKEN)]
Amount = Annotated[str, Meta(pattern=r"^[0-9]{1,16}(\.[0-9]{1,3})?$")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Subdivision = Annotated[str, Meta(pattern=r"^([A-Z]{2}-)?[A-Z0-9]{1,3}$")]
Locale = Annotated[str, Meta(pattern=r"^[a-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$")]
Zone = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
Address = Annotated[str, Meta(min_length=1, max_length=500)]
Instant = Annotated[datetime, Meta(tz=True)]
PointChannel = Literal["sms", "email", "whatsapp", "voice", "letter"]
Channel = Literal["sms", "email", "whatsapp", "voice", "letter", "visit"]
Stage = Annotated[int, Meta(ge=0, le=1000)]


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Base of everything a client sends."""


class PlaceShape(Shape, frozen=True, kw_only=True, gc=False):
    """Where the debtor may be."""

    country: Country
    subdivision: Subdivision | None = None
    city: Text | None = None
    zone: Zone | None = None


class ContactPointShape(Shape, frozen=True, kw_only=True, gc=False):
    """One address of the debtor."""

    channel: PointChannel
    address: Address
    verified: bool = False
    consent: Literal["granted", "revoked", "unknown"] = "unknown"
    consent_origin: Code | None = None
    consent_at: Instant | None = None


class DebtorShape(Shape, frozen=True, kw_only=True, gc=False):
    """What the client knows about the person."""

    name: Text | None = None
    kind: Literal["person", "company"] | None = None
    locale: Locale | None = None
    places: Annotated[tuple[PlaceShape, ...], Meta(max_length=10)] | None = None
    contact_points: Annotated[tuple[ContactPointShape, ...], Meta(max_length=50)] | None = None


class StepDoneShape(Shape, frozen=True, kw_only=True, gc=False):
    """A ladder step taken before the debt came to us."""

    step_key: Code
    channel: Channel
    at: Instant


class PastContactShape(Shape, frozen=True, kw_only=True, gc=False):
    """A contact made elsewhere."""

    channel: Channel
    at: Instant


class DebtRegisteredShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.registered: a debt enters, with its history when it enters mid-life."""

    portfolio_id: Reference
    debt_ref: Reference
    debtor_ref: Reference
    document: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    debtor: DebtorShape = DebtorShape()
    principal: Amount
    interest: Amount | None = None
    penalty: Amount | None = None
    currency: Currency
    due_date: date
    product: Code | None = None
    stage: Stage = 0
    steps_done: Annotated[tuple[StepDoneShape, ...], Meta(max_length=200)] = ()
    past_contacts: Annotated[tuple[PastContactShape, ...], Meta(max_length=500)] = ()


class DebtUpdatedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.updated: new figures; amounts need their currency."""

    debt_ref: Reference
    principal: Amount | None = None
    interest: Amount | None = None
    penalty: Amount | None = None
    currency: Currency | None = None
    due_date: date | None = None
    product: Code | None = None


class PaymentReceivedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.payment_received: money came in."""

    debt_ref: Reference
    amount: Amount
    currency: Currency
    paid_at: Instant | None = None
    principal: Amount | None = None
    interest: Amount | None = None
    penalty: Amount | None = None


class PaymentReversedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.payment_reversed: `payment_id` is the id of the payment's event."""

    debt_ref: Reference
    payment_id: Reference
    payment_source: Reference | None = None
    reversed_at: Instant | None = None


class DebtCancelledShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.cancelled: the creditor withdrew the debt."""

    debt_ref: Reference
    reason: Code = "withdrawn"


class DebtDisputedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.disputed: the debtor contests the debt."""

    debt_ref: Reference
    reason: Code = "unspecified"


class DisputeResolvedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.dispute_resolved: upheld (the debt stands) or accepted."""

    debt_ref: Reference
    outcome: Literal["upheld", "accepted"]


class PromiseMadeShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.promise_made: an amount by a date."""

    debt_ref: Reference
    amount: Amount
    currency: Currency
    due_date: date
    channel: Channel | None = None


class PromiseCancelledShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.promise_cancelled: one promise, or every open one."""

    debt_ref: Reference
    promise_id: Reference | None = None
    promise_source: Reference | None = None


class InstalmentShape(Shape, frozen=True, kw_only=True, gc=False):
    """One payment of an agreement."""

    amount: Amount
    due_date: date


class AgreementMadeShape(Shape, frozen=True, kw_only=True, gc=False):
    """debt.agreement_made: a payment plan."""

    debt_ref: Reference
    currency: Currency
    instalments: Annotated[tuple[InstalmentShape, ...], Meta(min_length=1, max_length=420)]


class DebtorUpdatedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.updated: new facts about the person."""

    debtor_ref: Reference
    debtor: DebtorShape


class DebtorMergedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.merged: one person under two references."""

    debtor_ref: Reference
    into_debtor_ref: Reference


class ConsentChangedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.consent_changed: for one address, one channel, or everything."""

    debtor_ref: Reference
    state: Literal["granted", "revoked"]
    channel: PointChannel | None = None
    address: Address | None = None
    origin: Code


class HoldPlacedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.hold_placed: a reason not to contact, maybe until an instant."""

    debtor_ref: Reference
    reason: Code
    until: Instant | None = None


class HoldLiftedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.hold_lifted: a reason is gone."""

    debtor_ref: Reference
    reason: Code


class ErasureRequestedShape(Shape, frozen=True, kw_only=True, gc=False):
    """debtor.erasure_requested: the person asks to be forgotten."""

    debtor_ref: Reference


class ContactRecordedShape(Shape, frozen=True, kw_only=True, gc=False):
    """contact.recorded: what a person, dialer or letter house did."""

    debt_ref: Reference | None = None
    debtor_ref: Reference | None = None
    channel: Channel
    at: Instant
    outcome: Literal[
        "answered", "no_answer", "right_party", "promise", "delivered_notice", "wrong_person"
    ]
    contact_id: UUID | None = None
    work_item_id: UUID | None = None


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The structured form. Extension attributes we do not know are ignored, as the norm asks."""

    specversion: Literal["1.0"]
    id: Reference
    source: Reference
    type: Annotated[str, Meta(min_length=1, max_length=64)]
    data: msgspec.Raw
    time: Instant | None = None
    datacontenttype: Annotated[str, Meta(max_length=100)] | None = None
    traceparent: Annotated[str, Meta(max_length=55)] | None = None
    data_base64: object | UnsetType = UNSET


CLIENT_SHAPES: dict[str, type[Shape]] = {
    "debt.registered.v1": DebtRegisteredShape,
    "debt.updated.v1": DebtUpdatedShape,
    "debt.payment_received.v1": PaymentReceivedShape,
    "debt.payment_reversed.v1": PaymentReversedShape,
    "debt.cancelled.v1": DebtCancelledShape,
    "debt.disputed.v1": DebtDisputedShape,
    "debt.dispute_resolved.v1": DisputeResolvedShape,
    "debt.promise_made.v1": PromiseMadeShape,
    "debt.promise_cancelled.v1": PromiseCancelledShape,
    "debt.agreement_made.v1": AgreementMadeShape,
    "debtor.updated.v1": DebtorUpdatedShape,
    "debtor.merged.v1": DebtorMergedShape,
    "debtor.consent_changed.v1": ConsentChangedShape,
    "debtor.hold_placed.v1": HoldPlacedShape,
    "debtor.hold_lifted.v1": HoldLiftedShape,
    "debtor.erasure_requested.v1": ErasureRequestedShape,
    "contact.recorded.v1": ContactRecordedShape,
}
