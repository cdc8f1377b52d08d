"""Contact tasks (scheduler to senders) and contact facts (everybody to planner and ledger).

In: the dispatcher makes tasks, every service states facts. Out: one struct per fact type, listed
in `CONTACT_FACT_TYPES`. Facts carry ids, codes and reasons; the one personal field is the rendered
text, sealed (`shared.privacy`), for the ledger alone.
"""

from datetime import date, datetime
from uuid import UUID

import msgspec


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One debt inside a contact: a person with twelve invoices gets one message, not twelve."""

    debt_id: UUID
    episode: int
    step_key: str
    stage: int


class Permit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The licence to contact: the lawful interval [not_before, not_after) in law time.

    `issued_at` is the database's machine clock when dispatch read the holds: a hold lifted later
    cancels this permit. The interval is immutable per contact id. `versions` names ladder, packs,
    template and account versions that the decision used; `local_date` is the debtor's date on
    which caps were reserved.
    """

    issued_at: datetime
    not_before: datetime
    not_after: datetime
    local_date: date
    versions: dict[str, str]


class ContactTask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything a sender needs for one contact. `subjects` are the hold subjects that stop it."""

    contact_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    channel: str
    address: str
    locale: str
    account_id: str
    template_id: str
    template_version: int
    content_class: str
    step_key: str
    stage: int
    items: tuple[Item, ...]
    values: dict[str, str]
    subjects: tuple[str, ...]
    permit: Permit
    priority: int = 0


class CloseRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ask the sender to end a dispatched contact: it writes a tombstone or tells the state."""

    contact_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    channel: str
    items: tuple[Item, ...]
    permit: Permit
    reason: str


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why: the rule, its version and the inputs it looked at (never personal data)."""

    rule: str
    version: str = ""
    verdict: str = ""
    inputs: dict[str, str] = {}


class ContactFactBase(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every fact about a contact carries. `at` is law time, `machine_at` machine time."""

    contact_id: UUID
    debtor_id: UUID
    portfolio_id: str
    channel: str
    items: tuple[Item, ...] = ()
    at: datetime
    machine_at: datetime


class ContactDecided(ContactFactBase, frozen=True, kw_only=True, gc=False):
    """planned, deferred, withheld, dispatched, cancelled, expired: decided, nothing was sent.

    `until` is the next instant at which a deferred contact is looked at again; `manual` marks a
    contact that a person asked for.
    """

    step_key: str
    stage: int
    reasons: tuple[Reason, ...] = ()
    due_at: datetime | None = None
    not_after: datetime | None = None
    until: datetime | None = None
    local_date: date | None = None
    manual: bool = False
    attempt_id: UUID | None = None


class ContactAttempted(ContactFactBase, frozen=True, kw_only=True, gc=False):
    """accepted, attempt_refused, failed, unknown, unknown_final: what a provider call came to.

    `text_sealed` is the rendered message, encrypted; `fault` is ours, provider or recipient.
    """

    attempt_id: UUID
    n: int
    provider: str
    account_id: str
    step_key: str = ""
    stage: int = 0
    provider_ref: str | None = None
    code: str | None = None
    error: str | None = None
    fault: str | None = None
    retryable: bool | None = None
    resolve_by: datetime | None = None
    template: str | None = None
    segments: int | None = None
    text_sealed: str | None = None
    suppress_address: bool = False


class ContactReceipt(ContactFactBase, frozen=True, kw_only=True, gc=False):
    """sent, delivered, undelivered, read, complained: what the provider reported afterwards.

    `category` is what the provider charges the message as, in its own word, e.g. utility;
    `billable` False means that it charges nothing.
    """

    attempt_id: UUID
    provider: str
    account_id: str
    provider_ref: str | None = None
    provider_at: datetime | None = None
    code: str | None = None
    error: str | None = None
    late: bool = False
    suppress_address: bool = False
    category: str | None = None
    billable: bool | None = None


class ContactReply(ContactFactBase, frozen=True, kw_only=True, gc=False):
    """replied, opted_out: the debtor answered. `contact_id` is the contact it answers.

    `intent`: opt_out, promise, paid, dispute, wrong_person, help, other; `confident` False opens
    a work item. `right_party` is True when the words confirm the person.
    """

    reply_id: UUID
    provider: str
    account_id: str
    intent: str
    confident: bool
    right_party: bool = False
    promise_amount: int | None = None
    promise_date: date | None = None
    address_subject: str | None = None
    text_sealed: str | None = None


class DebtFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """debt.stage_advanced, debt.promise_kept, debt.promise_broken: what the planner concluded."""

    debtor_id: UUID
    debt_id: UUID
    portfolio_id: str
    episode: int
    at: datetime
    machine_at: datetime
    stage: int | None = None
    promise_event_id: UUID | None = None
    amount: int | None = None
    currency: str | None = None
    reasons: tuple[Reason, ...] = ()


class WorkItemFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """work_item.opened, work_item.closed: something needs, or had, a human.

    `episode` and `step_key` name the ladder step that it is about, if it is about one.
    """

    work_item_id: UUID
    kind: str
    at: datetime
    machine_at: datetime
    debtor_id: UUID | None = None
    debt_id: UUID | None = None
    contact_id: UUID | None = None
    decision: str | None = None
    actor: str | None = None
    episode: int | None = None
    step_key: str | None = None


CONTACT_FACT_TYPES: dict[str, type[msgspec.Struct]] = {
    "contact.planned.v1": ContactDecided,
    "contact.deferred.v1": ContactDecided,
    "contact.withheld.v1": ContactDecided,
    "contact.dispatched.v1": ContactDecided,
    "contact.cancelled.v1": ContactDecided,
    "contact.expired.v1": ContactDecided,
    "contact.accepted.v1": ContactAttempted,
    "contact.attempt_refused.v1": ContactAttempted,
    "contact.failed.v1": ContactAttempted,
    "contact.unknown.v1": ContactAttempted,
    "contact.unknown_final.v1": ContactAttempted,
    "contact.sent.v1": ContactReceipt,
    "contact.delivered.v1": ContactReceipt,
    "contact.undelivered.v1": ContactReceipt,
    "contact.read.v1": ContactReceipt,
    "contact.complained.v1": ContactReceipt,
    "contact.replied.v1": ContactReply,
    "contact.opted_out.v1": ContactReply,
    "debt.stage_advanced.v1": DebtFact,
    "debt.promise_kept.v1": DebtFact,
    "debt.promise_broken.v1": DebtFact,
    "work_item.opened.v1": WorkItemFact,
    "work_item.closed.v1": WorkItemFact,
}

TASK_TYPES: dict[str, type[msgspec.Struct]] = {
    "contact.task.v1": ContactTask,
    "contact.close_requested.v1": CloseRequested,
}
