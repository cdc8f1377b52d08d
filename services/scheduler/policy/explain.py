"""Explain: what would happen for one debtor now, why not, and when next.

In: what `decide` and `gate` take. Out: every rule's verdict per debt, every open contact with what
dispatch would say, and the next lawful instant. It runs `decide` and `gate` themselves on a copy of
the state, so it cannot say anything else than they would do.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from services.scheduler.policy import silence
from services.scheduler.policy.caps import check, counted
from services.scheduler.policy.consent import Held
from services.scheduler.policy.decide import decide
from services.scheduler.policy.decision import Decision, Defer, Go, Verdict
from services.scheduler.policy.gate import gate
from services.scheduler.policy.jurisdiction import Jurisdiction, resolve
from services.scheduler.policy.rulebook import Rulebook, Step
from services.scheduler.policy.segment import ladder_for
from services.scheduler.policy.setting import AddressSubject
from services.scheduler.policy.state import DebtorState, DebtState, copy
from services.scheduler.policy.steps import NOTHING_DONE, OVER, due_day
from services.scheduler.policy.ways import Look, ways
from shared.events.contact import Reason
from shared.events.hold import Hold
from shared.events.states import STATES, ContactState


class DebtExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One debt: the verdict, and every rule with its own verdict.

    `next_step` is the next step that is not over; `next_lawful` the next lawful instant by calendar
    alone, `until` when the verdict may change.
    """

    debt_id: str
    portfolio_id: str
    verdict: str
    until: datetime | None
    status: str
    stage: int
    episode: int
    next_step: str | None
    next_lawful: datetime | None
    rules: tuple[Reason, ...]


class ContactExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One contact, planned already or about to be: what dispatch would say now.

    `gate` is go, defer, withheld, cancelled, expired; or `in_flight` when it left already.
    """

    contact_id: str
    channel: str
    step_key: str
    debt_ids: tuple[str, ...]
    state: str
    due_at: datetime | None
    gate: str
    until: datetime | None
    reasons: tuple[Reason, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `explain`: per debt, per contact, and the next instant of change."""

    debtor_id: str
    at: datetime
    debts: tuple[DebtExplanation, ...]
    contacts: tuple[ContactExplanation, ...]
    wake_at: datetime | None
    next_lawful: datetime | None


def explain(
    state: DebtorState,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: AddressSubject,
) -> Explanation:
    """Run `decide` and `gate` on a copy of the state and tell everything they looked at."""
    trial = copy(state)
    decision = decide(trial, rulebook, holds, now, address_subject)
    debts = tuple(
        _debt(trial, trial.debts[key], rulebook, holds, now, verdict, address_subject)
        for key, verdict in sorted(decision.per_debt.items())
    )
    contacts = tuple(
        _contact(trial, key, rulebook, holds, now, address_subject)
        for key, record in sorted(trial.contacts.items())
        if not STATES[ContactState(record.state)].final
    )
    withheld = tuple(_withheld(decision))
    return Explanation(
        debtor_id=str(state.debtor_id),
        at=now,
        debts=debts,
        contacts=contacts + withheld,
        wake_at=decision.wake_at,
        next_lawful=min((d.next_lawful for d in debts if d.next_lawful), default=None),
    )


def _debt(
    state: DebtorState,
    debt: DebtState,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    verdict: Verdict,
    address_subject: AddressSubject,
) -> DebtExplanation:
    jurisdiction = resolve(state, debt.portfolio_id, rulebook)
    portfolio = rulebook.portfolio(debt.portfolio_id)
    scene = silence.Scene(
        state,
        debt,
        portfolio,
        silence.in_force(tuple(holds), now),
        now,
        jurisdiction.zone,
    )
    found = ladder_for(debt, portfolio, rulebook) if portfolio else None
    step = _next_step(debt, found[1].steps) if found else None
    channel = next(iter(step.message_channels), "sms") if step else "sms"
    lawful = jurisdiction.calendar(channel).next_lawful(now)
    rules = silence.every(scene)
    rules += _steps(debt, found[1].steps) if found else []
    if step is not None and portfolio is not None and jurisdiction.problem is None:
        held = _held(scene, address_subject)
        day = now.astimezone(jurisdiction.zone).date()
        look = Look(state, portfolio, rulebook, jurisdiction, day, held)
        rules += ways(look, step, debt)
    rules += _law(state, debt, jurisdiction, channel, now, lawful)
    return DebtExplanation(
        debt_id=str(debt.debt_id),
        portfolio_id=debt.portfolio_id,
        verdict=verdict.kind.value,
        until=verdict.until,
        status=debt.status,
        stage=debt.stage,
        episode=debt.episode,
        next_step=step.key if step else None,
        next_lawful=lawful,
        rules=(*verdict.reasons, *rules),
    )


