"""What a batch of facts changes in the projections: one struct per table.

In: `projections.fold` fills them. Out: `store.projections` merges them into its rows. None and
empty say nothing; money is in minor units of `currency`; instants are law time.
"""

from datetime import date, datetime
from uuid import UUID

import msgspec

Key = tuple[str, UUID]

PLATFORM = "platform"  # the scheduler planned it: it is in the balance
RECORDED = "recorded"  # a person or another system did it: history and KPIs only


class ContactChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a batch says about one contact; None and empty mean that it says nothing.

    `items` is the JSON of the contact's items, which never change.
    """

    tenant_id: str
    contact_id: UUID
    debtor_id: UUID | None = None
    portfolio_id: str | None = None
    channel: str | None = None
    origin: str = PLATFORM
    step_key: str | None = None
    stage: int | None = None
    manual: bool = False
    debt_ids: list[UUID] = []
    items: str | None = None
    attempt_ids: list[UUID] = []
    accepted_ids: list[UUID] = []
    state: int | None = None
    state_at: datetime | None = None
    state_rules: list[str] | None = None
    state_code: str | None = None
    non_send: bool = False
    local_day: date | None = None
    planned_at: datetime | None = None
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    replied_at: datetime | None = None
    right_party_at: datetime | None = None
    opted_out_at: datetime | None = None
    complained_at: datetime | None = None
    due_at: datetime | None = None
    not_after: datetime | None = None
    resolve_by: datetime | None = None
    account_id: str | None = None
    template: str | None = None
    segments: int | None = None


class AccountChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a batch says about one debt as an account that was assigned to us.

    An account leaves when its creditor withdraws it (`debt.cancelled`); a paid one stays assigned.
    """

    tenant_id: str
    debt_id: UUID
    debtor_id: UUID
    portfolio_id: str | None = None
    currency: str | None = None
    stage: int | None = None
    entered_at: datetime | None = None
    reentered_at: datetime | None = None
    left_at: datetime | None = None
    promises_withdrawn_at: datetime | None = None


class PromiseChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a batch says about one promise, made by event or by reply.

    `amount` None: the whole balance of its debts. `kept_debt_ids` and `broken_debt_ids` are the
    planner's verdicts, debt by debt.
    """

    tenant_id: str
    promise_id: UUID
    debt_ids: list[UUID] = []
    debtor_id: UUID | None = None
    amount: int | None = None
    currency: str | None = None
    due_date: date | None = None
    channel: str | None = None
    made_at: datetime | None = None
    withdrawn_at: datetime | None = None
    kept_debt_ids: list[UUID] = []
    broken_debt_ids: list[UUID] = []


class PaymentChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a batch says about one payment, in minor units of `currency`."""

    tenant_id: str
    payment_id: UUID
    debt_id: UUID | None = None
    debtor_id: UUID | None = None
    amount: int | None = None
    currency: str | None = None
    paid_at: datetime | None = None
    reversed_at: datetime | None = None


class ReplyChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a batch says about one reply."""

    tenant_id: str
    reply_id: UUID
    contact_id: UUID
    debtor_id: UUID
    channel: str
    at: datetime
    intent: str
    confident: bool
    right_party: bool
    opted_out: bool = False


class MergeChange(msgspec.Struct, frozen=True, kw_only=True):
    """Two debtors turned out to be one."""

    tenant_id: str
    merged_debtor_id: UUID
    debtor_id: UUID


class Changes(msgspec.Struct, kw_only=True):
    """Everything that a batch changes in the projections."""

    contacts: dict[Key, ContactChange] = {}
    accounts: dict[Key, AccountChange] = {}
    promises: dict[Key, PromiseChange] = {}
    payments: dict[Key, PaymentChange] = {}
    replies: dict[Key, ReplyChange] = {}
    merges: list[MergeChange] = []
