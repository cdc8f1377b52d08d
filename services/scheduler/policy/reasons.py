"""Reasons that several parts of the policy give in the same words.

In: what a rule looked at. Out: `Reason`s for facts, permits and `explain`.
"""

from services.scheduler.policy.calendar import Interval
from services.scheduler.policy.caps import Capped
from shared.events.contact import Reason


def cap_reason(capped: Capped) -> Reason:
    """Return the reason of a full cap."""
    return Reason(
        rule=f"caps.{capped.cap.key}",
        version=capped.pack,
        verdict="full",
        inputs={
            "count": str(capped.used),
            "max": str(capped.cap.maximum),
            "free_on": capped.free_on.isoformat(),
            "status": capped.cap.status,
        },
    )


def window_reason(packs: str, window: Interval, verdict: str) -> Reason:
    """Return the reason that names a lawful window."""
    inputs = {"open": window.open.isoformat(), "close": window.close.isoformat()}
    return Reason(rule="calendar.window", version=packs, verdict=verdict, inputs=inputs)


def withheld_reason(why: str, channel: str, *, unresolved: bool) -> Reason:
    """Return the reason of a contact that must not happen."""
    if unresolved:
        return Reason(rule="jurisdiction_unresolved", verdict="withheld", inputs={"problem": why})
    return Reason(rule=why, verdict="withheld", inputs={"channel": channel})
