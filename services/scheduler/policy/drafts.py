"""What the policy asks the planner to write beside the state: holds, and work for people.

In: nothing. Out: structs that `fold` and `decide` return and the working set stores.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from shared.events.contact import Reason
from shared.events.handoff import HandoffRequested
from shared.events.identities import fact_id

HAND_OFF = "handoff"  # kind of the items by which ladders give a step to a person
DONE = "done"
WITHDRAWN = "withdrawn"  # what the planner decides; people have other words


class HoldDraft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A hold that the planner wants placed, once: the same cause and subject, the same id."""

    hold_id: UUID
    scope: str
    subject: str
    reason: str


class HoldChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the planner says about the hold that intake placed: active (confirmed) or lifted."""

    hold_id: UUID
    state: str
    reason: str
    until: datetime | None = None


def item_id_of(cause: UUID, kind: str) -> UUID:
    """Return the identity of the item of this kind that `cause` opens."""
    return fact_id(cause, kind)


class WorkItemDraft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that needs a person. `cause` makes its identity: the same cause, the same item.

    `episode` and `step_key` name the step of the debt that a person is to decide on, if any;
    `request` is what outside systems are told of a hand-off.
    """

    kind: str
    cause: UUID
    debtor_id: UUID
    debt_id: UUID | None = None
    contact_id: UUID | None = None
    episode: int | None = None
    step_key: str | None = None
    reasons: tuple[Reason, ...] = ()
    request: HandoffRequested | None = None


class WorkItemEnd(NamedTuple):
    """A work item that the planner closes: the decision it stands for, and the rule behind it."""

    work_item_id: UUID
    decision: str
    rule: str
