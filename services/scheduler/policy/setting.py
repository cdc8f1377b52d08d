"""The setting of one decision: what `decide` looks at, and what it notes on the way.

In: a debtor's state, the rulebook, holds in force, `now`. Out: work items, and the waits that
several parts of the policy give in the same way.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.scheduler.policy import silence
from services.scheduler.policy.calendar import start_of
from services.scheduler.policy.decision import Decision, Verdict, VerdictKind
from services.scheduler.policy.drafts import WorkItemDraft
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.state import DebtorState, DebtState, Point
from shared.events.contact import Reason
from shared.events.identities import fact_id

# Missing configuration is on its way, or a person is slow; asking hourly costs nothing.
CONFIGURATION_RECHECK = timedelta(hours=1)
MISSING_CONFIGURATION = frozenset({"portfolio_missing", "pack_missing"})

AddressSubject = Callable[[str, str], str]  # channel, address -> hold subject


class Setting(NamedTuple):
    """What one call of `decide` looks at."""

    state: DebtorState
    rulebook: Rulebook
    holds: silence.HoldsBySubject
    now: datetime
    decision: Decision
    address_subject: AddressSubject | None = None

    def held(self, point: Point) -> bool:
        """Say whether a hold is on this address."""
        if not self.holds or self.address_subject is None:
            return False
        return self.address_subject(point.channel, point.address) in self.holds


def lawful_start(jurisdiction: Jurisdiction, channel: str, day: date) -> datetime:
    """Return the first lawful instant on or after a local date; its midnight when none is known."""
    midnight = start_of(day, jurisdiction.zone)
    return jurisdiction.calendar(channel).next_lawful(midnight) or midnight


def open_work(setting: Setting, debt: DebtState, kind: str, step_key: str, reason: Reason) -> None:
    """Ask for a person, once per debt, kind and step."""
    mark = f"{kind}:{debt.episode}:{step_key}"
    if mark in debt.work_opened:
        return
    debt.work_opened.append(mark)
    step = debt.steps.get(step_key)
    contact_id = step.contact_id if step is not None else None  # asked anew: another contact failed
    setting.decision.work_items.append(
        WorkItemDraft(
            kind=kind,
            cause=fact_id(debt.debt_id, kind, f"{debt.episode}:{step_key}:{contact_id or ''}"),
            debtor_id=setting.state.debtor_id,
            debt_id=debt.debt_id,
            contact_id=contact_id,
            episode=debt.episode,
            step_key=step_key or None,
            reasons=(reason,),
        )
    )


def missing(setting: Setting, rule: str) -> Verdict:
    """Wait for configuration that is on its way."""
    reason = Reason(rule=rule, verdict="wait")
    until = setting.now + CONFIGURATION_RECHECK
    return Verdict(kind=VerdictKind.WAIT, reasons=(reason,), until=until)
