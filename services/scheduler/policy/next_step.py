"""Where a debt stands on its ladder becomes a candidate for contact, a wait, or a person's work.

In: one debt that may be talked about, its ladder, the packs that bind it. Out: a `Candidate` with
the channel it would go on (a due step, or the follow-up of one that left), or a `Verdict` to wait.
"""

from datetime import date

from services.scheduler.policy import followups, hand_offs, silence, steps
from services.scheduler.policy.consolidation import Candidate
from services.scheduler.policy.decision import Verdict, VerdictKind
from services.scheduler.policy.jurisdiction import Jurisdiction
from services.scheduler.policy.rulebook import HANDOFF, Ladder, Step
from services.scheduler.policy.scene import Scene
from services.scheduler.policy.setting import (
    MISSING_CONFIGURATION,
    Setting,
    missing,
    open_work,
)
from services.scheduler.policy.state import DebtorState, DebtState, StepRecord
from services.scheduler.policy.ways import NOBODY_ELSE, PASSING, Choice, choose_way
from shared.events.configuration import Portfolio
from shared.events.contact import Reason
from shared.events.states import ContactState


def on_ladder(
    setting: Setting,
    debt: DebtState,
    portfolio: Portfolio,
    jurisdiction: Jurisdiction,
    found: tuple[int, Ladder],
    day: date,
) -> Candidate | Verdict:
    """Say what the debt wants on its ladder on this date."""
    version, ladder = found
    view = steps.View(debt, ladder, version, day, jurisdiction.zone, jurisdiction.stage_wait)
    scene = Scene(setting, view, portfolio, jurisdiction)
    hand_offs.review(scene)
    position = steps.locate(view, planned=_planned_steps(setting.state, debt))
    follow = None
    if position.reason.rule != "ladder.contact_open":
        follow = followups.find(view, setting.state.contacts, setting.state.answered_at)
    if follow is not None and follow.due <= day:
        found_now = _follow_up(scene, follow)
        if found_now is not None:
            return found_now
        follow = None
    step = position.step
    if position.work_item is not None:
        key = position.reason.inputs.get("step", "")
        open_work(setting, debt, position.work_item, key, position.reason)
    if step is None:
        return _waiting(scene, position, follow)
    return _step(scene, step, position)


def _waiting(scene: Scene, position: steps.Position, follow: followups.FollowUp | None) -> Verdict:
    """Wait for the next step, or for the follow-up of the last one."""
    channel = scene.view.ladder.steps[0].channels[0]
    days = [position.next_day] if position.next_day is not None else []
    reasons = [position.reason]
    if follow is not None:
        days.append(follow.due)
        reasons.append(followups.reason_of(scene.view, follow))
    until = scene.start(channel, min(days)) if days else None
    return Verdict(kind=VerdictKind.WAIT, reasons=tuple(reasons), until=until)


def _follow_up(scene: Scene, follow: followups.FollowUp) -> Candidate | Verdict | None:
    """Send the step on its next channel, or give it to a person when there is none left."""
    debt, step = scene.view.debt, follow.step
    record = debt.steps[step.key]
    reason = followups.reason_of(scene.view, follow)
    choice = _choose(scene, step, followups.channels_left(step, record))
    if choice.way is not None:
        hand_offs.overtaken(scene, step)
        return Candidate(debt, step, choice, scene.jurisdiction, scene.view.day, reason)
    if not _for_a_person(scene, step, choice) or hand_offs.asked(debt, step):
        return None
    stopped = hand_offs.held(scene.setting)
    if stopped is not None:
        return _until_lifted(scene, reason, stopped)
    hand_offs.ask(scene, step, reason)
    return None


def _step(scene: Scene, step: Step, position: steps.Position) -> Candidate | Verdict:
    """Send a due step on its first usable channel; say what keeps it when there is none."""
    view = scene.view
    record = view.debt.steps.get(step.key, steps.NOTHING_DONE)
    # Where it failed already comes last; channels that no provider refused today go first.
    channels = sorted(step.message_channels, key=record.failed_on.count)
    choice = _choose(scene, step, tuple(channels))
    if choice.way is not None:
        hand_offs.overtaken(scene, step)
        again = steps.retry(view, step, choice.way.channel)
        if again is not None and again.next_day is not None:
            until = scene.start(choice.way.channel, again.next_day)
            return Verdict(kind=VerdictKind.WAIT, reasons=(again.reason,), until=until)
    elif (passing := _passing(choice)) is not None:
        return missing(scene.setting, passing)
    elif _for_a_person(scene, step, choice):
        return _hand_off(scene, step, position)
    elif any(why == "address_held" for _, why in choice.passed_over):
        return _until_lifted(scene, position.reason, choice.reason())
    return Candidate(view.debt, step, choice, scene.jurisdiction, view.day, position.reason)


def _hand_off(scene: Scene, step: Step, position: steps.Position) -> Verdict:
    """No message can carry the step: a person gets it. An optional one is over with that."""
    debt = scene.view.debt
    stopped = hand_offs.held(scene.setting)
    if stopped is not None:
        return _until_lifted(scene, position.reason, stopped)
    hand_offs.ask(scene, step, position.reason)
    reason = Reason(rule="ladder.handed_off", verdict="wait", inputs={"step": step.key})
    until = None
    if not step.mandatory:
        record = debt.steps.setdefault(step.key, StepRecord())
        record.state, record.at = "handed_off", scene.setting.now
        until = scene.start(step.channels[0], scene.view.day + steps.ONE_DAY)
    return Verdict(kind=VerdictKind.WAIT, reasons=(position.reason, reason), until=until)


def _until_lifted(scene: Scene, *reasons: Reason) -> Verdict:
    """Wait for the end of a hold that no event of the debtor will tell."""
    later = scene.setting.now + silence.HOLD_RECHECK
    return Verdict(kind=VerdictKind.WAIT, reasons=reasons, until=later, recheck=True)


def _for_a_person(scene: Scene, step: Step, choice: Choice) -> bool:
    """Say whether a person may take the step over: never from whom asked to be left alone."""
    if HANDOFF not in step.channels or any(why in NOBODY_ELSE for _, why in choice.passed_over):
        return False
    return not hand_offs.opted_out(scene.setting.state, step)  # also where a message left already


def _passing(choice: Choice) -> str | None:
    """Return what configuration can mend in a moment, if that is why nothing can be sent."""
    return next(
        (why for _, why in choice.passed_over if why in PASSING | MISSING_CONFIGURATION), None
    )


def _choose(scene: Scene, step: Step, channels: tuple[str, ...]) -> Choice:
    """Return how the step's message goes, or the rules that forbid it, by channel."""
    jurisdiction = scene.jurisdiction
    if jurisdiction.problem is not None:
        return Choice(None, ((step.channels[0], jurisdiction.problem),))
    choice = choose_way(scene.look(), step, scene.view.debt, channels)
    if choice.way is None:
        return choice
    window = jurisdiction.calendar(choice.way.channel).find(scene.setting.now)
    if window is not None:
        return choice
    return Choice(None, ((choice.way.channel, "no_common_window"),))


def _planned_steps(state: DebtorState, debt: DebtState) -> frozenset[str]:
    planned = []
    for key, record in debt.steps.items():
        if record.state == "open":
            contact = state.contacts.get(str(record.contact_id))
            if contact is not None and contact.state == ContactState.PLANNED:
                planned.append(key)
    return frozenset(planned)
