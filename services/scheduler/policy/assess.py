"""Assess one debt: is it silent, where is it on its ladder, how would its next message go.

In: one debt of the state, the rulebook, holds in force, `now`. Out: a `Candidate` for contact, or a
`Verdict` to wait or stop with its reasons. Standing, ladder entry and lapsed steps are written into
the state on the way; nothing about other debts is looked at here (see `decide`).
"""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.scheduler.policy import silence, standing, steps
from services.scheduler.policy.calendar import start_of
from services.scheduler.policy.channels import PASSING, Way, choose_way
from services.scheduler.policy.consolidation import Candidate
from services.scheduler.policy.decision import Decision, Verdict, VerdictKind
from services.scheduler.policy.jurisdiction import Jurisdiction, resolve
from services.scheduler.policy.rulebook import Ladder, Rulebook, Step
from services.scheduler.policy.segment import ladder_for
from services.scheduler.policy.state import DebtorState, DebtState, WorkItemDraft
from shared.events.configuration import Portfolio
from shared.events.contact import Reason
from shared.events.identities import fact_id
from shared.events.states import ContactState

# Missing configuration is on its way, or a person is slow; asking hourly costs nothing.
CONFIGURATION_RECHECK = timedelta(hours=1)
MISSING_CONFIGURATION = frozenset({"portfolio_missing", "pack_missing"})


class Setting(NamedTuple):
    """What one call of `decide` looks at."""

    state: DebtorState
    rulebook: Rulebook
    holds: silence.HoldsBySubject
    now: datetime
    decision: Decision


def assess(setting: Setting, debt: DebtState) -> Candidate | Verdict:
    """Bring one debt up to date and say what it wants."""
    portfolio = setting.rulebook.portfolio(debt.portfolio_id)
    if portfolio is None:
        scene = _scene(setting, debt, None, resolve(setting.state, "", setting.rulebook))
        silenced = silence.first(scene)
        return _verdict(silenced) if silenced else _missing(setting, "portfolio_missing")
    jurisdiction = resolve(setting.state, debt.portfolio_id, setting.rulebook)
    moment = standing.Moment(setting.now, jurisdiction.zone)
    standing.update(setting.state, debt, portfolio, moment, setting.decision.facts)
    found = ladder_for(debt, portfolio, setting.rulebook)
    day = setting.now.astimezone(jurisdiction.zone).date()
    if found is not None:
        day = _lawful_day(setting.now, jurisdiction, found[1])
        if debt.registered and debt.status == "open" and debt.entered_on is None:
            steps.enter(debt, found[1], found[0], day)
    silenced = silence.first(_scene(setting, debt, portfolio, jurisdiction))
    if silenced is not None:
        if silenced.reason.rule == silence.FOREIGN_MONEY:
            open_work(setting, debt, "payment_currency_mismatch", "", silenced.reason)
        return _verdict(silenced)
    if found is None:
        return _missing(setting, "ladder_missing")
    return _on_ladder(setting, debt, portfolio, jurisdiction, found, day)


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


def _on_ladder(
    setting: Setting,
    debt: DebtState,
    portfolio: Portfolio,
    jurisdiction: Jurisdiction,
    found: tuple[int, Ladder],
    day: date,
) -> Candidate | Verdict:
    version, ladder = found
    view = steps.View(debt, ladder, version, day, jurisdiction.zone, jurisdiction.stage_wait)
    position = steps.locate(view, planned=_planned_steps(setting.state, debt))
    step = position.step
    if position.work_item is not None:
        key = position.reason.inputs.get("step", "")
        open_work(setting, debt, position.work_item, key, position.reason)
    if step is None:
        until = None
        if position.next_day is not None:
            until = lawful_start(jurisdiction, ladder.steps[0].channels[0], position.next_day)
        return Verdict(kind=VerdictKind.WAIT, reasons=(position.reason,), until=until)
    chosen = _way(setting, step, portfolio, jurisdiction, day)
    if isinstance(chosen, Way):
        return Candidate(debt, step, chosen, None, jurisdiction, day, position.reason)
    if chosen in PASSING or chosen in MISSING_CONFIGURATION:
        return _missing(setting, chosen)
    return Candidate(debt, step, None, chosen, jurisdiction, day, position.reason)


def _way(
    setting: Setting, step: Step, portfolio: Portfolio, jurisdiction: Jurisdiction, day: date
) -> Way | str:
    """Return how the step's message goes, or the rule that forbids it."""
    if jurisdiction.problem is not None:
        return jurisdiction.problem
    chosen = choose_way(setting.state, step, portfolio, setting.rulebook, jurisdiction, day)
    if isinstance(chosen, str):
        return chosen
    window = jurisdiction.calendar(chosen.channel).find(setting.now)
    return chosen if window is not None else "no_common_window"


def _lawful_day(now: datetime, jurisdiction: Jurisdiction, ladder: Ladder) -> date:
    """Return the debtor's date of the next lawful instant: steps are looked for as of then."""
    lawful = jurisdiction.calendar(ladder.steps[0].channels[0]).next_lawful(now)
    return (lawful or now).astimezone(jurisdiction.zone).date()


def _planned_steps(state: DebtorState, debt: DebtState) -> frozenset[str]:
    planned = []
    for key, record in debt.steps.items():
        if record.state == "open":
            contact = state.contacts.get(str(record.contact_id))
            if contact is not None and contact.state == ContactState.PLANNED:
                planned.append(key)
    return frozenset(planned)


def _scene(
    setting: Setting, debt: DebtState, portfolio: Portfolio | None, jurisdiction: Jurisdiction
) -> silence.Scene:
    return silence.Scene(
        setting.state, debt, portfolio, setting.holds, setting.now, jurisdiction.zone
    )


def _verdict(silenced: silence.Silenced) -> Verdict:
    return Verdict(
        kind=silenced.kind,
        reasons=(silenced.reason,),
        until=silenced.until,
        recheck=silenced.recheck,
    )


def _missing(setting: Setting, rule: str) -> Verdict:
    reason = Reason(rule=rule, verdict="wait")
    until = setting.now + CONFIGURATION_RECHECK
    return Verdict(kind=VerdictKind.WAIT, reasons=(reason,), until=until)
