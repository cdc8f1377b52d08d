"""Hand-offs: a step becomes a person's work, and stops being that when it must not be done.

In: a step that no message can carry, or a debt that has fallen silent while people have a step of
it. Out: the work item with what makes acting on it lawful (`policy.licence`), or its end. A step
that was withdrawn is pending again: when the debt may be talked about, a person is asked anew,
under another id, with what is owed by then. Dates and packs are looked at when the debtor is: a new
version of a pack wakes nobody, so until then a request stands with the hours it was published with.
"""

from uuid import UUID

from services.scheduler.policy import followups
from services.scheduler.policy.consent import consent_for
from services.scheduler.policy.decision import Folded
from services.scheduler.policy.drafts import (
    DONE,
    HAND_OFF,
    WITHDRAWN,
    WorkItemDraft,
    WorkItemEnd,
    item_id_of,
)
from services.scheduler.policy.licence import addresses_of, law_of, reach_of, request_of
from services.scheduler.policy.progress import taken_over
from services.scheduler.policy.rulebook import HANDOFF, Step
from services.scheduler.policy.scene import Scene
from services.scheduler.policy.setting import Setting
from services.scheduler.policy.state import DebtorState, DebtState, HandOff, StepRecord
from shared.events.contact import Reason
from shared.events.debt import ContactRecorded
from shared.events.hold import subject_of
from shared.events.identities import fact_id

# What of a reported contact does the step; nobody there, or somebody else, and it is still to do.
DOING = frozenset({"answered", "right_party", "promise", "delivered_notice"})


def ask(scene: Scene, step: Step, reason: Reason) -> None:
    """Give the step to a person, once until it is withdrawn."""
    setting, debt = scene.setting, scene.view.debt
    if asked(debt, step):
        return
    debt.work_opened.append(_mark(debt, step.key))
    record = debt.steps.setdefault(step.key, StepRecord(mandatory=step.mandatory))
    k = record.k[HANDOFF] = record.k.get(HANDOFF, 0) + 1
    cause, item_id = _ids(debt, step.key, k)
    request = request_of(scene, step, item_id, reason)
    debt.handed[step.key] = HandOff(
        work_item_id=item_id,
        balance=debt.balance(),
        addresses=addresses_of(request.reach),
        law=law_of(scene),
    )
    setting.decision.work_items.append(
        WorkItemDraft(
            kind=HAND_OFF,
            cause=cause,
            debtor_id=setting.state.debtor_id,
            debt_id=debt.debt_id,
            contact_id=record.contact_id,
            episode=debt.episode,
            step_key=step.key,
            reasons=(reason,),
            request=request,
        )
    )


def asked(debt: DebtState, step: Step) -> bool:
    """Say whether a person has the step, or had it until it was done."""
    return _mark(debt, step.key) in debt.work_opened


def held(setting: Setting) -> Reason | None:
    """Return the hold on hand-offs themselves (a channel like the others), None when there is none.

    Holds on everything, the tenant, the portfolio, the person and the debt silence the debt.
    """
    found = setting.holds.get(subject_of("channel", setting.state.tenant_id, HANDOFF))
    if found is None:
        return None
    inputs = {"scope": found.scope, "reason": found.reason, "hold_id": str(found.hold_id)}
    return Reason(rule="hold", version=str(found.version), verdict="held", inputs=inputs)


def withdrawn_by_merge(out: Folded, debt: DebtState) -> None:
    """Take a merged debtor's hand-offs back: the survivor is another person to the outside."""
    for key, given in debt.handed.items():
        out.endings.append(WorkItemEnd(given.work_item_id, WITHDRAWN, "debtor.merged"))
        ask_again(debt, key)
    debt.handed = {}


def silence(setting: Setting, debt: DebtState, reason: Reason) -> None:
    """Take every step of the debt back from people: it must not be talked about now."""
    for key in list(debt.handed):
        _withdraw(setting, debt, key, reason.rule)


def opted_out(state: DebtorState, step: Step) -> bool:
    """Say whether the person asked to be left alone on a channel of the step's messages."""
    return any(
        point.channel in step.message_channels and consent_for(state, point) == "revoked"
        for point in state.points
    )


