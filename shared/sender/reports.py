"""What a delivery report does to an attempt: forward only, and every report on record.

In: an attempt as stored, and one normalised report. Out: the attempt raised (or not), which facts
follow, and what to write on the raw receipt. Pure: the caller locks, writes and states.
"""

from datetime import datetime

import msgspec

from shared.events.states import ContactState
from shared.sender.attempts import State
from shared.sender.provider import StatusReceipt
from shared.sender.store.receipts import StoredAttempt

NEVER_CALLED = frozenset({State.REFUSED, State.CANCELLED, State.EXPIRED, State.INVALID})


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What one report does.

    `accepted` says that it is the first proof of acceptance; `contradicts` that the attempt was
    recorded as certainly not sent (an alarm); `report` the state to state, if any; `mark` what the
    raw receipt's row says.
    """

    accepted: bool
    contradicts: bool
    report: ContactState | None
    late: bool
    mark: str


def apply(
    stored: StoredAttempt, receipt: StatusReceipt, law: datetime, machine: datetime
) -> Effect:
    """Raise `stored` by `receipt` in place and say what follows from it."""
    accepted = stored.state != State.ACCEPTED
    contradicts = stored.state in NEVER_CALLED
    if accepted:
        stored.state = State.ACCEPTED
        stored.outcome_law, stored.outcome_at = law, machine
    stored.provider_ref = stored.provider_ref or receipt.provider_ref
    report = receipt.state
    if report is None or report <= ContactState.ACCEPTED:
        mark = "applied" if accepted else "repeated"
        return Effect(
            accepted=accepted, contradicts=contradicts, report=None, late=False, mark=mark
        )
    if report > stored.reported:
        stored.reported = int(report)
        return Effect(
            accepted=accepted, contradicts=contradicts, report=report, late=False, mark="applied"
        )
    repeated = report == stored.reported
    return Effect(
        accepted=accepted,
        contradicts=contradicts,
        report=None if repeated else report,
        late=not repeated,
        mark="repeated" if repeated else "late",
    )