def _held(scene: silence.Scene, address_subject: AddressSubject) -> Held:
    return lambda point: address_subject(point.channel, point.address) in scene.holds


def _next_step(debt: DebtState, steps: tuple[Step, ...]) -> Step | None:
    for step in steps:
        if debt.steps.get(step.key, NOTHING_DONE).state not in OVER:
            return step
    return None


def _steps(debt: DebtState, steps: tuple[Step, ...]) -> list[Reason]:
    """What became of each step of the ladder, and when the others are due."""
    reasons = []
    for step in steps:
        record = debt.steps.get(step.key, NOTHING_DONE)
        inputs = {"step": step.key}
        if debt.due_date is not None:
            inputs["due"] = due_day(debt, step).isoformat()
        if record.reason is not None:
            inputs["because"] = record.reason
        if record.sent_on:
            inputs["sent_on"] = ",".join(record.sent_on)
        reasons.append(Reason(rule="ladder.step", verdict=record.state, inputs=inputs))
    return reasons


def _law(
    state: DebtorState,
    debt: DebtState,
    jurisdiction: Jurisdiction,
    channel: str,
    now: datetime,
    lawful: datetime | None,
) -> list[Reason]:
    """The verdicts of calendar and caps on this channel, whatever the ladder wants."""
    zones = ",".join(zone.key for zone in jurisdiction.zones)
    if lawful is None:
        problem = jurisdiction.problem or "no_common_window"
        inputs = {"problem": problem, "zones": zones}
        return [Reason(rule="jurisdiction_unresolved", verdict="withheld", inputs=inputs)]
    reasons = [
        Reason(
            rule="calendar.window",
            version=jurisdiction.label,
            verdict="lawful" if lawful == now else "closed",
            inputs={"zones": zones, "next_lawful": lawful.isoformat()},
        )
    ]
    day = lawful.astimezone(jurisdiction.zone).date()
    contacts = counted(state, jurisdiction.zone, reserve_planned=True)
    for cap, pack in jurisdiction.on(channel, day).caps:
        full = check(contacts, [(cap, pack)], (debt.debt_id,), day)
        inputs = {"max": str(cap.maximum), "days": str(cap.days), "status": cap.status}
        if full is not None:
            inputs |= {"count": str(full.used), "free_on": full.free_on.isoformat()}
        verdict = "full" if full is not None else "free"
        reasons.append(Reason(rule=f"caps.{cap.key}", version=pack, verdict=verdict, inputs=inputs))
    return reasons


def _contact(
    state: DebtorState,
    key: str,
    rulebook: Rulebook,
    holds: Sequence[Hold],
    now: datetime,
    address_subject: AddressSubject,
) -> ContactExplanation:
    record = state.contacts[key]
    name = "in_flight"
    until: datetime | None = None
    reasons: tuple[Reason, ...] = ()
    if record.state == ContactState.PLANNED:
        answer = gate(state, UUID(key), rulebook, holds, now, address_subject)
        reasons = answer.reasons
        if isinstance(answer, Go):
            name = "go"
        elif isinstance(answer, Defer):
            name, until = "defer", answer.until
        else:
            name = answer.kind
    return ContactExplanation(
        contact_id=key,
        channel=record.channel,
        step_key=record.step_key,
        debt_ids=tuple(str(item.debt_id) for item in record.items),
        state=ContactState(record.state).name.lower(),
        due_at=record.due_at,
        gate=name,
        until=until,
        reasons=reasons,
    )


def _withheld(decision: Decision) -> list[ContactExplanation]:
    return [
        ContactExplanation(
            contact_id=str(plan.contact_id),
            channel=plan.channel,
            step_key=plan.step_key,
            debt_ids=tuple(str(item.debt_id) for item in plan.items),
            state="withheld",
            due_at=plan.due_at,
            gate="withheld",
            until=None,
            reasons=plan.reasons,
        )
        for plan in decision.withheld
    ]
