"""Hand-offs: steps that a ladder gives to people, for the systems outside that help them.

In: the scheduler asks for one when no message can carry a step. Out: records on
contact.tasks.handoff.v1 for dialers, letter houses, legal desks. What they did comes back over HTTP
as `contact.recorded`, which names the work item. Like tasks, requests carry personal data in
`data` alone: addresses and merge values.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.events.contact import Item, Permit, Reason

HANDOFF_REQUESTED = "handoff.requested.v1"
HANDOFF_CLOSED = "handoff.closed.v1"


class Opening(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A half-open interval [opens, closes) of law time in which contact is lawful."""

    opens: datetime
    closes: datetime


class CapStanding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A cap that binds a channel: at most `maximum` contacts per `scope` within `days` dates.

    `scope` is debtor or debt, `window` calendar_days or week, dates are the debtor's own; `used`
    is what the platform had counted when it asked. `pack` names the rule's pack and version.
    """

    key: str
    pack: str
    scope: str
    window: str
    maximum: int
    days: int
    min_gap_days: int
    used: int


class Reach(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A channel on which the person may be reached: addresses (best first), when, how often."""

    channel: str
    addresses: tuple[str, ...]
    openings: tuple[Opening, ...]
    caps: tuple[CapStanding, ...] = ()


class HandoffRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A step of a ladder is a person's now: what it is about, and what makes acting on it lawful.

    Nothing may be done outside `permit` (on a channel: outside its `openings`), after the hand-off
    was closed, or while a hold is on one of `subjects` (contact.holds.v1). `reach` leaves out
    channels on which nobody may be reached; `values` are words and figures of this moment. The same
    `work_item_id` is asked for once: what changes (a balance, an address) closes it and asks anew.
    `contact.recorded` about `debt_ref` (the client's own reference) that names it is its outcome.
    """

    work_item_id: UUID
    debtor_id: UUID
    tenant_id: str
    portfolio_id: str
    debt_ref: str
    debtor_ref: str | None = None
    step_key: str
    stage: int
    objective: str
    mandatory: bool
    items: tuple[Item, ...]
    locale: str
    values: dict[str, str]
    reach: tuple[Reach, ...]
    subjects: tuple[str, ...]
    permit: Permit
    reasons: tuple[Reason, ...] = ()


class HandoffClosed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The hand-off is over: act on it no more.

    `outcome`: done (somebody reported it, or a person said so), waive, approve (it is asked for
    anew, under another id), withdrawn (paid, held, cancelled …: `reason` names the rule).
    """

    work_item_id: UUID
    debtor_id: UUID
    tenant_id: str
    debt_id: UUID
    outcome: str
    at: datetime
    machine_at: datetime
    reason: str | None = None
    episode: int | None = None
    step_key: str | None = None


HANDOFF_TYPES: dict[str, type[msgspec.Struct]] = {
    HANDOFF_REQUESTED: HandoffRequested,
    HANDOFF_CLOSED: HandoffClosed,
}
