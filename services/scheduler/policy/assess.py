"""Assess one debt: is it silent, where is it on its ladder, how would its next message go.

In: one debt of the state, the rulebook, holds in force, `now`. Out: a `Candidate` for contact, or a
`Verdict` to wait or stop with its reasons. Standing, ladder entry and lapsed steps are written into
the state on the way; nothing about other debts is looked at here (see `decide`).
"""

from datetime import date, datetime

from services.scheduler.policy import hand_offs, silence, standing, steps
from services.scheduler.policy.consolidation import Candidate
from services.scheduler.policy.decision import Verdict
from services.scheduler.policy.jurisdiction import Jurisdiction, resolve
from services.scheduler.policy.next_step import on_ladder
from services.scheduler.policy.rulebook import Ladder
from services.scheduler.policy.segment import ladder_for
from services.scheduler.policy.setting import Setting, missing, open_work
from services.scheduler.policy.state import DebtState
from shared.events.configuration import Portfolio


def assess(setting: Setting, debt: DebtState) -> Candidate | Verdict:
    """Bring one debt up to date and say what it wants."""
    portfolio = setting.rulebook.portfolio(debt.portfolio_id)
    if portfolio is None:
        scene = _scene(setting, debt, None, resolve(setting.state, "", setting.rulebook))
        silenced = silence.first(scene)
        if silenced is None:
            return missing(setting, "portfolio_missing")
        hand_offs.silence(setting, debt, silenced.reason)
        return _verdict(silenced)
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
        hand_offs.silence(setting, debt, silenced.reason)
        return _verdict(silenced)
    if found is None:
        return missing(setting, "ladder_missing")
    return on_ladder(setting, debt, portfolio, jurisdiction, found, day)


def _lawful_day(now: datetime, jurisdiction: Jurisdiction, ladder: Ladder) -> date:
    """Return the debtor's date of the next lawful instant: steps are looked for as of then."""
    lawful = jurisdiction.calendar(ladder.steps[0].channels[0]).next_lawful(now)
    return (lawful or now).astimezone(jurisdiction.zone).date()


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
