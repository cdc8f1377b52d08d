"""What the policy knows about one debtor: one small JSON document per debtor.

In: `fold` and `decide` write it. Out: planner and dispatcher keep it as one blob (`encode`,
`decode`). Everything that can arrive twice or late is kept under its own event id or stamp, so that
folding is idempotent and order-tolerant. A stamp is text that sorts as (event time, event id).
"""

from datetime import date, datetime
from uuid import UUID

import msgspec

from shared.events.contact import Item
from shared.events.debt import Place
from shared.events.states import ContactState

MICROSECONDS_PER_SECOND = 1_000_000
STAMP_ID_CHARS = 8  # 32 bits break ties inside one microsecond; more would only fatten the blob


def stamp_of(occurred_at: datetime, event_id: UUID) -> str:
    """Return the text that orders updates: event time first, then event id."""
    micros = int(occurred_at.timestamp() * MICROSECONDS_PER_SECOND)
    return f"{max(micros, 0):014x}{event_id.hex[:STAMP_ID_CHARS]}"


class Compact(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Shared shape of the state's parts: defaults are not written."""


class Consent(Compact):
    """Consent at one level (an address, a channel, everything): the newest word of each kind.

    `revoked_by` gives the stamp of each revocation whose hold nobody lifted yet, by event id.
    """

    granted: str = ""
    revoked: str = ""
    revoked_by: dict[str, str] = {}

    @property
    def state(self) -> str:
        """What the newest word says: granted or revoked."""
        return "revoked" if self.revoked > self.granted else "granted"

    @property
    def stamp(self) -> str:
        """When the newest word was said."""
        return max(self.revoked, self.granted)


class Point(Compact):
    """One address. `stamp` tells when the client last named it; empty: never (consent came first).

    `suppressed` names why the address must not be used whatever the consent (a provider said so),
    None when it may; `consent` is None while nobody said anything about this address.
    `right_party`: the debtor answered from it; `reached` and `failed`: when a message last arrived
    there, or did not (stamps).
    """

    channel: str
    address: str
    verified: bool = False
    consent: Consent | None = None
    suppressed: str | None = None
    stamp: str = ""
    right_party: bool = False
    reached: str = ""
    failed: str = ""


class PersonHold(Compact):
    """A reason not to contact the person, from `debtor.hold_placed`; `until` is law time."""

    reason: str
    stamp: str
    until: datetime | None = None


class Payment(Compact):
    """Money that came in, in minor units of `currency`."""

    amount: int
    currency: str
    at: datetime


class Promise(Compact):
    """A promise to pay; `state` is open, kept or broken (cancellation is derived)."""

    amount: int
    currency: str
    due: date
    made_at: datetime
    stamp: str
    state: str = "open"


class Agreement(Compact):
    """A payment plan: (amount, due date) per instalment; `state` is open, kept or broken."""

    event_id: UUID
    instalments: list[tuple[int, date]]
    currency: str
    made_at: datetime
    stamp: str
    state: str = "open"


class StepRecord(Compact):
    """What became of one ladder step of one debt.

    `state`: pending, open (a contact is planned or on its way), sent, unknown and unknown_final
    (may have been received), handed_off (a person has it), entered_late, missed, withheld, waived.
    `k` is the highest number used per channel; `at` is when the newest contact for it ended or the
    step was settled. `sent_on`: the contact that left on each channel, oldest first; `failed_on`: a
    channel per contact that no provider took; `failures` counts those of the channel with most.
    """

    state: str = "pending"
    contact_id: UUID | None = None
    at: datetime | None = None
    k: dict[str, int] = {}
    failures: int = 0
    sent_on: dict[str, UUID] = {}
    failed_on: list[str] = []
    mandatory: bool = False
    reason: str | None = None


class HandOff(Compact):
    """A step that a person has: the work item, and the terms on which it was asked for.

    `law` is a digest of packs, zones and places; empty: asked for before it was kept.
    """

    work_item_id: UUID
    balance: int = 0
    addresses: tuple[str, ...] = ()
    law: str = ""


class DebtState(Compact):
    """One debt. `registered` False: a stub made by an event that came before its debt.

    Amounts are gross of the payments reported as events. `status` is open, settled or cancelled;
    `cancel_stamp` later than `stamp` (the newest registration) means cancelled. `work_opened` marks
    what a person was asked (kind, episode, step), `work_decided` the answers already taken;
    `handed` are the hand-offs that are open, by step.
    """

    debt_id: UUID
    portfolio_id: str = ""
    registered: bool = False
    debt_ref: str = ""
    currency: str = ""
    principal: int = 0
    interest: int = 0
    penalty: int = 0
    due_date: date | None = None
    product: str | None = None
    stamp: str = ""
    field_stamps: dict[str, str] = {}
    status: str = "open"
    cancel_stamp: str = ""
    cancel_reason: str | None = None
    settled_at: datetime | None = None
    episode: int = 0
    stage: int = 0
    ladder_id: str = ""
    ladder_version: int = 0
    entered_on: date | None = None
    steps: dict[str, StepRecord] = {}
    payments: dict[str, Payment] = {}
    reversed: list[str] = []
    promises: dict[str, Promise] = {}
    promises_cancelled: list[str] = []
    promises_cancelled_stamp: str = ""
    agreement: Agreement | None = None
    disputes: dict[str, str] = {}
    resolved_stamp: str = ""
    resolved_outcome: str | None = None
    quiet_until: datetime | None = None
    work_opened: list[str] = []
    work_decided: list[str] = []
    handed: dict[str, HandOff] = {}

    def paid(self) -> int:
        """Return what came in and stayed, in minor units of the debt's currency."""
        if not self.payments:
            return 0
        return sum(
            payment.amount
            for key, payment in self.payments.items()
            if payment.currency == self.currency and key not in self.reversed
        )

    def balance(self) -> int:
        """Return what is still owed, in minor units."""
        return self.principal + self.interest + self.penalty - self.paid()

    def disputed(self) -> bool:
        """Say whether a dispute is open: one newer than the newest resolution."""
        return any(stamp > self.resolved_stamp for stamp in self.disputes.values())

    def foreign_payment(self) -> bool:
        """Say whether money came in another currency than the debt's: a person must look."""
        return self.registered and any(
            payment.currency != self.currency and key not in self.reversed
            for key, payment in self.payments.items()
        )


class ContactRecord(Compact):
    """One contact as the policy sees it. `local_date` is the date on which it counts in caps.

    `at` is law time of the newest fact; `address` is known from dispatch on; `reasons` are those
    of the plan and are dropped once it is dispatched.
    """

    channel: str
    account_id: str = ""
    portfolio_id: str = ""
    template_id: str = ""
    content_class: str = ""
    step_key: str = ""
    stage: int = 0
    items: tuple[Item, ...] = ()
    state: int = int(ContactState.PLANNED)
    k: int = 1
    due_at: datetime | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    local_date: date | None = None
    at: datetime | None = None
    address: str | None = None
    priority: int = 0
    manual: bool = False


class PastContact(Compact, array_like=True):
    """A contact made elsewhere or by a person; it counts in caps."""

    channel: str
    at: datetime


class DebtorState(Compact):
    """One debtor of one tenant, with everything the policy needs. Ids are text as dictionary keys.

    `consents` is keyed by channel or `*`; `wrong_person` by channel: points named no later than
    the stamp are not used. `points_stamp`: the newest whole list of points from the client.
    `facts_stamp` dates every fact that has a value and no stamp of its own in `fact_stamps`.
    `absorbed`: debtors merged into this one; `absorbing`: those to come, with the parts taken.
    `answered_at`: law time of the debtor's newest reply, on whatever channel.
    """

    debtor_id: UUID
    tenant_id: str
    debtor_ref: str | None = None
    name: str | None = None
    kind: str | None = None
    locale: str | None = None
    places: tuple[Place, ...] = ()
    facts_stamp: str = ""
    fact_stamps: dict[str, str] = {}
    points: list[Point] = []
    points_stamp: str = ""
    consents: dict[str, Consent] = {}
    wrong_person: dict[str, str] = {}
    debts: dict[str, DebtState] = {}
    contacts: dict[str, ContactRecord] = {}
    past: dict[str, PastContact] = {}
    person_holds: dict[str, PersonHold] = {}
    holds_lifted: dict[str, str] = {}
    merged_into: UUID | None = None
    absorbed: list[str] = []
    absorbing: dict[str, list[int]] = {}
    erasure_requested: bool = False
    answered_at: datetime | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(DebtorState)


def encode(state: DebtorState) -> bytes:
    """Encode a debtor's state as compact JSON."""
    return _encoder.encode(state)


def decode(blob: bytes) -> DebtorState:
    """Decode a debtor's state; raise `msgspec.ValidationError` when it is not one."""
    return _decoder.decode(blob)


def copy(state: DebtorState) -> DebtorState:
    """Return an independent copy: what `explain` and simulations may change freely."""
    return _decoder.decode(_encoder.encode(state))
