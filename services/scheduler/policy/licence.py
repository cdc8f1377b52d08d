"""The licence that goes with a hand-off: what an outside system needs to act on it lawfully.

In: a debt on its ladder and the step that a person gets. Out: the request as it is published: who
may be reached where, when and how often, until when, and what stops it. A message's licence is
frozen for hours (`policy.permit`); a hand-off lasts for days, so it carries every opening of them.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import msgspec

from services.scheduler.policy.calendar import Calendar, start_of
from services.scheduler.policy.caps import counted, used
from services.scheduler.policy.consent import points_by_worth
from services.scheduler.policy.people import debtor_subjects
from services.scheduler.policy.rulebook import HANDOFF, Step
from services.scheduler.policy.scene import Scene
from services.scheduler.policy.values import merge_values
from shared.events.contact import Item, Permit, Reason
from shared.events.handoff import CapStanding, HandoffRequested, Opening, Reach
from shared.events.hold import subject_of

# As long as the topic keeps the record: nobody can read a request that may no longer be acted on.
DATES = 7
OPENINGS_MAX = 4 * DATES  # a day's window may be cut by holidays and zones, never so often
LAW_DIGEST_BYTES = 8  # tells the terms of one debtor apart
CHANNELS = ("voice", "letter")  # what outside systems do; messages are the senders'
NOT_FOR_PEOPLE = frozenset({"opt_out"})  # a line for the end of messages


def request_of(scene: Scene, step: Step, work_item_id: UUID, reason: Reason) -> HandoffRequested:
    """Return the request; `issued_at` repeats law time, the planner knows the machine's."""
    setting, debt = scene.setting, scene.view.debt
    state, portfolio = setting.state, scene.portfolio
    today = setting.now.astimezone(scene.jurisdiction.zone).date()
    locale = state.locale or portfolio.locale
    values = merge_values(state, [debt], portfolio, scene.jurisdiction, locale, today)
    reach = reach_of(scene)
    return HandoffRequested(
        work_item_id=work_item_id,
        debtor_id=state.debtor_id,
        tenant_id=state.tenant_id,
        portfolio_id=debt.portfolio_id,
        debt_ref=debt.debt_ref,
        debtor_ref=state.debtor_ref,
        step_key=step.key,
        stage=step.stage,
        objective=step.objective,
        mandatory=step.mandatory,
        items=(
            Item(debt_id=debt.debt_id, episode=debt.episode, step_key=step.key, stage=step.stage),
        ),
        locale=locale,
        values={name: text for name, text in values.items() if name not in NOT_FOR_PEOPLE},
        reach=reach,
        subjects=_subjects(scene, reach),
        permit=Permit(
            issued_at=setting.now,
            not_before=setting.now,
            not_after=_end(scene, today),
            local_date=today,
            versions=_versions(scene),
        ),
        reasons=(reason,),
    )


def reach_of(scene: Scene) -> tuple[Reach, ...]:
    """Return the channels on which the person may be reached by people, best address first."""
    jurisdiction = scene.jurisdiction
    if jurisdiction.problem is not None:
        return ()
    setting = scene.setting
    today = setting.now.astimezone(jurisdiction.zone).date()
    end = _end(scene, today)
    found = []
    for channel in CHANNELS:
        law = jurisdiction.on(channel, today)
        points = points_by_worth(
            setting.state,
            channel,
            opt_in=law.opt_in,
            opt_out_scope=law.opt_out_scope,
            held=setting.held,
        )
        if points:
            openings = _openings(jurisdiction.calendar(channel), channel, setting.now, end)
            addresses = tuple(point.address for point in points)
            caps = _caps(scene, channel, today)
            found.append(Reach(channel=channel, addresses=addresses, openings=openings, caps=caps))
    return tuple(found)


def addresses_of(reach: Iterable[Reach]) -> tuple[str, ...]:
    """Return every address of a licence, with its channel."""
    return tuple(f"{each.channel}:{address}" for each in reach for address in each.addresses)


def law_of(scene: Scene) -> str:
    """Return a digest of what the openings follow from: packs, zones, places."""
    jurisdiction = scene.jurisdiction
    zones = [zone.key for zone in jurisdiction.zones]
    # The first zone counts the dates; the order of the others says nothing.
    told = (jurisdiction.label, zones[:1], sorted(zones[1:]), scene.setting.state.places)
    return blake2b(msgspec.json.encode(told), digest_size=LAW_DIGEST_BYTES).hexdigest()


def _end(scene: Scene, today: date) -> datetime:
    return start_of(today + timedelta(days=DATES), scene.jurisdiction.zone)


def _openings(
    calendar: Calendar, channel: str, now: datetime, end: datetime
) -> tuple[Opening, ...]:
    """Return the lawful intervals from now to the end. Letters have hours only by a pack's word."""
    if channel == "letter" and calendar.ruleless:
        return (Opening(opens=now, closes=end),)
    found: list[Opening] = []
    at = now
    while len(found) < OPENINGS_MAX:
        window = calendar.find(at)
        if window is None or window.open >= end:
            break
        found.append(Opening(opens=max(window.open, now), closes=min(window.close, end)))
        at = window.close
    return tuple(found)


def _caps(scene: Scene, channel: str, today: date) -> tuple[CapStanding, ...]:
    contacts = counted(scene.setting.state, scene.jurisdiction.zone, reserve_planned=True)
    debt_id = scene.view.debt.debt_id
    return tuple(
        CapStanding(
            key=cap.key,
            pack=pack,
            scope=cap.scope,
            window=cap.window,
            maximum=cap.maximum,
            days=cap.days,
            min_gap_days=cap.min_gap_days,
            used=used(contacts, cap, debt_id, today),
        )
        for cap, pack in scene.jurisdiction.on(channel, today).caps
    )


def _subjects(scene: Scene, reach: Iterable[Reach]) -> tuple[str, ...]:
    """Return every hold subject that stops the hand-off."""
    setting, debt = scene.setting, scene.view.debt
    tenant = setting.state.tenant_id
    digest = setting.address_subject
    return (
        subject_of("everything"),
        subject_of("tenant", tenant),
        subject_of("portfolio", tenant, debt.portfolio_id),
        subject_of("channel", tenant, HANDOFF),
        *debtor_subjects(setting.state),
        subject_of("debt", tenant, str(debt.debt_id)),
        *(
            digest(each.channel, address)
            for each in reach
            for address in each.addresses
            if digest is not None
        ),
    )


def _versions(scene: Scene) -> dict[str, str]:
    rulebook, debt, view = scene.setting.rulebook, scene.view.debt, scene.view
    return {
        f"portfolio:{debt.portfolio_id}": str(rulebook.portfolios[debt.portfolio_id][0]),
        f"ladder:{view.ladder.id}": str(view.version),
        **scene.jurisdiction.versions,
    }
