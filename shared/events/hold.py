"""Holds: pauses that act before they are understood (promise P5), on a lane of their own.

In: intake, operators and senders place holds; the planner confirms or lifts them. Out: records on
contact.holds.v1 keyed by hold id; newer versions replace older ones; a lift is a version, never a
null record within 30 days. `CompleteThrough` marks say how current a partition of the lane is.
"""

from datetime import datetime
from uuid import UUID

import msgspec

SCOPES = (
    "everything",
    "tenant",
    "portfolio",
    "channel",
    "template",
    "debtor",
    "debt",
    "address",
)
COMPLETE_THROUGH_KEY = "complete_through"


class Hold(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One hold. `subject` is `subject_of(...)`; `state` is active or lifted.

    `lifted_at` and `placed_at` are machine time (they are compared with a permit's `issued_at`);
    `until` is law time: the hold ends by itself then.
    """

    hold_id: UUID
    tenant_id: str
    scope: str
    subject: str
    reason: str
    version: int
    state: str
    placed_at: datetime
    until: datetime | None = None
    lifted_at: datetime | None = None
    origin: str = "scheduler"


class CompleteThrough(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Every hold committed before `at` (machine time) is already on this partition."""

    at: datetime


def subject_of(scope: str, tenant_id: str = "", name: str = "") -> str:
    """Return the subject text that holds and tasks share, e.g. `debt:acme:<uuid>`.

    `everything` has one subject for all tenants; `address` takes `address_subject`'s digest.
    """
    if scope == "everything":
        return "everything"
    if scope == "tenant":
        return f"tenant:{tenant_id}"
    return f"{scope}:{tenant_id}:{name}"


HOLD_TYPES: dict[str, type[msgspec.Struct]] = {
    "hold.changed.v1": Hold,
    "hold.complete_through.v1": CompleteThrough,
}
