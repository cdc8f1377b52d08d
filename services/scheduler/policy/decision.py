"""What the policy answers: the result types of `fold`, `decide`, `gate`.

In: nothing. Out: frozen structs that planner, dispatcher and explain read. Every answer carries
`Reason`s (rule, version, verdict, inputs; never personal data).
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from services.scheduler.policy.drafts import HoldChange, WorkItemDraft, WorkItemEnd
from services.scheduler.policy.state import DebtorState
from shared.events.contact import DebtFact, Item, Reason
from shared.events.states import ContactState

# A conclusion about one debt: ("debt.stage_advanced.v1", DebtFact). `machine_at` repeats law time:
# the policy knows no other clock; the planner may replace it.
Fact = tuple[str, DebtFact]
# A planned contact that no longer stands: (contact_id, reasons); the state already says cancelled.
Cancelled = tuple[UUID, tuple[Reason, ...]]


class Folded(msgspec.Struct, kw_only=True):
    """What folding one event came to. `close_requests`: dispatched contacts the sender must end.

    `released`: (contact, debt) whose step a person lets be tried again though nobody will ever know
    whether that contact arrived: its slot becomes free. `leaving`: the debtor was merged into
    another by this event and must be handed over.
    """

    state: DebtorState
    hold_changes: list[HoldChange] = []
    facts: list[Fact] = []
    work_items: list[WorkItemDraft] = []
    endings: list[WorkItemEnd] = []
    touched_contacts: set[UUID] = set()
    cancelled: list[Cancelled] = []
    close_requests: list[UUID] = []
    released: list[tuple[UUID, UUID]] = []
    leaving: UUID | None = None


class VerdictKind(StrEnum):
    """What happens to one debt now."""

    CONTACT = "contact"
    WAIT = "wait"
    STOP = "stop"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The decision about one debt; `until` is when waiting may end (None: until an event).

    `recheck`: waiting may end earlier, and no event will say so.
    """

    kind: VerdictKind
    reasons: tuple[Reason, ...]
    until: datetime | None = None
    recheck: bool = False


class ContactPlan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A contact to record: planned, or (in `Decision.withheld`) decided not to happen.

    [not_before, not_after) is the lawful window in which it is due; priority: higher goes first.
    """

    contact_id: UUID
    k: int
    channel: str
    account_id: str
    portfolio_id: str
    step_key: str
    stage: int
    template_id: str
    content_class: str
    items: tuple[Item, ...]
    due_at: datetime
    not_before: datetime
    not_after: datetime
    local_date: date
    priority: int
    reasons: tuple[Reason, ...]


class Decision(msgspec.Struct, kw_only=True):
    """What to do for one debtor at `now`. The state that was passed in is already changed.

    `withheld` contacts are final on arrival: record each as planned and withheld at once.
    `wake_at` is the earliest instant at which the answer may differ without a new event.
    """

    contacts: list[ContactPlan] = []
    withheld: list[ContactPlan] = []
    cancel: list[Cancelled] = []
    per_debt: dict[str, Verdict] = {}
    facts: list[Fact] = []
    work_items: list[WorkItemDraft] = []
    endings: list[WorkItemEnd] = []
    wake_at: datetime | None = None

    @property
    def held(self) -> bool:
        """Whether a hold keeps a debt back whose lift no event of the debtor will tell."""
        return any(verdict.recheck for verdict in self.per_debt.values())


class Go(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The licence for one contact: everything the task and its permit need, frozen at `now`."""

    address: str
    locale: str
    template_id: str
    template_version: int
    content_class: str
    values: dict[str, str]
    not_before: datetime
    not_after: datetime
    local_date: date
    versions: dict[str, str]
    subjects: tuple[str, ...]
    reasons: tuple[Reason, ...]


class Defer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Not now: look again at `until`; `not_after` is the end of that later window.

    `held`: a hold is why, so its lift ends the wait.
    """

    until: datetime
    not_after: datetime
    local_date: date
    reasons: tuple[Reason, ...]
    held: bool = False


class Drop(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Not at all: `outcome` is WITHHELD, CANCELLED or EXPIRED (a certain non-send)."""

    outcome: ContactState
    reasons: tuple[Reason, ...]

    @property
    def kind(self) -> str:
        """Name of the outcome as facts spell it: withheld, cancelled, expired."""
        return self.outcome.name.lower()
