"""Decide what to do for one debtor now: plan contacts, cancel what no longer stands, or wait.

In: the debtor's state (changed in place), the rulebook, the holds in force after this batch's
changes, law time. Out: a `Decision` with one verdict per debt and its reasons. The result depends
on the state alone, not on the order in which events or debts came.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from services.scheduler.policy.assess import assess
from services.scheduler.policy.calendar import Interval
from services.scheduler.policy.caps import check, counted
from services.scheduler.policy.channels import OF_PORTFOLIO
from services.scheduler.policy.consolidation import Candidate, Group, group, same_contact
from services.scheduler.policy.decision import (
    ContactPlan,
    Decision,
    Folded,
    Verdict,
    VerdictKind,
)
from services.scheduler.policy.progress import raise_contact, reconcile
from services.scheduler.policy.pruning import prune, slim
from services.scheduler.policy.reasons import cap_reason, window_reason, withheld_reason
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.setting import AddressSubject, Setting, lawful_start, open_work
from services.scheduler.policy.silence import HOLD_RECHECK, in_force
from services.scheduler.policy.state import ContactRecord, DebtorState, StepRecord
from services.scheduler.policy.ways import Way
from shared.events.contact import Reason
from shared.events.hold import Hold
from shared.events.identities import contact_id
from shared.events.states import ContactState

__all__ = ["ContactPlan", "Decision", "decide"]

ONE_DAY = timedelta(days=1)
STAGE_WEIGHT = 1_000  # a higher stage goes first, then mandatory steps, then older debts
MANDATORY_WEIGHT = 500
AGE_WEIGHT_MAX = 499


def decide(
    state: DebtorState,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: AddressSubject | None = None,
) -> Decision:
    """Plan for every debt of the debtor; `holds` are the active ones after this batch's changes.

    `address_subject` maps (channel, address) to the subject of address holds: without it they are
    looked at when dispatching only.
    """
    decision = Decision()
    reconcile(state)
    slim(state)
    binding = in_force(tuple(holds), now)
    setting = Setting(state, rulebook, binding, now, decision, address_subject)
    candidates: list[Candidate] = []
    for key in sorted(state.debts):
        found = assess(setting, state.debts[key])
        if isinstance(found, Verdict):
            decision.per_debt[key] = found
        else:
            candidates.append(found)
    groups = group(candidates)
    fresh = _match(setting, [g for g in groups if g.lead.way is not None])
    for chosen in fresh:
        _plan(setting, chosen)
    for refused in groups:
        if refused.lead.way is None:
            _withhold(setting, refused)
    prune(state, now)
    decision.wake_at = _wake(decision, now)
    return decision


def _wake(decision: Decision, now: datetime) -> datetime | None:
    """Return the earliest instant at which the answer may differ without a new event."""
    verdicts = decision.per_debt.values()
    instants = [verdict.until for verdict in verdicts if verdict.until is not None]
    if any(verdict.recheck for verdict in verdicts):
        instants.append(now + HOLD_RECHECK)
    return min(instants, default=None)


def _match(setting: Setting, groups: list[Group]) -> list[Group]:
    """Keep planned contacts that still stand, cancel the others; return the groups to plan."""
    state, decision = setting.state, setting.decision
    planned = {
        key: record
        for key, record in state.contacts.items()
        if record.state == ContactState.PLANNED and not record.manual
    }
    fresh = []
    for wanted in groups:
        key = next((k for k, r in planned.items() if same_contact(wanted, r)), None)
        if key is None:
            fresh.append(wanted)
            continue
        del planned[key]
        for member in wanted.members:
            planned_already = Reason(rule="ladder.contact_planned", verdict="contact")
            decision.per_debt[str(member.debt.debt_id)] = Verdict(
                kind=VerdictKind.CONTACT, reasons=(member.reason, planned_already)
            )
    for key, record in planned.items():
        reasons = _why_not(decision, record)
        raise_contact(state, UUID(key), ContactState.CANCELLED, setting.now, Folded(state=state))
        decision.cancel.append((UUID(key), reasons))
    return fresh


def _why_not(decision: Decision, record: ContactRecord) -> tuple[Reason, ...]:
    """Return why a planned contact no longer stands: the first silent item, else a new grouping."""
    for item in record.items:
        verdict = decision.per_debt.get(str(item.debt_id))
        if verdict is not None and verdict.kind != VerdictKind.CONTACT:
            return verdict.reasons
    return (Reason(rule="consolidation.regrouped", verdict="planned anew"),)


def _plan(setting: Setting, chosen: Group) -> None:
    """Plan one contact in the next lawful window, or wait for a cap to free."""
    lead, way = chosen.lead, chosen.lead.way
    if way is None:
        return
    jurisdiction, day = lead.jurisdiction, lead.day
    window = jurisdiction.calendar(way.channel).find(setting.now)
    if window is None:
        return
    capped = check(
        counted(setting.state, jurisdiction.zone, reserve_planned=True),
        jurisdiction.on(way.channel, day).caps,
        tuple(member.debt.debt_id for member in chosen.members),
        day,
    )
    if capped is not None:
        until = lawful_start(jurisdiction, way.channel, capped.free_on)
        for member in chosen.members:
            setting.decision.per_debt[str(member.debt.debt_id)] = Verdict(
                kind=VerdictKind.WAIT, reasons=(member.reason, cap_reason(capped)), until=until
            )
        return
    plan = _make(setting, chosen, way, window)
    setting.decision.contacts.append(plan)
    _record(setting.state, chosen, plan, ContactState.PLANNED)
    for member in chosen.members:
        setting.decision.per_debt[str(member.debt.debt_id)] = Verdict(
            kind=VerdictKind.CONTACT, reasons=(member.reason, *plan.reasons[1:])
        )


def _make(setting: Setting, chosen: Group, way: Way, window: Interval) -> ContactPlan:
    lead = chosen.lead
    due = max(setting.now, window.open)
    reasons = (
        lead.reason,
        lead.choice.reason(),
        window_reason(lead.jurisdiction.label, window, "lawful"),
        Reason(rule="caps", version=lead.jurisdiction.label, verdict="free"),
    )
    return _planned(setting, chosen, way.channel, way.account_id, due, window, reasons)


def _planned(
    setting: Setting,
    chosen: Group,
    channel: str,
    account_id: str,
    due: datetime,
    window: Interval,
    reasons: tuple[Reason, ...],
) -> ContactPlan:
    lead = chosen.lead
    record = lead.debt.steps.setdefault(lead.step.key, StepRecord())
    k = record.k[channel] = record.k.get(channel, 0) + 1
    return ContactPlan(
        contact_id=contact_id(
            tenant_id=setting.state.tenant_id,
            debt_id=lead.debt.debt_id,
            episode=lead.debt.episode,
            step_key=lead.step.key,
            channel=channel,
            k=k,
        ),
        k=k,
        channel=channel,
        account_id=account_id,
        portfolio_id=lead.debt.portfolio_id,
        step_key=lead.step.key,
        stage=lead.step.stage,
        template_id=lead.step.templates.get(channel, ""),
        content_class=lead.step.content_class,
        items=chosen.items(),
        due_at=due,
        not_before=max(setting.now, window.open),
        not_after=window.close,
        local_date=lead.day,
        priority=_priority(lead),
        reasons=reasons,
    )


def _record(state: DebtorState, chosen: Group, plan: ContactPlan, outcome: ContactState) -> None:
    state.contacts[str(plan.contact_id)] = ContactRecord(
        channel=plan.channel,
        account_id=plan.account_id,
        portfolio_id=plan.portfolio_id,
        template_id=plan.template_id,
        content_class=plan.content_class,
        step_key=plan.step_key,
        stage=plan.stage,
        items=plan.items,
        state=int(outcome),
        k=plan.k,
        due_at=plan.due_at,
        not_before=plan.not_before,
        not_after=plan.not_after,
        local_date=plan.local_date,
        priority=plan.priority,
    )
    for member in chosen.members:
        step = member.debt.steps.setdefault(member.step.key, StepRecord())
        step.contact_id = plan.contact_id
        step.mandatory = member.step.mandatory
        if outcome == ContactState.PLANNED:
            step.state = "open"
            step.reason = None


def _withhold(setting: Setting, refused: Group) -> None:
    """Record that nothing may be sent for these steps, once; mandatory ones stay pending."""
    lead, why = refused.lead, refused.lead.why or "channel_unavailable"
    new = [m for m in refused.members if not _withheld_before(m, why)]
    channel = lead.choice.channel or lead.step.channels[0]
    reason = withheld_reason(why, channel, unresolved=_unresolved(lead, why))
    if new:
        told = Group(new[0], tuple(new))
        portfolio = setting.rulebook.portfolio(lead.debt.portfolio_id)
        account_id = portfolio.accounts.get(channel, "") if portfolio else ""
        window = Interval(setting.now, setting.now)
        reasons = (new[0].reason, reason)
        plan = _planned(setting, told, channel, account_id, setting.now, window, reasons)
        _record(setting.state, told, plan, ContactState.WITHHELD)
        setting.decision.withheld.append(plan)
    for member in refused.members:
        _give_up(setting, member, why, reason)


def _give_up(setting: Setting, member: Candidate, why: str, reason: Reason) -> None:
    step = member.debt.steps.setdefault(member.step.key, StepRecord())
    until = None
    if member.step.mandatory:
        step.state, step.reason = "pending", why
        if why not in OF_PORTFOLIO:
            open_work(setting, member.debt, "mandatory_withheld", member.step.key, reason)
    else:
        step.state, step.reason = "withheld", why
        until = lawful_start(member.jurisdiction, member.step.channels[0], member.day + ONE_DAY)
    step.at = setting.now
    setting.decision.per_debt[str(member.debt.debt_id)] = Verdict(
        kind=VerdictKind.WAIT, reasons=(member.reason, reason), until=until
    )


def _withheld_before(member: Candidate, why: str) -> bool:
    record = member.debt.steps.get(member.step.key)
    return record is not None and member.step.mandatory and record.reason in (why, "withheld")


def _unresolved(lead: Candidate, why: str) -> bool:
    return lead.jurisdiction.problem is not None or why == "no_common_window"


def _priority(lead: Candidate) -> int:
    age = (lead.day - lead.debt.due_date).days if lead.debt.due_date else 0
    mandatory = MANDATORY_WEIGHT if lead.step.mandatory else 0
    return lead.step.stage * STAGE_WEIGHT + mandatory + min(max(age, 0), AGE_WEIGHT_MAX)
