"""Which receipts a message gets, and when: from its fate and the faults that it met.

In: a `Plan`, how long the provider tries, scripted faults. Out: `Step`s in the order they are told.
"""

import msgspec

from deploy.sandbox.behaviour import Plan
from deploy.sandbox.faults import Fault

EXPIRED_CODE = 30036


class Step(msgspec.Struct, frozen=True):
    """One receipt: what it says, and after which delay it is told (law time when given)."""

    status: str
    code: int | None = None
    wait_ms: float = 0.0
    wait_law_seconds: float | None = None


def opened(steps: list[Step], plan: Plan) -> list[Step]:
    """Return the receipts with that of a message that the person opens."""
    if plan.read_seconds is None or not any(step.status == "delivered" for step in steps):
        return steps
    return [*steps, Step("read", wait_law_seconds=plan.read_seconds)]


def receipts(
    plan: Plan, validity_seconds: int, statuses: tuple[str, ...], faults: tuple[Fault, ...]
) -> list[Step]:
    """Return the receipts of a message in the order they are told."""
    steps = [Step("sent", wait_ms=plan.sent_ms)] if "sent" in statuses else []
    if "queued" in statuses:
        steps.insert(0, Step("queued"))
    if plan.outcome == "undelivered":
        steps.append(Step("undelivered", plan.code, plan.final_ms))
    elif plan.outcome == "delivered":
        wait = plan.final_law_seconds
        if wait is not None and wait > validity_seconds:
            steps.append(Step("undelivered", EXPIRED_CODE, 0.0, float(validity_seconds)))
        else:
            steps.append(Step("delivered", None, plan.final_ms, wait))
    late = next((fault for fault in faults if fault.kind == "late_receipt"), None)
    if late is not None and steps:
        steps[-1] = msgspec.structs.replace(
            steps[-1], wait_ms=late.seconds * 1_000, wait_law_seconds=late.law_seconds
        )
    if any(fault.kind == "reorder_receipts" for fault in faults):
        steps.reverse()
    return steps