def review(scene: Scene) -> None:
    """Take back what was asked for on terms that are no longer true."""
    debt = scene.view.debt
    if not debt.handed:
        return
    stopped = held(scene.setting)
    terms = HandOff(
        work_item_id=debt.debt_id,
        balance=debt.balance(),
        addresses=addresses_of(reach_of(scene)),
        law=law_of(scene),
    )
    for key, given in list(debt.handed.items()):
        rule = stopped.rule if stopped is not None else _broken(scene, key, given, terms)
        if rule is not None:
            _withdraw(scene.setting, debt, key, rule)


def overtaken(scene: Scene, step: Step) -> None:
    """A message can carry the step after all (an address came in): not both of them."""
    if step.key in scene.view.debt.handed:
        _withdraw(scene.setting, scene.view.debt, step.key, "handoff.message_instead")


def recorded(out: Folded, event: ContactRecorded) -> None:
    """Somebody outside did what a hand-off asked for; another outcome leaves it open.

    What was asked for anew meanwhile is done, too: nobody is called twice for one step.
    """
    if event.work_item_id is None or event.outcome not in DOING:
        return
    for debt in out.state.debts.values():
        for key, record in debt.steps.items():
            numbers = range(1, record.k.get(HANDOFF, 0) + 1)
            if any(_ids(debt, key, k)[1] == event.work_item_id for k in numbers):
                _done(out, debt, key, event)
                return


def closed(out: Folded, debt: DebtState, step_key: str, work_item_id: UUID) -> None:
    """A person closed the item; if it was asked for anew meanwhile, that one is over, too."""
    given = debt.handed.pop(step_key, None)
    if given is not None and given.work_item_id != work_item_id:
        out.endings.append(WorkItemEnd(given.work_item_id, WITHDRAWN, "handoff.decided"))


def ask_again(debt: DebtState, step_key: str) -> None:
    """The step is to be taken after all: by a message, if one can carry it by now, or a person."""
    mark = _mark(debt, step_key)
    debt.work_opened = [each for each in debt.work_opened if each != mark]
    step = debt.steps.get(step_key)
    if step is not None and step.state == "handed_off":
        step.state, step.reason = "pending", None


def _broken(scene: Scene, step_key: str, given: HandOff, terms: HandOff) -> str | None:
    """Return the rule by which a hand-off no longer stands, given today's terms; None: it stands.

    A smaller balance renews it: nobody may ask for more than is owed. A greater one does not, or
    daily interest would ask a person anew every day.
    """
    view = scene.view
    step = view.ladder.step(step_key)
    if step is not None and opted_out(scene.setting.state, step):
        return "handoff.opted_out"
    if terms.balance < given.balance:
        return "handoff.balance_changed"
    if not set(terms.addresses).issuperset(given.addresses):
        return "handoff.address_lost"
    if given.law and given.law != terms.law:
        return "handoff.law_changed"
    if not followups.stands(scene.setting.state, view.debt, step_key, step, view.zone, view.day):
        return "fallback.not_needed"
    return None


def _done(out: Folded, debt: DebtState, step_key: str, event: ContactRecorded) -> None:
    given = debt.handed.pop(step_key, None)
    if given is not None:
        out.endings.append(WorkItemEnd(given.work_item_id, DONE, event.outcome))
    mark = _mark(debt, step_key)
    if mark not in debt.work_opened:  # it was taken back before the report came
        debt.work_opened.append(mark)
    taken_over(out.state, debt.debt_id, step_key, event.at)


def _ids(debt: DebtState, step_key: str, k: int) -> tuple[UUID, UUID]:
    """Return the cause and the id of the step's work item number `k` in this episode."""
    cause = fact_id(debt.debt_id, HAND_OFF, f"{debt.episode}:{step_key}:{k}")
    return cause, item_id_of(cause, HAND_OFF)


def _withdraw(setting: Setting, debt: DebtState, step_key: str, rule: str) -> None:
    given = debt.handed.pop(step_key)
    setting.decision.endings.append(WorkItemEnd(given.work_item_id, WITHDRAWN, rule))
    ask_again(debt, step_key)


def _mark(debt: DebtState, step_key: str) -> str:
    return f"{HAND_OFF}:{debt.episode}:{step_key}"
