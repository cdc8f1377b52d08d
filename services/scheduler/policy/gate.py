"""License one planned contact at dispatch, or say why not: the last look before it leaves.

In: the debtor's state, one of its contacts, the rulebook, holds in force, law time. Out: `Go` with
everything the task and its permit need, `Defer` to a later lawful instant, or `Drop`. Everything is
judged anew from the state of this moment; nothing of the plan is believed but what it is about.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from services.scheduler.policy import followups, permit, silence, steps
from services.scheduler.policy.calendar import Interval, start_of
from services.scheduler.policy.caps import check, counted
from services.scheduler.policy.decision import Defer, Drop, Go
from services.scheduler.policy.jurisdiction import Jurisdiction, resolve
from services.scheduler.policy.reasons import cap_reason, window_reason
from services.scheduler.policy.rulebook import Rulebook
from services.scheduler.policy.segment import ladder_for
from services.scheduler.policy.setting import CONFIGURATION_RECHECK, MISSING_CONFIGURATION
from services.scheduler.policy.state import ContactRecord, DebtorState, DebtState
from services.scheduler.policy.values import choose_locale, merge_values
from services.scheduler.policy.ways import PASSING, Look, Way, check_way
from shared.events.configuration import Portfolio
from shared.events.contact import Reason
from shared.events.hold import Hold
from shared.events.states import ContactState

__all__ = ["Defer", "Drop", "Go", "gate"]

# Queueing, claiming and calling take seconds; a shorter permit would only expire on its way.
PERMIT_MIN = timedelta(seconds=60)

AddressSubject = Callable[[str, str], str]


class Case(NamedTuple):
    """One contact and what it is judged by."""

    state: DebtorState
    contact_id: UUID
    record: ContactRecord
    debts: list[DebtState]
    portfolio: Portfolio
    jurisdiction: Jurisdiction
    rulebook: Rulebook
    holds: silence.HoldsBySubject
    now: datetime


def gate(
    state: DebtorState,
    contact_id: UUID,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: AddressSubject,
) -> Go | Defer | Drop:
    """Judge one planned contact of the state at `now`; the state is not changed.

    `address_subject` maps (channel, address) to the subject of address holds.
    """
    case = _case(state, contact_id, rulebook, silence.in_force(tuple(holds), now), now)
    if not isinstance(case, Case):
        return case
    silenced = _silenced(case) or _answered(case)
    if silenced is not None:
        return silenced
    record = case.record
    way = _way(case)
    if not isinstance(way, Way):
        return way
    address = address_subject(record.channel, way.point.address)
    subjects = permit.subjects(case.state, record, case.debts, case.rulebook, address)
    stopped = _held(case, subjects)
    if stopped is not None:
        return stopped
    window = _window(case)
    if not isinstance(window, Interval):
        return window
    capped = _capped(case, window)
    return capped if capped is not None else _go(case, way, window, subjects)


def _case(
    state: DebtorState,
    contact_id: UUID,
    rulebook: Rulebook,
    holds: silence.HoldsBySubject,
    now: datetime,
) -> Case | Drop | Defer:
    record = state.contacts.get(str(contact_id))
    if record is None or record.state != ContactState.PLANNED:
        return _drop(ContactState.CANCELLED, "contact.not_planned")
    portfolio = rulebook.portfolio(record.portfolio_id)
    if portfolio is None:
        return _later(record, now, now + CONFIGURATION_RECHECK, "portfolio_missing")
    debts = [
        debt
        for item in record.items
        if (debt := state.debts.get(str(item.debt_id))) is not None and debt.episode == item.episode
    ]
    if not debts or len(debts) < len(record.items):
        return _drop(ContactState.CANCELLED, "contact.episode_over")
    jurisdiction = resolve(state, record.portfolio_id, rulebook)
    return Case(state, contact_id, record, debts, portfolio, jurisdiction, rulebook, holds, now)


def _silenced(case: Case) -> Defer | Drop | None:
    """A silent item ends the contact (it is planned anew without it); a wide hold defers it."""
    for debt in case.debts:
        if debt.balance() <= case.portfolio.tolerance_minor:
            return _drop(ContactState.CANCELLED, "debt.settled")
        scene = silence.Scene(
            case.state, debt, case.portfolio, case.holds, case.now, case.jurisdiction.zone
        )
        silenced = silence.first(scene)
        if silenced is not None:
            return _answer(case, silenced)
    return None


def _answered(case: Case) -> Drop | None:
    """A follow-up whose cause is gone (it arrived, or was answered) is not sent."""
    if case.record.manual:
        return None
    zone = case.jurisdiction.zone
    day = case.now.astimezone(zone).date()
    for debt, item in zip(case.debts, case.record.items, strict=True):
        found = ladder_for(debt, case.portfolio, case.rulebook)
        step = found[1].step(item.step_key) if found else None
        if not followups.stands(case.state, debt, item.step_key, step, zone, day):
            return _drop(ContactState.CANCELLED, "fallback.not_needed", step=item.step_key)
    return None


def _held(case: Case, subjects: tuple[str, ...]) -> Defer | Drop | None:
    """Holds on channel, template and address (the others were judged with each debt)."""
    if not case.holds:
        return None
    for subject in subjects:
        hold = case.holds.get(subject)
        if hold is not None:
            return _answer(case, silence.held(hold))
    return None


def _answer(case: Case, silenced: silence.Silenced) -> Defer | Drop:
    if not silenced.wide:
        return Drop(outcome=ContactState.CANCELLED, reasons=(silenced.reason,))
    until = case.now + silence.HOLD_RECHECK
    if silenced.until is not None:
        until = max(silenced.until, case.now + timedelta(seconds=1))
    return _until(case, until, silenced.reason, held=True)


def _way(case: Case) -> Way | Defer | Drop:
    if case.jurisdiction.problem in MISSING_CONFIGURATION:
        return _until(case, case.now + CONFIGURATION_RECHECK, _reason("pack_missing", "wait"))
    if case.jurisdiction.problem is not None:
        problem = case.jurisdiction.problem
        return _drop(ContactState.WITHHELD, "jurisdiction_unresolved", problem=problem)
    record = case.record
    day = case.now.astimezone(case.jurisdiction.zone).date()
    look = Look(case.state, case.portfolio, case.rulebook, case.jurisdiction, day)
    way = check_way(look, record.channel, record.template_id, record.content_class)
    if isinstance(way, Way):
        return way
    if way in PASSING:
        return _until(case, case.now + CONFIGURATION_RECHECK, _reason(way, "wait"))
    return _drop(ContactState.WITHHELD, way, channel=record.channel)


def _window(case: Case) -> Interval | Defer | Drop:
    """The lawful window of this moment; outside it the contact waits, if its steps last so long."""
    calendar = case.jurisdiction.calendar(case.record.channel)
    window = calendar.find(case.now)
    if window is not None and window.open <= case.now and window.close - case.now < PERMIT_MIN:
        window = calendar.find(window.close)
    if window is None:
        return _drop(ContactState.WITHHELD, "jurisdiction_unresolved", problem="no_common_window")
    if window.open > case.now:
        reason = window_reason(case.jurisdiction.label, window, "closed")
        return _until(case, window.open, reason)
    expired = _expired(case, window)
    return window if expired is None else expired


def _capped(case: Case, window: Interval) -> Defer | Drop | None:
    zone = case.jurisdiction.zone
    day = case.now.astimezone(zone).date()
    capped = check(
        counted(case.state, zone, reserve_planned=False, but=case.contact_id),
        case.jurisdiction.on(case.record.channel, day).caps,
        tuple(debt.debt_id for debt in case.debts),
        day,
    )
    if capped is None:
        return None
    free = start_of(capped.free_on, zone)
    later = case.jurisdiction.calendar(case.record.channel).next_lawful(max(free, window.close))
    if later is None:
        return Drop(outcome=ContactState.EXPIRED, reasons=(cap_reason(capped),))
    return _until(case, later, cap_reason(capped))


def _go(case: Case, way: Way, window: Interval, subjects: tuple[str, ...]) -> Go | Drop:
    template_version, template = case.rulebook.templates[way.template_id]
    locale = choose_locale(case.state, case.portfolio, template)
    if locale is None:
        return _drop(ContactState.WITHHELD, "template_locale_missing")
    day = case.now.astimezone(case.jurisdiction.zone).date()
    label = case.jurisdiction.label
    return Go(
        address=way.point.address,
        locale=locale,
        template_id=way.template_id,
        template_version=template_version,
        content_class=case.record.content_class or template.content_class,
        values=merge_values(case.state, case.debts, case.portfolio, case.jurisdiction, locale, day),
        not_before=case.now,
        not_after=window.close,
        local_date=day,
        versions=permit.versions(
            case.rulebook, case.portfolio, case.record, case.debts[0], case.jurisdiction
        ),
        subjects=subjects,
        reasons=(
            _reason("silence", "none"),
            window_reason(label, window, "lawful"),
            Reason(rule="caps", version=label, verdict="free"),
            Reason(rule="channel", verdict="allowed", inputs={"channel": way.channel}),
        ),
    )


def _expired(case: Case, window: Interval) -> Drop | None:
    """A contact whose every step has outlived its validity is not sent, however it was planned."""
    if case.record.manual:
        return None
    day = max(window.open, case.now).astimezone(case.jurisdiction.zone).date()
    for debt, item in zip(case.debts, case.record.items, strict=True):
        found = ladder_for(debt, case.portfolio, case.rulebook)
        step = found[1].step(item.step_key) if found else None
        if step is None or steps.valid_on(debt, step, day):
            return None
        if debt.steps.get(item.step_key, steps.NOTHING_DONE).sent_on:
            return None  # a follow-up: `_answered` says whether it is still wanted
    return _drop(ContactState.EXPIRED, "ladder.too_late", day=day.isoformat())


def _until(case: Case, until: datetime, reason: Reason, *, held: bool = False) -> Defer | Drop:
    """Defer to the first lawful instant at or after `until`, unless every step expires before."""
    window = case.jurisdiction.calendar(case.record.channel).find(until)
    if window is None:
        window = Interval(until, until + CONFIGURATION_RECHECK)
    expired = _expired(case, Interval(max(until, window.open), window.close))
    if expired is not None:
        return Drop(outcome=expired.outcome, reasons=(reason, *expired.reasons))
    due = max(until, window.open)
    return Defer(
        until=due,
        not_after=window.close,
        local_date=due.astimezone(case.jurisdiction.zone).date(),
        reasons=(reason,),
        held=held,
    )


def _later(record: ContactRecord, now: datetime, until: datetime, rule: str) -> Defer:
    return Defer(
        until=until,
        not_after=max(record.not_after or until, until + CONFIGURATION_RECHECK),
        local_date=record.local_date or now.date(),
        reasons=(_reason(rule, "wait"),),
    )


def _drop(outcome: ContactState, rule: str, **inputs: str) -> Drop:
    return Drop(outcome=outcome, reasons=(_reason(rule, outcome.name.lower(), **inputs),))


def _reason(rule: str, verdict: str, **inputs: str) -> Reason:
    return Reason(rule=rule, verdict=verdict, inputs=inputs)
